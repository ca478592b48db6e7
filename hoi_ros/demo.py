# SPDX-License-Identifier: Apache-2.0
"""`python -m hoi_ros.demo`: the command line of `hoi_ros.playback.demo`."""

import sys

from hoi_ros.playback.demo import main

if __name__ == '__main__':
    sys.exit(main())
