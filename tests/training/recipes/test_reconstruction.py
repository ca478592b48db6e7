# SPDX-License-Identifier: Apache-2.0
"""Training of `reconstruction`: batches, a training of a few steps, its weights, export and evaluation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import HandModelError
from hoi_ros.stages.reconstruction import OBJECT_MESH
from training.data.real.photo_crops import PhotoCrops
from training.data.real.photo_keypoints import MEDIAPIPE
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.errors import TrainingError
from training.evaluation import reconstruction as evaluation
from training.evaluation.reconstruction import ReconstructionEvaluation
from training.export import reconstruction as reconstruction_export
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_weights import load_network
from training.networks.reconstruction_weights import start_from
from training.networks.weights_file import WeightsError
from training.recipes import reconstruction
from training.recipes.reconstruction import ReconstructionRecipe
from training.recipes.reconstruction_batches import Batches
from training.recipes.reconstruction_batches import collate
from training.recipes.reconstruction_batches import collate_photos
from training.recipes.reconstruction_losses import ReconstructionLosses
from training.recipes.reconstruction_losses import ReconstructionTargets

SMALL = ReconstructionConfig(widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4)
WINDOW = round(64 * 1.3)


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = RgbCrops(11, 'train', WINDOW)
    return np.stack([stream[index] for index in range(9)])


def loop(out: Path, **more) -> LoopConfig:
    return LoopConfig(
        out,
        **{
            'steps': 25,
            'batch': 9,
            'learning_rate': 3e-3,
            'precision': '32-true',
            'warm_up': 0.0,
            'every': 100,
            'averaging': 0.5,
            'threads': 1,
            **more,
        },
    )


def test_batches_depend_on_the_step_only(records: np.ndarray) -> None:
    make = Batches(lambda: records, RgbAugmentation(size=64), 6, 3)
    for one, again in zip(make(4), Batches(lambda: records, RgbAugmentation(size=64), 6, 3)(4), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(make(4)[0], make(5)[0])


def test_left_hands_are_mirrored_with_their_labels(records: np.ndarray) -> None:
    augmentation = RgbAugmentation(size=64)
    plain = collate(records, augmentation, None)
    image, *values = collate(records, augmentation, None, left=3)
    targets, as_they_are = (ReconstructionTargets(*fields) for fields in (values, plain[1:]))
    assert targets.right.tolist() == [0] * 3 + [1] * 6
    torch.testing.assert_close(image[:3], plain[0][:3].flip(-1), rtol=0, atol=0)
    torch.testing.assert_close(image[3:], plain[0][3:], rtol=0, atol=0)
    for name in ('keypoints', 'vertices', 'surface', 'place', 'pixels'):
        ours, expected = (getattr(given, name) for given in (targets, as_they_are))
        torch.testing.assert_close(ours[:3, ..., 0], -expected[:3, ..., 0], rtol=0, atol=0)
        torch.testing.assert_close(ours[3:], expected[3:], rtol=0, atol=0)


def test_photos_join_the_records_of_a_batch(records: np.ndarray, photo_root: Path, located: Callable) -> None:
    located('rgb_hands_with_objects/core50_C_04_01_000')
    make = Batches(lambda: records, RgbAugmentation(size=64), 8, 3, 0.5, [(PhotoCrops(photo_root), 0.5)])
    image, *fields = make(0)
    targets = ReconstructionTargets(*fields)
    assert image.shape == (8, 3, 64, 64)
    assert targets.measured.tolist() == [1] * 4 + [0] * 4
    assert targets.right.tolist() == [0, 0, 1, 1] * 2
    assert targets.located[:4].all() and not targets.has_vertices[4:].any()
    for once, again in zip((image, *fields), make(0), strict=True):
        torch.testing.assert_close(once, again, rtol=0, atol=0)
    crops = [PhotoCrops(photo_root).draw(RgbAugmentation(size=64), np.random.default_rng(k)) for k in range(6)]
    plain, mirrored = (ReconstructionTargets(*collate_photos(crops, records.dtype, k)[1:]) for k in (0, 6))
    torch.testing.assert_close(mirrored.pixels[..., 0], -plain.pixels[..., 0])
    assert plain.right.all() and not mirrored.right.any()


@pytest.mark.slow
def test_the_network_overfits_a_few_crops(records: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    still = RgbAugmentation(size=64, centre=0, scale=0, upright=0, turn=0, colours=OWN_COLOURS)
    network, few = ReconstructionNet(SMALL), records[:4]
    images, *targets = collate(few, still, None)
    known = ReconstructionTargets(*targets)
    before = reconstruction.validation_figures(network.eval(), images, known)
    _, upright = reconstruction.train_network(
        network, ReconstructionLosses(classes=3), loop(tmp_path, steps=35, batch=4), still, lambda: few, few
    )
    after = reconstruction.validation_figures(network, images, known)
    # The figures of the training are measured on upright crops, which the network did not train on.
    assert abs(upright['joint_error_mm'] - after['joint_error_mm']) > 0.01
    assert after['joint_error_mm'] < 0.75 * before['joint_error_mm']
    assert after['chamfer_mm2'] < 0.9 * before['chamfer_mm2']
    assert after['place_error'] < before['place_error']


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, '_VALIDATION_CROPS', 2)
    monkeypatch.setattr(reconstruction_export, '_COMPARED', 2)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch, records: np.ndarray, full_pool: Callable) -> None:
    """All samples are rendered."""
    monkeypatch.setattr(reconstruction, 'SamplePool', full_pool(records))
    monkeypatch.setattr(reconstruction, 'filled', lambda *_: records[:2])


@pytest.mark.slow
def test_weights_are_evaluated_and_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_scenes: None) -> None:
    recipe = ReconstructionRecipe(
        network=SMALL,
        losses=ReconstructionLosses(classes=3),
        pool=tmp_path / 'crops.pool',
        capacity=4,
        first=4,
        workers=1,
        refresh=False,
        loop=loop(tmp_path / 'run', steps=3, batch=4),
    )
    reconstruction.train(recipe)
    weights = tmp_path / 'run' / 'weights.pt'
    out = tmp_path / 'figures.json'
    samples = list(evaluation.unseen_samples('test', 2, SMALL.size))
    monkeypatch.setattr(evaluation, 'unseen_samples', lambda *_: samples)
    figures = evaluation.evaluate(ReconstructionEvaluation(weights, samples=2, splits=('test',), out=out))
    assert json.loads(out.read_text()) == figures and set(figures) == {'test'}
    for columns in figures.values():
        assert columns['samples'] == 2
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
    # Weights belong to the hand model that they were trained with.
    kept = torch.load(weights, weights_only=True)
    HandModel.load().save(tmp_path / 'other.npz')
    torch.save(kept | {'hand': str(tmp_path / 'other.npz')}, tmp_path / 'others.pt')
    assert load_network(tmp_path / 'others.pt').hand_faces.shape == HandModel.load().faces.shape
    (tmp_path / 'other.npz').unlink()
    with pytest.raises(HandModelError, match='other.npz'):
        load_network(tmp_path / 'others.pt')
    # Weights without the hand score load too.
    torch.save(
        kept | {'weights': {name: value for name, value in kept['weights'].items() if not name.startswith('hand.')}},
        weights,
    )
    reconstruction_export.export(reconstruction_export.ReconstructionExport(weights))
    folder = weights.parent / 'models' / 'reconstruction'
    # Outputs without training are not exported.
    assert not {output.name for output in Card.load(folder).outputs} & {'right', 'holds', 'hand'}
    image = np.zeros((1, 3, 64, 64), np.float32)
    with torch.inference_mode():
        expected = load_network(weights)(torch.from_numpy(image)).hands[-1].keypoints.numpy()
    outputs = load_engine(folder, 'openvino')(image=image)
    np.testing.assert_allclose(outputs['keypoints'], expected, atol=1e-4)
    mesh = np.load(folder / OBJECT_MESH)
    assert mesh['faces'].max() == outputs['object'].shape[1] - 1
    np.testing.assert_allclose(mesh['directions'], load_network(weights).object_estimator.points.numpy(), atol=1e-6)
    # A mirrored sphere with its vertices in mirrored order is the same sphere: its faces still point outwards.
    sphere = load_network(weights).object_estimator.points.numpy()
    np.testing.assert_allclose((sphere * [-1, 1, 1])[mesh['mirror']], sphere, atol=1e-6)
    exported = evaluation.evaluate(ReconstructionEvaluation(folder, samples=2, splits=('test',)))
    for name in ('joint_error_mm', 'hand_similarity_mm', 'object_chamfer_mm2'):
        assert exported['test'][name] == pytest.approx(figures['test'][name], rel=0.01), name


@pytest.mark.slow
def test_frozen_encoders_keep_their_weights(records: np.ndarray, tmp_path: Path, rendered: None) -> None:
    torch.manual_seed(1)
    start = tmp_path / 'start.pt'
    torch.save({'weights': ReconstructionNet(SMALL).state_dict(), 'branch': 'both'}, start)
    recipe = ReconstructionRecipe(
        network=SMALL,
        losses=ReconstructionLosses(classes=3),
        first=len(records),
        start=start,
        encoders=False,
        loop=loop(tmp_path / 'run', steps=2, batch=4),
    )
    reconstruction.train(recipe)
    before, after = (
        torch.load(path, weights_only=True)['weights'] for path in (start, tmp_path / 'run' / 'weights.pt')
    )
    changed = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert 'hand_estimator' in changed and not changed & {'hand_encoder', 'object_encoder'}


@pytest.mark.slow
def test_a_training_of_the_hand_alone_starts_a_training_of_both(
    records: np.ndarray, tmp_path: Path, rendered: None
) -> None:
    config = dataclasses.replace(SMALL, readout='votes')
    alone = ReconstructionRecipe(
        network=dataclasses.replace(config, size=32),
        window=WINDOW,
        branch='hand',
        first=len(records),
        loop=loop(tmp_path / 'hand', steps=2, batch=9),
    )
    figures = reconstruction.train(alone)
    assert 'chamfer_mm2' not in figures and np.isfinite(figures['voted_pixels_percent'])
    weights = tmp_path / 'hand' / 'weights.pt'
    kept = torch.load(weights, weights_only=True)['weights']
    network = ReconstructionNet(config)
    untouched = network.from_hand.pool.clone()
    start_from(network, weights)
    for name, value in network.object_encoder.state_dict().items():
        torch.testing.assert_close(value, kept[f'hand_encoder.{name}'])
    for name in ('voting.votes.weight', 'side.0.weight', 'hand_estimator.regress.weight'):
        torch.testing.assert_close(network.state_dict()[name], kept[name])
    torch.testing.assert_close(network.from_hand.pool, untouched)
    with pytest.raises(WeightsError, match='holds another network: .* differs; use the same widths'):
        start_from(ReconstructionNet(dataclasses.replace(SMALL, widths=(8, 8, 16, 16))), weights)

    whole = tmp_path / 'whole.pt'
    torch.save({**torch.load(weights, weights_only=True), 'branch': 'both'}, whole)
    reconstruction.train(dataclasses.replace(alone, start=whole, loop=loop(tmp_path / 'on', steps=2, batch=9)))
    on = torch.load(tmp_path / 'on' / 'weights.pt', weights_only=True)
    assert on['branch'] == 'both'
    assert not torch.equal(on['weights']['voting.votes.weight'], kept['voting.votes.weight'])
    for name in ('object_encoder.stem.0.0.weight', 'object_estimator.of_point.weight', 'from_hand.pool'):
        torch.testing.assert_close(on['weights'][name], kept[name], rtol=0, atol=0)


@pytest.mark.slow
def test_a_training_of_the_object_keeps_the_hand(records: np.ndarray, tmp_path: Path, rendered: None) -> None:
    torch.manual_seed(4)
    config = dataclasses.replace(SMALL, readout='votes', size=32)
    start, out = tmp_path / 'start.pt', tmp_path / 'run'
    torch.save({'weights': ReconstructionNet(config).state_dict(), 'branch': 'both'}, start)
    recipe = ReconstructionRecipe(
        network=config,
        losses=ReconstructionLosses(classes=3),
        window=WINDOW,
        branch='object',
        first=len(records),
        start=start,
        loop=loop(out, steps=2, batch=4),
    )
    reconstruction.train(recipe)
    before, after = (torch.load(path, weights_only=True)['weights'] for path in (start, out / 'weights.pt'))
    changed = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {'object_encoder', 'object_estimator', 'from_hand', 'from_object', 'holds'}
    with pytest.raises(TrainingError, match='--branch object needs --start'):
        reconstruction.train(dataclasses.replace(recipe, start=None))
    crowded = dataclasses.replace(recipe, photos=tmp_path, photo_share=0.7, non_hand_share=0.3)
    with pytest.raises(TrainingError, match='add up to 1, expected less than 1'):
        reconstruction.train(crowded)


@pytest.mark.slow
def test_a_training_on_photos_says_how_it_reads_unseen_ones(
    records: np.ndarray, tmp_path: Path, rendered: None, photo_root: Path, located: Callable
) -> None:
    located('rgb_hands/leb_a', 'rgb_hands/rbh_a', *(f'rgb_hands_with_objects/core50_C_0{k}_01_000' for k in (3, 4)))
    recipe = ReconstructionRecipe(
        network=dataclasses.replace(SMALL, readout='votes'),
        branch='hand',
        photos=photo_root,
        non_hand_share=0.25,
        first=len(records),
        loop=loop(tmp_path / 'run', steps=2, batch=8),
    )
    figures = reconstruction.train(recipe)
    assert figures['mesh_on_photos_percent'] > 0 and figures['voted_on_photos_percent'] > 0
    assert 0 <= figures['side_right_on_photos'] <= 1
    real = torch.load(tmp_path / 'run' / 'weights.pt', weights_only=True)['real_images']
    assert real[MEDIAPIPE].startswith('keypoints of ') and any('images, MIT' in images for images in real.values())


@pytest.mark.slow
def test_the_result_can_hold_a_share_of_its_start(records: np.ndarray, tmp_path: Path, rendered: None) -> None:
    torch.manual_seed(3)
    start = tmp_path / 'start.pt'
    torch.save({'weights': ReconstructionNet(SMALL).state_dict(), 'branch': 'both'}, start)
    weights = [torch.load(start, weights_only=True)['weights']]
    for share in (0.0, 0.25, 1.0):
        out = tmp_path / str(share)
        recipe = ReconstructionRecipe(
            network=SMALL,
            losses=ReconstructionLosses(classes=3),
            first=len(records),
            start=start,
            start_share=share,
            loop=loop(out, steps=2, batch=4),
        )
        reconstruction.train(recipe)
        weights.append(torch.load(out / 'weights.pt', weights_only=True)['weights'])
    for name in ('hand_estimator.regress.weight', 'hand_encoder.stem.0.0.weight'):
        before, after, mixed, same = (each[name] for each in weights)
        assert not torch.equal(before, after)
        torch.testing.assert_close(mixed, 0.25 * before + 0.75 * after)
        torch.testing.assert_close(same, before)


@pytest.mark.parametrize(('share', 'wrong'), [(0.5, 'needs --start'), (1.5, 'expected 0 to 1')])
def test_a_share_needs_a_start_and_is_a_share(share: float, wrong: str) -> None:
    with pytest.raises(TrainingError, match=wrong):
        reconstruction.train(ReconstructionRecipe(start_share=share))


def test_a_data_set_needs_its_folder() -> None:
    with pytest.raises(SystemExit, match='--data freihand needs --root'):
        reconstruction.train(ReconstructionRecipe(network=SMALL, data='freihand'))
