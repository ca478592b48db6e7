# SPDX-License-Identifier: Apache-2.0
"""`python -m hoi_ros.sample`: see `hoi_ros.playback.two_hand_sampling`."""

import sys

from hoi_ros.playback.two_hand_sampling import main

if __name__ == '__main__':
    sys.exit(main())
