# SPDX-License-Identifier: Apache-2.0
"""Runs the node of a system behind a camera, both as processes over DDS, and shows how well it does.

    python -m hoi_ros.demo                                          # a simulated camera, whose truth is known
    python -m hoi_ros.demo --data DIR --camera camera.yaml          # recorded depth images
    python -m hoi_ros.demo --stage reconstruction                   # a hand that holds a can, in colour and depth
    python -m hoi_ros.demo --stage contact                          # where it touches the can, beside the truth
    python -m hoi_ros.demo --stage two_hand_prior                   # two hands that touch, before and after
    python -m hoi_ros.demo --stage reconstruction --data DIR        # recorded colours or photos; or rgb/ and depth/

prints a table and writes a picture and a video of the hands. Photos are published one by one, each once, and shown side
by side. The demo uses a ROS domain of its own, whatever ROS_DOMAIN_ID says, so other nodes do not interfere.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.depth_unit import MEND
from hoi_ros.nodes.runtime.image_transport import make_room_for_images
from hoi_ros.playback.command import make_folder
from hoi_ros.playback.command import OutputError
from hoi_ros.playback.demo_config import DemoConfig
from hoi_ros.playback.demo_config import DemoError
from hoi_ros.playback.demo_config import DEPTH_REMEDY
from hoi_ros.playback.depth_range import REMEDY
from hoi_ros.playback.photo_session import PARAMETERS
from hoi_ros.playback.pictures import draw_picture
from hoi_ros.playback.pictures import draw_sheet
from hoi_ros.playback.pictures import draw_video
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.replay import PICTURE_RATE
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SessionError
from hoi_ros.playback.sources import counted
from hoi_ros.playback.sources import left_out
from hoi_ros.playback.tables import agreement_rows
from hoi_ros.playback.tables import input_rows
from hoi_ros.playback.tables import node_rows
from hoi_ros.playback.tables import print_table
from hoi_ros.playback.tables import start_row
from hoi_ros.playback.tables import traffic_rows
from hoi_ros.systems import System
from hoi_ros.systems import system_of

_WARNINGS = 3  # faults of the node that are printed


def demo(config: DemoConfig) -> int:
    """Measures, prints and draws; 0 if at least one hand was published.

    Raises:
        CalibrationError: the calibration file is unusable.
        DemoError: a folder or a file is missing.
        OutputError: `config.out` can be no folder.
        SessionError: a process fails.
    """
    make_folder(config.out)
    print(f'{config.stage} on {config.data or "a simulated camera"}', flush=True)
    system = system_of(config.stage)
    if config.replayed is not None:
        _say(str(config.replayed.order))
        for line in (*left_out(*config.replayed.folders.values()), config.camera_note):
            if line:
                _say(line)
        if doubt := config.depth_doubt():
            print(f'demo: {doubt}', file=sys.stderr)
        if config.shows_photos:
            return _demo_of_photos(config, system)
    options = config.pictures, system.source.images[0], _say, config.every
    parameters = {'input_qos.reliability': 'reliable'} if config.data else {}
    with Session(system, config.camera_arguments(), config.out, *options, parameters=parameters) as session:
        start = session.start_node()
        session.start_camera()
        _say(
            f'measuring for {config.seconds:.0f} s; look on with ROS_DOMAIN_ID={session.domain} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        recording = session.record(config.seconds)
    found = any(answer.hands for answer in recording.answers)
    rows = traffic_rows(recording) + input_rows(recording, system)
    if found:
        rows += agreement_rows(recording, system, bool(config.data))
    print_table(rows + node_rows(recording, start))
    if recording.pictures:
        picture, video = _drawings(config)
        shown = recording.answered() if found and system.below else recording
        draw_picture(shown, picture)
        draw_video(shown, video, shown.picture_hz)
        print(f'written  {picture}, {video}')
    for warning in recording.warnings[:_WARNINGS] if found else ():
        print(f'demo: the node says: {_for_files(warning, config)}', file=sys.stderr)
    return 0 if found else _without_hands(recording, config)


def _demo_of_photos(config: DemoConfig, system: System) -> int:
    """As `demo`, for pictures that are each on their own."""
    make_room_for_images()
    with Session(system, (), config.out, say=_say, parameters=PARAMETERS) as session:
        start = session.start_node()
        assert config.replayed is not None
        count = config.replayed.count
        _say(f'sending {counted(count, "picture")}' + (', each once' if count > 1 else ''))
        results = config.send_photos(session, _say)
    recording = results.recording
    print_table([*results.rows(system), ('node memory', f'{recording.memory_mb:.0f} MB'), start_row(start)])
    for reason in results.reasons:
        print(f'demo: {reason}', file=sys.stderr)
    if recording.pictures:
        picture, video = _drawings(config)
        draw_sheet(recording, picture, results.names)
        draw_video(recording, video, PICTURE_RATE)
        more = len(recording.answers) + len(results.unanswered) - len(results.names)
        print(f'written  {picture}, {video}' + (f'; {more} more pictures are not drawn' if more else ''))
    return 0 if any(answer.hands for answer in recording.answers) else _without_hands(recording, config)


def _without_hands(recording: Recording, config: DemoConfig) -> int:
    """Says what is known where no hand was found; the exit code."""
    said = _for_files('; '.join(recording.warnings[:_WARNINGS]) or recording.diagnostics, config) or 'nothing'
    print(f'demo: no hand came out. The node says: {said}; more in {config.out}/{config.stage}.log', file=sys.stderr)
    if REMEDY not in said and (hint := config.hint(recording)):
        print(f'demo: {hint}', file=sys.stderr)
    return 1


def _for_files(text: str, config: DemoConfig) -> str:
    """A text of the node with the remedy for files in place of that for topics."""
    return text.replace(MEND, DEPTH_REMEDY) if config.data else text


def _drawings(config: DemoConfig) -> tuple[Path, Path]:
    """The files of the picture and the video."""
    return config.out / f'{config.stage}.png', config.out / f'{config.stage}.mp4'


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if a hand was published, 130 after Ctrl-C or SIGTERM."""
    import tyro

    # A shell starts a background job with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demo(tyro.cli(DemoConfig, args=arguments, prog='python -m hoi_ros.demo'))
    except (DemoError, SessionError, CalibrationError, OutputError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
