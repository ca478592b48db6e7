# SPDX-License-Identifier: Apache-2.0
"""`reconstruction` learns from records, its weights come back, and its figures are those of unseen scenes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import HandModelError
from hoi_ros.stages.reconstruction import OBJECT_MESH
from training.data.synthetic.rgb_crops import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.evaluation import reconstruction as evaluation
from training.evaluation.reconstruction import AblationConfig
from training.evaluation.reconstruction import ReconstructionEvaluation
from training.export import reconstruction as reconstruction_export
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import ReconstructionConfig
from training.networks.reconstruction import ReconstructionNet
from training.recipes import reconstruction
from training.recipes.reconstruction import Batches
from training.recipes.reconstruction import ReconstructionRecipe
from training.recipes.reconstruction_losses import ReconstructionLosses

SMALL = ReconstructionConfig(widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4)
WINDOW = round(64 * 1.3)


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = RgbCrops(11, 'train', WINDOW)
    return np.stack([stream[index] for index in range(10)])


def loop(out: Path, **more) -> LoopConfig:
    return LoopConfig(
        out,
        **{
            'steps': 40,
            'batch': 10,
            'learning_rate': 3e-3,
            'precision': '32-true',
            'warm_up': 0.0,
            'every': 20,
            'averaging': 0.5,
            'threads': 1,
            **more,
        },
    )


def test_batches_follow_from_the_step(records: np.ndarray) -> None:
    make = Batches(lambda: records, RgbAugmentation(size=64), 6, 3)
    for one, again in zip(make(4), Batches(lambda: records, RgbAugmentation(size=64), 6, 3)(4), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(make(4)[0], make(5)[0])


def test_a_left_hand_is_the_mirror_image_with_its_labels(records: np.ndarray) -> None:
    augmentation = RgbAugmentation(size=64)
    plain = reconstruction.collate(records, augmentation, None)
    image, *values = reconstruction.collate(records, augmentation, None, left=3)
    targets, as_they_are = (reconstruction.ReconstructionTargets(*fields) for fields in (values, plain[1:]))
    assert targets.right.tolist() == [0] * 3 + [1] * 7
    torch.testing.assert_close(image[:3], plain[0][:3].flip(-1), rtol=0, atol=0)
    torch.testing.assert_close(image[3:], plain[0][3:], rtol=0, atol=0)
    for name in ('keypoints', 'vertices', 'surface', 'place', 'pixels'):
        ours, expected = (getattr(given, name) for given in (targets, as_they_are))
        torch.testing.assert_close(ours[:3, ..., 0], -expected[:3, ..., 0], rtol=0, atol=0)
        torch.testing.assert_close(ours[3:], expected[3:], rtol=0, atol=0)


def test_it_learns_what_it_is_shown(records: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    still = RgbAugmentation(size=64, centre=0, scale=0, upright=0, turn=0, brightness=0, contrast=0, colour=0)
    network = ReconstructionNet(SMALL)
    images, *targets = reconstruction.collate(records, still, None)
    known = reconstruction.ReconstructionTargets(*targets)
    before = reconstruction.validation_figures(network.eval(), images, known)
    _, upright = reconstruction.train_network(
        network, ReconstructionLosses(classes=8), loop(tmp_path), still, lambda: records, records
    )
    after = reconstruction.validation_figures(network, images, known)
    # It was not shown upright crops, in which its own figures are measured.
    assert upright['joint_error_mm'] > after['joint_error_mm']
    assert after['joint_error_mm'] < 0.75 * before['joint_error_mm']
    assert after['chamfer_mm2'] < 0.9 * before['chamfer_mm2']
    assert after['place_error'] < before['place_error']


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, '_VALIDATED', 4)
    monkeypatch.setattr(reconstruction_export, '_COMPARED', 2)


def test_a_training_leaves_weights_that_are_evaluated_and_gone_on_from(tmp_path: Path, few_scenes: None) -> None:
    recipe = ReconstructionRecipe(
        network=SMALL,
        pool=tmp_path / 'crops.pool',
        capacity=16,
        first=16,
        refresh=False,
        loop=loop(tmp_path / 'run', steps=3, batch=9),
    )
    reconstruction.train(recipe)
    weights = tmp_path / 'run' / 'weights.pt'
    out = tmp_path / 'figures.json'
    figures = evaluation.evaluate(ReconstructionEvaluation(weights, samples=3, out=out))
    assert json.loads(out.read_text()) == figures and set(figures) == {'test', 'held_out'}
    for columns in figures.values():
        assert columns['samples'] == 3
        for name in (
            'joint_error_mm',
            'hand_similarity_mm',
            'hand_f_5mm',
            'hand_f_15mm',
            'pck_auc_0_50',
            'object_chamfer_mm2',
            'penetration_mm',
            'intersection_cm3',
            'contact',
        ):
            assert np.isfinite(columns[name]), name
    # Weights belong to the hand that they were trained with.
    kept = torch.load(weights, weights_only=True)
    HandModel.load().save(tmp_path / 'other.npz')
    torch.save(kept | {'hand': str(tmp_path / 'other.npz')}, tmp_path / 'others.pt')
    assert evaluation.load_network(tmp_path / 'others.pt').hand_faces.shape == HandModel.load().faces.shape
    (tmp_path / 'other.npz').unlink()
    with pytest.raises(HandModelError, match='other.npz'):
        evaluation.load_network(tmp_path / 'others.pt')
    # Weights of before there was a part that tells hands from other things are as good.
    torch.save(
        kept | {'weights': {name: value for name, value in kept['weights'].items() if not name.startswith('hand.')}},
        weights,
    )
    reconstruction_export.export(reconstruction_export.ReconstructionExport(weights, tmp_path / 'models'))
    folder = tmp_path / 'models' / 'reconstruction'
    # What was not taught is not said.
    assert not {output.name for output in Card.load(folder).outputs} & {'right', 'holds', 'hand'}
    image = np.zeros((1, 3, 64, 64), np.float32)
    with torch.inference_mode():
        expected = evaluation.load_network(weights)(torch.from_numpy(image)).hands[-1].keypoints.numpy()
    for backend in ('openvino', 'onnxruntime'):
        outputs = load_engine(folder, backend)(image=image)
        np.testing.assert_allclose(outputs['keypoints'], expected, atol=1e-4)
        mesh = np.load(folder / OBJECT_MESH)
        assert mesh['faces'].max() == outputs['object'].shape[1] - 1
        # A mirrored sphere, its vertices put in the mirror's order, is the sphere again: the faces still look outwards.
        sphere = evaluation.load_network(weights).object_estimator.points.numpy()
        np.testing.assert_allclose((sphere * [-1, 1, 1])[mesh['mirror']], sphere, atol=1e-6)
    as_the_robot_runs_it = evaluation.evaluate(ReconstructionEvaluation(folder, samples=3, splits=('test',)))
    for name in ('joint_error_mm', 'hand_similarity_mm', 'object_chamfer_mm2'):
        assert as_the_robot_runs_it['test'][name] == pytest.approx(figures['test'][name], rel=0.01), name
    frozen = dataclasses.replace(recipe, start=weights, encoders=False, loop=loop(tmp_path / 'on', steps=2, batch=9))
    reconstruction.train(frozen)
    first, second = (
        torch.load(path, weights_only=True)['weights'] for path in (weights, tmp_path / 'on' / 'weights.pt')
    )
    changed = {name.split('.')[0] for name in first if not torch.equal(first[name], second[name])}
    assert 'hand_estimator' in changed and not changed & {'hand_encoder', 'object_encoder'}


def test_the_hand_alone_is_a_start_for_both(tmp_path: Path, few_scenes: None) -> None:
    config = dataclasses.replace(SMALL, readout='votes')
    alone = ReconstructionRecipe(
        network=dataclasses.replace(config, size=32),
        window=WINDOW,
        branch='hand',
        capacity=16,
        pool=tmp_path / 'crops.pool',
        first=16,
        refresh=False,
        loop=loop(tmp_path / 'hand', steps=2, batch=9),
    )
    figures = reconstruction.train(alone)
    assert 'chamfer_mm2' not in figures and np.isfinite(figures['voted_pixels_percent'])
    weights = tmp_path / 'hand' / 'weights.pt'
    kept = torch.load(weights, weights_only=True)['weights']
    network = ReconstructionNet(config)
    untouched = network.from_hand.pool.clone()
    reconstruction.start_from(network, weights)
    for name, value in network.object_encoder.state_dict().items():
        torch.testing.assert_close(value, kept[f'hand_encoder.{name}'])
    for name in ('voting.votes.weight', 'side.0.weight', 'hand_estimator.regress.weight'):
        torch.testing.assert_close(network.state_dict()[name], kept[name])
    torch.testing.assert_close(network.from_hand.pool, untouched)
    with pytest.raises(ValueError, match='holds another network: .* differs; give the same widths'):
        reconstruction.start_from(ReconstructionNet(dataclasses.replace(SMALL, widths=(8, 8, 16, 16))), weights)

    whole = tmp_path / 'whole.pt'
    torch.save({**torch.load(weights, weights_only=True), 'branch': 'both'}, whole)
    reconstruction.train(dataclasses.replace(alone, start=whole, loop=loop(tmp_path / 'on', steps=2, batch=9)))
    on = torch.load(tmp_path / 'on' / 'weights.pt', weights_only=True)
    assert on['branch'] == 'both'
    assert not torch.equal(on['weights']['voting.votes.weight'], kept['voting.votes.weight'])
    for name in ('object_encoder.stem.0.0.weight', 'object_estimator.of_point.weight', 'from_hand.pool'):
        torch.testing.assert_close(on['weights'][name], kept[name], rtol=0, atol=0)


def test_the_ablation_prints_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        evaluation,
        'ROWS',
        {
            name: evaluation.ROWS[name]
            for name in ('baseline, no exchange', 'attention, P = 2', 'late exchange (table 7*), P = 2')
        },
    )
    budget = AblationConfig(
        seeds=(0, 1),
        steps=2,
        batch=9,
        network=SMALL,
        records=10,
        pool=tmp_path / 'pool',
        workers=1,
        threads=1,
        runs=tmp_path / 'runs',
    )
    monkeypatch.setattr(evaluation, '_VALIDATED', 2)
    table = evaluation.evaluate(ReconstructionEvaluation(samples=2, splits=('test',), ablation=True, budget=budget))
    said = capsys.readouterr().out
    for name, columns in table['rows'].items():
        assert name in said
        assert all(len(values) == 2 and np.isfinite(values).all() for values in columns['test'].values())
    assert table['budget']['steps'] == 2
    monkeypatch.setattr(evaluation, 'train_network', None)
    out = tmp_path / 'table.json'
    evaluation.evaluate(ReconstructionEvaluation(samples=2, splits=('test',), ablation=True, budget=budget, out=out))
    assert json.loads(out.read_text())['rows'] == table['rows']
    with pytest.raises(SystemExit, match="no row 'P = 9'"):
        wrong = dataclasses.replace(budget, rows=('P = 9',))
        evaluation.evaluate(ReconstructionEvaluation(ablation=True, budget=wrong))


def test_rows_of_the_ablation_go_on_from_the_same_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config, weights = dataclasses.replace(SMALL, readout='votes'), tmp_path / 'hand.pt'
    hand = ReconstructionNet(config).state_dict()
    torch.save({'weights': hand, 'branch': 'hand'}, weights)
    monkeypatch.setattr(evaluation, '_VALIDATED', 2)
    started = []
    monkeypatch.setattr(
        evaluation,
        'train_network',
        lambda network, *_: started.append({name: value.clone() for name, value in network.state_dict().items()}),
    )
    rows = 'baseline, no exchange', 'attention, P = 2'
    budget = AblationConfig(
        seeds=(3,),
        network=config,
        records=1,
        pool=tmp_path / 'pool',
        workers=1,
        start=weights,
        rows=rows,
        runs=tmp_path / 'runs',
    )
    table = evaluation.evaluate(ReconstructionEvaluation(samples=1, splits=('test',), ablation=True, budget=budget))
    assert tuple(table['rows']) == rows
    baseline, full = started
    assert set(baseline) < set(full)
    for name, value in hand.items():
        if name.startswith(('hand_encoder.', 'voting.', 'hand_estimator.')):
            assert torch.equal(baseline[name], value) and torch.equal(full[name], value)
    torch.save({'weights': hand, 'branch': 'both'}, weights)
    with pytest.raises(SystemExit, match='learned with an exchange'):
        evaluation.evaluate(ReconstructionEvaluation(samples=1, splits=('test',), ablation=True, budget=budget))


def test_a_data_set_needs_its_folder() -> None:
    with pytest.raises(SystemExit, match='--data freihand needs --root'):
        reconstruction.train(ReconstructionRecipe(network=SMALL, data='freihand'))
