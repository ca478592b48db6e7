# SPDX-License-Identifier: Apache-2.0
"""A tracker that takes 10 ms and finds a hand in each frame; ends with an error at a turn of more than a minute."""

import json
import sys
import time

for line in sys.stdin:
    turn = json.loads(line)
    if turn['seconds'] > 60:
        sys.exit('the turn is too long')
    times = []
    while not times or sum(times) < turn['seconds']:
        begun = time.perf_counter()
        time.sleep(0.01)
        times.append(time.perf_counter() - begun)
    print(json.dumps({'seconds': times, 'cpu': 0.002, 'hands': [1] * len(times)}), flush=True)
