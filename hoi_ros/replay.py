# SPDX-License-Identifier: Apache-2.0
"""`python -m hoi_ros.replay`: the command line of `hoi_ros.playback.replay`."""

import sys

from hoi_ros.playback.replay import main

if __name__ == '__main__':
    sys.exit(main())
