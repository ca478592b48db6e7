# SPDX-License-Identifier: Apache-2.0
"""Pictures of estimates: hands and objects over their image, depth in colours. Knows neither ROS nor stages."""
