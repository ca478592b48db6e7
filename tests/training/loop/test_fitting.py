# SPDX-License-Identifier: Apache-2.0
"""The training loop: optimisation, averaging, schedule, resuming, logs and several processes."""

import dataclasses
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch import Tensor

from training.export.card_entries import training_of
from training.loop import fitting
from training.loop.checkpoint import CheckpointError
from training.loop.checkpoint import Progress
from training.loop.fitting import BudgetError
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.loop.interruption import TrainingStopped
from training.loop.start import say_start
from training.loop.start import warn_if_worse

STEPS = 12


@pytest.fixture
def config(tmp_path: Path) -> LoopConfig:
    return LoopConfig(
        tmp_path / 'run',
        steps=STEPS,
        minutes=1e6,
        batch=8,
        learning_rate=0.05,
        accelerator='cpu',
        precision='32-true',
        every=3,
    )


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 2))


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(8, 1, 6, 6, generator=generator)
    return images, torch.stack([images.mean((1, 2, 3)), images[:, 0, 2, 2]], 1)


def loss(forward: nn.Module, images: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    return {'distance': (forward(images) - wanted).square().mean()}


@pytest.mark.slow
@pytest.mark.parametrize('optimizer', ['adamw', 'muon'])
def test_a_batch_is_learned(config: LoopConfig, optimizer: str) -> None:
    config = dataclasses.replace(config, optimizer=optimizer)
    errors: list[float] = []

    def recorded(forward: nn.Module, *tensors: Tensor) -> dict[str, Tensor]:
        terms = loss(forward, *tensors)
        errors.append(terms['distance'].item())
        return terms

    trained = network()
    progress = fit(trained, dataclasses.replace(config, steps=40), lambda step: batch(0), recorded, lambda module: {})
    assert progress.step == len(errors) == 40 and progress.samples == 320
    assert errors[-1] < 0.2 * errors[0]
    assert not trained.training


@pytest.mark.parametrize('optimizer', ['adamw', 'muon'])
def test_a_killed_run_resumes_without_a_difference(config: LoopConfig, optimizer: str) -> None:
    config = dataclasses.replace(config, optimizer=optimizer)
    whole, broken = network(), network()
    fit(whole, dataclasses.replace(config, out=config.out / 'whole'), batch, loss, lambda module: {})

    def run(until: int) -> tuple[list[int], Progress | None]:
        steps: list[int] = []

        def counted(step: int) -> tuple[Tensor, Tensor]:
            if step >= until:
                raise KeyboardInterrupt
            steps.append(step)
            return batch(step)

        try:
            return steps, fit(broken, config, counted, loss, lambda module: {})
        except KeyboardInterrupt:
            return steps, None

    assert run(8) == (list(range(8)), None)
    for parameter in broken.parameters():
        nn.init.zeros_(parameter)
    steps, progress = run(STEPS)
    assert steps == list(range(6, STEPS)), 'the last checkpoint was written after step 6'
    assert progress is not None and (progress.step, progress.samples) == (STEPS, STEPS * 8)
    for ours, expected in zip(broken.state_dict().values(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, expected)

    assert run(STEPS)[0] == [], 'a finished run draws no batch'
    torch.testing.assert_close(broken.state_dict(), whole.state_dict())


def test_the_average_forgets_the_initial_weights(config: LoopConfig) -> None:
    class OneNumber(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.number = nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3)) * 0 + self.number

    path: list[float] = []

    def climb(forward: nn.Module, images: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        path.append(trained.number.item())
        return {'height': -forward(images).mean()}

    trained = OneNumber()
    fit(
        trained,
        dataclasses.replace(config, decay=False, weight_decay=0.0, warm_up=0.0),
        batch,
        climb,
        lambda module: {},
    )
    last = torch.load(config.out / 'checkpoint.pt', weights_only=True)['network']['number'].item()
    assert path[0] == 0 and last == pytest.approx(STEPS * 0.05, rel=0.01)
    assert 0.75 * last < trained.number.item() < last


@pytest.mark.parametrize('decay', [True, False])
def test_the_learning_rate_follows_the_budget(config: LoopConfig, decay: bool) -> None:
    number = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(number.weight)
    path: list[float] = []

    def climb(forward: nn.Module, images: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        path.append(number.weight.item())
        return {'height': -forward(images.mean((2, 3)) * 0 + 1).mean()}

    fit(
        number,
        dataclasses.replace(config, steps=100, warm_up=0.1, decay=decay, weight_decay=0.0, every=1000),
        batch,
        climb,
        lambda module: {},
    )
    # Under a constant gradient a step of Adam equals the learning rate.
    rates = torch.tensor(path).diff() / config.learning_rate
    assert rates[0] < 0.02 and rates[12] > 0.9 and (rates[:10].diff() > 0).all()
    assert rates[-1] == pytest.approx(0 if decay else 1, abs=0.02)


def test_an_exhausted_budget_trains_nothing(config: LoopConfig) -> None:
    trained = network()
    before = [parameter.clone() for parameter in trained.parameters()]
    assert fit(trained, dataclasses.replace(config, minutes=1e-12), batch, loss, lambda module: {}).step == 0
    torch.testing.assert_close(list(trained.parameters()), before)


def test_the_averaged_network_is_validated_and_logged(config: LoopConfig) -> None:
    seen: list[tuple[bool, Tensor]] = []

    def validate(module: nn.Module) -> dict[str, float]:
        seen.append((module.training, module[4].weight.detach().clone()))
        return {'figure': 1.5}

    trained = network()
    fit(trained, config, batch, loss, validate)
    assert [training for training, _ in seen] == [False] * 4
    torch.testing.assert_close(seen[-1][1], trained[4].weight.detach())
    assert _logged(config.out, 'figure') == [(3, 1.5), (6, 1.5), (9, 1.5), (12, 1.5)]


def test_a_teacher_follows_the_training(config: LoopConfig) -> None:
    teachers: list[nn.Module] = []
    followed: list[Tensor] = []

    def watched(forward: nn.Module, images: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        assert not teachers[0].training
        followed.append(teachers[0][4].weight.detach().clone())
        path.append(trained[4].weight.detach().clone())
        return loss(forward, images, wanted)

    trained, path = network(), []
    fit(trained, dataclasses.replace(config, averaging=0.2), batch, watched, lambda module: {}, teach=teachers.append)
    assert len(teachers) == 1
    torch.testing.assert_close(followed[0], path[0])
    for number in range(1, STEPS):
        torch.testing.assert_close(followed[number], 0.2 * followed[number - 1] + 0.8 * path[number])
    torch.testing.assert_close(teachers[0][4].weight, trained[4].weight)


def _logged(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_random_numbers_go_on_where_a_run_ended(config: LoopConfig) -> None:
    def with_dropout() -> nn.Module:
        return nn.Sequential(network()[:4], nn.Dropout(0.5), nn.Linear(4 * 16, 2))

    def run(trained: nn.Module, steps: int, name: str) -> nn.Module:
        options = dataclasses.replace(config, out=config.out / name, steps=steps, decay=False, warm_up=0.0)
        fit(trained, options, batch, loss, lambda module: {})
        return trained

    torch.manual_seed(2)
    whole, part = with_dropout(), with_dropout()
    part.load_state_dict(whole.state_dict())
    run(whole, STEPS, 'whole')
    run(part, STEPS - 5, 'part')
    torch.testing.assert_close(run(with_dropout(), STEPS, 'part').state_dict(), whole.state_dict())


def interrupted_run(config: LoopConfig, number: int) -> None:
    """A training, in a process of its own, that a signal reaches at its fourth step."""

    def interrupted(step: int) -> tuple[Tensor, ...]:
        if step == 4:
            os.kill(os.getpid(), number)
        return batch(step)

    try:
        fit(network(), config, interrupted, loss, lambda module: {})
    except TrainingStopped as stopped:
        (config.out / 'said.txt').write_text(str(stopped))
        sys.exit(stopped.exit_code)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_with_a_checkpoint(
    config: LoopConfig, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    process = multiprocessing.get_context('spawn').Process(target=interrupted_run, args=(config, number))
    process.start()
    process.join(60)
    assert process.exitcode == 128 + number
    said = (config.out / 'said.txt').read_text()
    assert re.search(r'stopped at step 5, minute 0\.\d; run the same command again', said), said
    assert torch.load(config.out / 'checkpoint.pt', weights_only=True)['progress']['step'] == 5
    assert fit(network(), config, batch, loss, lambda module: {}).step == STEPS
    said = capsys.readouterr().err
    assert 'resumed at step 5, minute 0.' in said and 'changed since' not in said


def test_a_resumed_run_names_changed_options(config: LoopConfig, capsys: pytest.CaptureFixture[str]) -> None:
    fit(network(), dataclasses.replace(config, steps=2), batch, loss, lambda module: {})
    changed = dataclasses.replace(config, batch=4, learning_rate=None)
    fit(network(), changed, batch, loss, lambda module: {})
    assert (
        'changed since the checkpoint: --loop.batch 8 → 4, --loop.learning-rate 0.05 → 0.001' in capsys.readouterr().err
    )


def test_a_resumed_run_takes_its_weight_decay_and_no_other_optimizer(config: LoopConfig) -> None:
    fit(network(), dataclasses.replace(config, steps=2), batch, loss, lambda module: {})
    fit(network(), dataclasses.replace(config, weight_decay=0.5), batch, loss, lambda module: {})
    state = torch.load(config.out / 'checkpoint.pt', weights_only=True)
    assert {group['weight_decay'] for group in state['optimizer']['param_groups']} == {0.5}
    other = 'muon' if config.optimizer == 'adamw' else 'adamw'
    with pytest.raises(CheckpointError, match=f'trained with --loop.optimizer {config.optimizer}: repeat it'):
        fit(network(), dataclasses.replace(config, optimizer=other), batch, loss, lambda module: {})


def test_trained_weights_are_measured_first_and_learn_at_a_lower_rate(
    config: LoopConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = dataclasses.replace(config, learning_rate=None)
    assert asked.with_rate(1.5e-3).learning_rate == 1.5e-3
    assert config.with_rate(1.5e-3, trained=True).learning_rate == 0.05
    loop, start = asked.with_rate(1.5e-3, trained=True), Path('models/hand_finder')
    say_start(start, network(), loop, lambda module: {'found': 0.944, 'centre_error_mm': float(module.training)})
    assert (
        'starts from models/hand_finder: found 0.944, centre_error_mm 0; learning rate 0.00015'
        in capsys.readouterr().out
    )
    warn_if_worse(start, loop, {'found': 0.95, 'centre_error_mm': 0.0})
    assert capsys.readouterr().out == ''
    warn_if_worse(start, loop, {'found': 0.748, 'centre_error_mm': 3.0})
    assert (
        'worse than models/hand_finder: found 0.944 → 0.748, centre_error_mm 0 → 3: train longer'
        in capsys.readouterr().out
    )


def test_the_command_is_recorded(config: LoopConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ['--start', 'models/hand finder', '--capacity', '256', '--loop.steps', '56']
    monkeypatch.setattr(sys, 'argv', ['/somewhere/training/__main__.py', 'train', 'hand_finder', *options])
    progress = fit(network(), dataclasses.replace(config, steps=1), batch, loss, lambda module: {})
    save_weights(network(), config, progress, {})
    entry = training_of('another', torch.load(config.out / 'weights.pt', weights_only=True))
    assert entry['command'] == (
        "python -m training train hand_finder --start 'models/hand finder' --capacity 256 --loop.steps 56"
    )


def test_checkpoints_are_written_by_the_clock(config: LoopConfig) -> None:
    kept: list[int] = []

    def observed(step: int) -> tuple[Tensor, ...]:
        path = config.out / 'checkpoint.pt'
        kept.append(torch.load(path, weights_only=True)['progress']['step'] if path.is_file() else 0)
        return batch(step)

    options = dataclasses.replace(config, every=1000, checkpoint_minutes=0.0, steps=4)
    fit(network(), options, observed, loss, lambda module: {})
    assert kept == [0, 1, 2, 3]
    kept.clear()
    fit(network(), dataclasses.replace(options, checkpoint_minutes=1e6, steps=7), observed, loss, lambda module: {})
    assert kept == [4, 4, 4]


def test_the_minutes_include_the_preparation_and_the_last_validation(
    config: LoopConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0

    def drawn(step: int) -> tuple[Tensor, ...]:
        nonlocal clock
        clock += 10
        return batch(step)

    def validate(module: nn.Module) -> dict[str, float]:
        nonlocal clock
        clock += 20
        return {}

    monkeypatch.setattr(fitting, 'time', SimpleNamespace(monotonic=lambda: clock))
    options = dataclasses.replace(config, steps=10**6, minutes=3, every=10**6)
    progress = fit(network(), options, drawn, loss, validate, started=clock - 90)
    # One validation before the end shows how long the last one will take.
    assert (progress.preparation, progress.validation, progress.step) == (90, 20, 5)
    assert progress.seconds + progress.validation == 180


def test_a_budget_without_a_step_leaves_no_weights(config: LoopConfig) -> None:
    progress = Progress(preparation=120.0)
    with pytest.raises(BudgetError, match='--loop.minutes 1e.06: preparation took 2.0 minutes'):
        save_weights(network(), config, progress, {})
    assert not (config.out / 'weights.pt').exists()


def test_a_checkpoint_of_another_network_is_named(config: LoopConfig) -> None:
    fit(network(), config, batch, loss, lambda module: {})
    other = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt holds another network or optimizer'):
        fit(other, config, batch, loss, lambda module: {})
    (config.out / 'checkpoint.pt').write_bytes(b'half a file')
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt is not a readable checkpoint'):
        fit(network(), config, batch, loss, lambda module: {})


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    script = Path(__file__).with_name('two_processes.py')
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    assert first['weights'] == second['weights']
    assert first['steps'] == second['steps'] > 10 and first['samples'] == 16 * first['steps']
    # The first process draws the even batches, the second the odd ones.
    assert first['drawn'] == list(range(0, 2 * first['steps'], 2))
    assert second['drawn'] == list(range(1, 2 * first['steps'], 2))
    # One process renders the samples and one saves the weights.
    assert first['made'] == second['made'] == 64
    assert torch.load(tmp_path / 'run' / 'weights.pt', weights_only=True)['rank'] == 0
