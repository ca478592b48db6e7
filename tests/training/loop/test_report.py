# SPDX-License-Identifier: Apache-2.0
"""A training says where it stands and when it ends."""

import io
import re

import pytest

from training import terminal
from training.loop.checkpoint import Progress
from training.loop.report import BudgetReport
from training.terminal import duration
from training.terminal import ProgressBar


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed to a wide terminal."""
    monkeypatch.setenv('COLUMNS', '200')
    return Terminal()


def test_a_training_shows_steps_minutes_speed_and_the_end_that_comes_first(errors: io.StringIO) -> None:
    with BudgetReport(3000, 60.0, None, errors) as report:
        report.show(Progress(0, 0.0), 0.0, {})
        report.show(Progress(120, 240.0), 240 / 3600, {'joints': 0.25})
    shown = errors.getvalue()
    assert 'step 120 of 3,000, minute 4.0 of 60, 0.5 steps/s, ends in 56 min, joints 0.25' in shown
    with BudgetReport(240, 60.0, None, errors) as report:
        report.show(Progress(0, 0.0), 0.0, {})
        report.show(Progress(120, 240.0), 0.5, {})
    assert 'step 120 of 240, minute 4.0 of 60, 0.5 steps/s, ends in 4 min' in errors.getvalue()


def test_a_resumed_training_says_where_and_measures_its_own_speed(errors: io.StringIO) -> None:
    resumed = Progress(20, 180.0)
    with BudgetReport(3000, 60.0, resumed, errors) as report:
        report.show(Progress(20, 180.0), 0.05, {})
        report.show(Progress(30, 190.0), 0.05, {})
    assert 'resumed at step 20, minute 3.0' in errors.getvalue() and '1 steps/s' in errors.getvalue()


def test_a_finished_training_says_how_to_go_on(errors: io.StringIO) -> None:
    with BudgetReport(3000, 60.0, Progress(900, 3600.0), errors) as report:
        report.show(Progress(900, 3601.0), 1.0, {})
    assert 'minute 60.0: --loop.minutes 62 or more to go on' in errors.getvalue()
    # The next run prepares for another minute and ends with another validation.
    with BudgetReport(16, 3.3, Progress(16, 192.0, preparation=60.0, validation=30.0), errors) as report:
        report.show(Progress(16, 192.0, preparation=60.0, validation=30.0), 1.0, {})
    assert 'at step 16, minute 3.2: --loop.minutes 6 or more and --loop.steps above 16 to go on' in errors.getvalue()


def test_a_narrow_terminal_shows_a_bar_and_whole_numbers(errors: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '120')
    terms = {name: 0.123456 for name in ('heat', 'offset', 'depth', 'another', 'and_another')}
    with BudgetReport(3000, 60.0, None, errors) as report:
        report.show(Progress(0, 0.0), 0.0, {})
        report.show(Progress(120, 240.0), 0.5, terms)
        report.validated(Progress(120, 240.0), {'found': 0.94})
    lines = [line.rstrip() for part in errors.getvalue().split('\n') for line in part.split('\r')]
    (shown,) = {line for line in lines if 'step 120 of 3,000' in line}
    assert len(shown) < 120 and shown.endswith('offset 0.1235') and re.search(r'50 %\|.{10}\| step', shown)
    assert 'validation at step 120: found 0.94' in lines
    assert not any('| ,' in line for line in lines)


def test_elsewhere_a_line_appears_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: clock[0])
    stream = io.StringIO()
    with ProgressBar('training', stream, every=30) as bar:
        for second in range(70):
            clock[0] = 100.0 + second
            bar.show(second / 70, f'step {second}')
    assert stream.getvalue().splitlines() == ['training 43 %: step 30', 'training 86 %: step 60']


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (7.4, 89, 100, 3600, 4 * 3600 + 300)] == [
        '7 s',
        '89 s',
        '2 min',
        '60 min',
        '4 h 05 min',
    ]
