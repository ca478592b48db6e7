# SPDX-License-Identifier: Apache-2.0
"""`python -m training VERB NAME`: the commands of the entries in training/systems.py."""

from __future__ import annotations

import difflib
import functools
import sys

from training.systems import Command
from training.systems import commands
from training.systems import VERBS


def main() -> None:
    """Runs the command of sys.argv; lists the commands if there is no such command."""
    verb, name = (*sys.argv[1:3], '', '')[:2]
    chosen = next((command for key, command in commands().items() if key == (verb, name)), None)
    if chosen is None:
        wanted = verb if verb in VERBS else None
        shown = {key: command for key, command in commands().items() if wanted is None or key[0] == wanted}
        listed = '\n'.join(
            f'  {f"python -m training {key[0]} {key[1]}":51} {command.effect}' for key, command in shown.items()
        )
        text = f'Commands, each with --help:\n{listed}'
        if {verb, name} & {'-h', '--help'}:
            print(text)
            return
        raise SystemExit(f'{_unknown(verb, name)}{text}')
    _run(chosen, f'python -m training {verb} {name}')


def _unknown(verb: str, name: str) -> str:
    """A line about a command that does not exist; nothing if none was given."""
    typed = f'{verb} {name}'.strip()
    if not typed or (verb in VERBS and not name):
        return ''
    close = difflib.get_close_matches(typed, [' '.join(key) for key in commands()], 1)
    guess = f'; did you mean "python -m training {close[0]}"?' if close else ''
    return f'unknown command "{typed}"{guess}\n'


def _run(command: Command, program: str) -> None:
    """Runs a command; errors that name the fault and its fix end it without a traceback."""
    # Imported here, so that the list of commands appears at once.
    import tyro

    from hoi_ros.camera.refusal import FrameRefused
    from hoi_ros.engines import EngineError
    from hoi_ros.hand.model import HandModelError
    from hoi_ros.playback.image_folder import ImageFolderError
    from hoi_ros.resources import ResourceError
    from training.data.public.dataset_files import DatasetError
    from training.errors import TrainingError
    from training.loop.interruption import interruptible
    from training.loop.interruption import TrainingStopped
    from training.remains import remains

    config, run = command.load()
    options = tyro.cli(config, args=sys.argv[3:], prog=program)
    try:
        with interruptible(functools.partial(remains, options)):
            run(options)
    except TrainingStopped as stopped:
        print(f'\n{program}: {stopped}', file=sys.stderr)
        raise SystemExit(stopped.exit_code) from None
    except (
        DatasetError,
        EngineError,
        FileNotFoundError,
        FrameRefused,
        HandModelError,
        IsADirectoryError,
        NotADirectoryError,
        ImageFolderError,
        ResourceError,
        TrainingError,
    ) as error:
        raise SystemExit(f'error: {error}') from error


if __name__ == '__main__':
    main()
