# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's hand tracker as a process that takes turns; runs in MediaPipe's own environment.

    python mediapipe_tracker.py frames.npy

frames.npy holds (N, H, W, 3) uint8 RGB. Each line of standard input, {"seconds": 2.0, "warm_up": 5}, is one turn. Each
turn is answered by one line of standard output: "seconds" and "hands" of each call that counts, and "cpu", the
processor seconds of the process per call that counts. The process ends with its standard input.
"""

import json
import sys
import time

import mediapipe
import numpy as np


def main() -> None:
    """Answers turns until standard input ends."""
    frames = np.load(sys.argv[1])
    tracker = mediapipe.solutions.hands.Hands(static_image_mode=False, max_num_hands=1, model_complexity=1)
    number = 0
    for line in sys.stdin:
        turn = json.loads(line)
        times: list[float] = []
        hands: list[int] = []
        calls, spent, cpu = 0, 0.0, time.process_time()
        while not times or spent < turn['seconds']:
            # To and fro, so that the hand does not jump between the ends.
            place = number % (2 * len(frames))
            frame = frames[place if place < len(frames) else 2 * len(frames) - 1 - place]
            begun = time.perf_counter()
            result = tracker.process(frame)
            taken = time.perf_counter() - begun
            number += 1
            calls += 1
            if calls > turn['warm_up']:
                times.append(taken)
                hands.append(len(result.multi_hand_landmarks or ()))
                spent += taken
            else:
                cpu = time.process_time()
        cpu = (time.process_time() - cpu) / len(times)
        print(json.dumps({'seconds': times, 'cpu': cpu, 'hands': hands}), flush=True)


if __name__ == '__main__':
    main()
