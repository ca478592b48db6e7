# SPDX-License-Identifier: Apache-2.0
"""The semi-supervised stage of `contact`: filters, pseudo-labels, their sources, and a training of a few steps."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation
from torch import nn

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from training.data.synthetic.contact import ContactGrasps
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact_maps import ContactMaps
from training.evaluation.contact_refinement import surface_of
from training.loop.fitting import LoopConfig
from training.networks.contact.choice import contact_network
from training.networks.contact.gcn import GcnConfig
from training.recipes import contact_pseudo
from training.recipes import contact_unlabelled
from training.recipes.contact_filters import dissimilarity
from training.recipes.contact_filters import FilterConfig
from training.recipes.contact_filters import Mesh
from training.recipes.contact_filters import Verdict
from training.recipes.contact_pseudo import judged
from training.recipes.contact_pseudo import PseudoLabelConfig
from training.recipes.contact_pseudo import PseudoLabels
from training.recipes.contact_semi import ContactSemiRecipe
from training.recipes.contact_semi import NoUnlabelledGraspsError
from training.recipes.contact_semi import SemiLoss
from training.recipes.contact_semi import SemiWeights
from training.recipes.contact_semi import StudentConfig
from training.recipes.contact_semi import train
from training.recipes.contact_semi import train_network
from training.recipes.contact_unlabelled import generated
from training.recipes.contact_unlabelled import GraspFileError
from training.recipes.contact_unlabelled import of_file
from training.recipes.contact_unlabelled import scene_of
from training.recipes.contact_unlabelled import Unlabelled

SMALL = GcnConfig(width=16, head=(64, 32, 16))
COUNT = 3


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def stream() -> ContactGrasps:
    return ContactGrasps(4, 'held_out')


@pytest.fixture(scope='module')
def records(stream: ContactGrasps) -> np.ndarray:
    return np.stack([stream[index] for index in range(COUNT)])


@pytest.fixture(scope='module')
def unlabelled(records: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Unlabelled:
    """The records a little disturbed, as the recipe makes them."""
    patch = pytest.MonkeyPatch()
    patch.setattr(contact_unlabelled, 'filled', lambda *_, **__: records)
    with patch.context():
        return generated(COUNT, 4, None, tmp_path_factory.mktemp('pools') / 'some.pool', level='small')


@pytest.fixture(scope='module')
def network() -> nn.Module:
    torch.manual_seed(0)
    return contact_network('gcn', SMALL)


def closed(hand: HandModel, record: np.ndarray, moved: np.ndarray | float = 0.0) -> Mesh:
    translation = (record['translation'] + moved).astype(np.float32)
    return Mesh(hand.forward(record['pose'], record['shape'], translation).vertices, close_holes(hand.faces))


def structural_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The formula of Wang et al. (2004), a window at a time, of two pictures with a margin of 5 pixels."""
    offset = np.arange(11) - 5
    weights = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for row in range(first.shape[0] - 10):
        for column in range(first.shape[1] - 10):
            x, y = (image[row : row + 11, column : column + 11] for image in (first, second))
            a, b = (weights * x).sum(), (weights * y).sum()
            varied, spread = (weights * (x - a) ** 2).sum(), (weights * (y - b) ** 2).sum()
            shared = (weights * (x - a) * (y - b)).sum()
            like = (2 * a * b + 1e-4) * (2 * shared + 9e-4)
            values.append(like / ((a**2 + b**2 + 1e-4) * (varied + spread + 9e-4)))
    return float(np.mean(values))


def test_the_dissimilarity_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    first, second = np.zeros((2, 40, 40))
    first[14:26, 14:26], second[15:26, 13:27] = rng.random((12, 12)), rng.random((11, 14))
    padded = (np.pad(image, 5) for image in (first, second))
    assert dissimilarity(first, second) == pytest.approx(1 - structural_similarity(*padded), abs=1e-6)
    assert dissimilarity(first, first) == pytest.approx(0, abs=1e-9)
    plain = 1 - (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert dissimilarity(np.full((20, 20), 0.2), np.full((20, 20), 0.6)) == pytest.approx(plain)


def test_the_filters_reject_what_they_should(hand: HandModel, stream: ContactGrasps, records: np.ndarray) -> None:
    record, limits = records[0], FilterConfig()
    thing, surface = Mesh(*stream.mesh(0)), surface_of(record)
    scene = scene_of(closed(hand, record), thing, Rotation.identity())
    true = judged(closed(hand, record), surface, scene)
    assert true.kept(limits) and true.dissimilarity == pytest.approx(0, abs=1e-6)
    palm = closed(hand, record).vertices.mean(0)
    through = judged(closed(hand, record, surface.points.mean(0) - palm), surface, scene)
    assert through.penetration > limits.penetration and not through.kept(limits)
    away = judged(closed(hand, record, palm / np.linalg.norm(palm) * 0.12), surface, scene)
    assert away.chamfer > limits.chamfer and away.penetration == 0 and not away.kept(limits)
    assert away.dissimilarity > limits.dissimilarity and through.dissimilarity > 0.1


def test_each_filter_can_be_switched_off() -> None:
    bad = Verdict(9.0, 99.0, 0.9)
    for name in Verdict._fields:
        found = bad._replace(**{other: 0.0 for other in Verdict._fields if other != name})
        assert not found.kept(FilterConfig())
        assert found.kept(FilterConfig(**{name: np.inf}))


def test_no_label_reaches_the_unlabelled_grasps(records: np.ndarray, unlabelled: Unlabelled) -> None:
    estimates = unlabelled.estimates
    assert set(estimates.dtype.names) == {'pose', 'shape', 'translation', 'object_points', 'object_normals'}
    np.testing.assert_array_equal(estimates['object_points'], records['object_points'])
    apart = np.linalg.norm(estimates['translation'] - records['translation'], axis=1)
    assert (apart > 0).all() and (apart < 0.02).all()


def in_bins(contact: np.ndarray) -> np.ndarray:
    """The middle of the bin of each contact."""
    return (np.minimum(np.floor(10 * contact.astype(float)), 9) + 0.5) / 10


@pytest.fixture
def true_maps(records: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher knows the truth."""

    def told(
        teacher: nn.Module, grasps: NoisyGrasps, nodes: tuple[int, int], decoding: str = 'expectation'
    ) -> ContactMaps:
        places = [
            np.flatnonzero((records['object_points'] == own).all((1, 2)))[0] for own in grasps.records['object_points']
        ]
        truth = NoisyGrasps(records[places], grasps.pose, grasps.translation).truth
        return truth if decoding == 'expectation' else ContactMaps(in_bins(truth.hand), in_bins(truth.object))

    monkeypatch.setattr(contact_pseudo, 'predicted_by_nodes', told)


def test_true_contact_passes_and_false_contact_does_not(
    true_maps: None, records: np.ndarray, unlabelled: Unlabelled, network: nn.Module
) -> None:
    labels = PseudoLabels(unlabelled, PseudoLabelConfig(refreshed=1))
    assert not labels.kept.any()
    labels.turn(network, 0)
    assert None not in labels.verdicts and labels.kept.all()
    assert labels.rejected() == {'chamfer': 0, 'penetration': 0, 'dissimilarity': 0, 'kept': 1}
    wanted = np.concatenate([records['hand_contact'], records['object_contact']], 1)
    np.testing.assert_allclose(labels.contact, in_bins(wanted), atol=1e-3)
    beside = unlabelled.estimates.copy()
    beside['translation'] += np.float32(0.15)
    none = PseudoLabels(Unlabelled(beside, unlabelled.scenes), PseudoLabelConfig(FilterConfig(0.0, 0.0, 0.0)))
    none.turn(network, 0)
    assert not none.kept.any()


def test_labels_of_the_refined_grasp_are_those_of_its_surfaces(
    true_maps: None, records: np.ndarray, unlabelled: Unlabelled, network: nn.Module
) -> None:
    labels = PseudoLabels(unlabelled, PseudoLabelConfig(labels='refined'))
    labels.renew(network, np.array([1]))
    true = np.concatenate([records['hand_contact'], records['object_contact']], 1)[1].astype(float)
    assert np.corrcoef(labels.contact[1].astype(float), true)[0, 1] > 0.8
    assert not labels.contact[0].any() and labels.verdicts[0] is None


def test_labels_are_renewed_in_turns(true_maps: None, unlabelled: Unlabelled, network: nn.Module) -> None:
    labels, turned = PseudoLabels(unlabelled, PseudoLabelConfig(refreshed=2)), []
    renew = labels.renew
    labels.renew = lambda teacher, numbers: (turned.append(numbers.tolist()), renew(teacher, numbers))[1]
    for number in (1, 2, 3, 4):
        labels.turn(network, number)
    assert turned == [[0, 1, 2], [1, 2], [0, 1], [2, 0]]


def saved(network: nn.Module, path: Path) -> Path:
    kept = {'network': 'gcn', 'gcn': dataclasses.asdict(SMALL), 'points': [60, 80], 'before': []}
    torch.save({'weights': network.state_dict(), 'progress': {}, **kept}, path)
    return path


@pytest.fixture
def recipe(network: nn.Module, tmp_path: Path) -> ContactSemiRecipe:
    loop = LoopConfig(tmp_path / 'run', steps=3, batch=2, every=9, learning_rate=1e-3, threads=1, averaging=0.5)
    return ContactSemiRecipe(
        saved(network, tmp_path / 'weights.pt'),
        pool=tmp_path / 'labelled.pool',
        asked=20,
        loop=loop,
        pseudo=PseudoLabelConfig(every=2, refreshed=1),
        student=StudentConfig(perturbed=True),
    )


def test_a_training_ends_with_its_teacher(
    true_maps: None,
    recipe: ContactSemiRecipe,
    records: np.ndarray,
    unlabelled: Unlabelled,
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teachers, terms = [], []
    taught_by, call = SemiLoss.taught_by, SemiLoss.__call__
    monkeypatch.setattr(
        SemiLoss, 'taught_by', lambda self, teacher: (teachers.append(teacher), taught_by(self, teacher))[1]
    )
    monkeypatch.setattr(SemiLoss, '__call__', lambda self, *batch: (terms.append(call(self, *batch)), terms[-1])[1])
    student = copy.deepcopy(network)
    progress, figures = train_network(student, recipe, recipe.supervised(), records, records, unlabelled)
    assert progress.step == 3 and 'small_contact_f1' in figures
    (teacher,) = teachers
    own, first = student.state_dict(), network.state_dict()
    for name, value in teacher.state_dict().items():
        if name != 'prior':
            torch.testing.assert_close(value, own[name])
    assert not torch.equal(own['bins.weight'], first['bins.weight'])
    assert len(terms) == 3
    for found in terms:
        assert set(found) == {'supervised', 'unsupervised', 'consistency'}
        assert all(torch.isfinite(value) and value > 0 for value in found.values())


def test_labels_alone_ask_no_teacher(
    recipe: ContactSemiRecipe,
    records: np.ndarray,
    unlabelled: Unlabelled,
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = dataclasses.replace(recipe, weights=SemiWeights(unsupervised=0.0, consistency=0.0))
    turned: list[object] = []
    monkeypatch.setattr(PseudoLabels, 'renew', lambda self, *given: turned.append(given))
    train_network(copy.deepcopy(network), alone, alone.supervised(), records, records, unlabelled)
    assert not turned


def test_without_unlabelled_grasps_there_is_nothing_to_train(recipe: ContactSemiRecipe) -> None:
    with pytest.raises(NoUnlabelledGraspsError, match='--unlabelled is 0'):
        train(dataclasses.replace(recipe, unlabelled=0))


@pytest.fixture
def grasp_file(hand: HandModel, records: np.ndarray, stream: ContactGrasps, tmp_path: Path) -> Callable[..., Path]:
    """Writes a grasp, and the same mirrored, as lines."""

    def write(**changed: object) -> Path:
        pose = np.eye(4)
        pose[:3, 3] = 0.1, 0.0, 0.6
        joints = hand.forward(*(records[0][name] for name in ('pose', 'shape', 'translation'))).keypoints
        lines = []
        for side, flip in (('right', np.ones(3)), ('left', np.array([-1, 1, 1]))):
            mesh = stream.mesh(0)
            faces = mesh.faces if side == 'right' else mesh.faces[:, ::-1]
            trimesh.Trimesh(mesh.vertices * flip, faces, process=False).export(tmp_path / f'{side}.ply')
            own = pose.copy()
            own[:3, 3] *= flip
            placed = (joints + pose[:3, 3]) * flip
            grasp = {'object': f'{side}.ply', 'object_pose': own.tolist(), 'joints': placed.tolist(), 'side': side}
            lines.append(json.dumps({**grasp, **changed}))
        (tmp_path / 'grasps.jsonl').write_text('\n'.join(lines) + '\n')
        return tmp_path / 'grasps.jsonl'

    return write


def test_a_file_of_estimates_is_unlabelled_too(
    hand: HandModel, records: np.ndarray, grasp_file: Callable[..., Path]
) -> None:
    found = of_file(grasp_file())
    assert len(found.estimates) == len(found.scenes) == 2
    joints = [
        hand.forward(*(one[name] for name in ('pose', 'shape', 'translation'))).keypoints for one in found.estimates
    ]
    np.testing.assert_allclose(joints[0], joints[1], atol=1e-4)
    own = hand.forward(*(records[0][name] for name in ('pose', 'shape', 'translation'))).keypoints
    middle = found.estimates['object_points'][0].mean(0) - records[0]['object_points'].mean(0)
    assert np.linalg.norm(joints[0] - own - middle, axis=1).mean() < 0.002
    pair = closed(hand, found.estimates[0])
    assert found.scenes[0].picture is None, 'nothing shows the true hand'
    assert judged(pair, surface_of(found.estimates[0]), found.scenes[0]).kept(FilterConfig())
    both = found.and_also(found)
    assert len(both.estimates) == len(both.scenes) == 4


@pytest.mark.parametrize(
    ('changed', 'error'),
    [
        ({'object': 'none.obj'}, 'grasps.jsonl, line 1: .*none.obj'),
        ({'side': None}, "grasps.jsonl, line 1: side is None, expected 'right' or 'left'"),
        ({'joints': [[0, 0, 0]]}, 'grasps.jsonl, line 1: joints has the shape 1×3'),
    ],
)
def test_a_bad_line_is_named(grasp_file: Callable[..., Path], changed: dict[str, object], error: str) -> None:
    with pytest.raises(GraspFileError, match=error):
        of_file(grasp_file(**changed))


def test_a_file_without_grasps_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraspFileError, match='none.jsonl: not a readable text file'):
        of_file(tmp_path / 'none.jsonl')
    (tmp_path / 'empty.jsonl').write_text('\n')
    with pytest.raises(GraspFileError, match='empty.jsonl: no line in it'):
        of_file(tmp_path / 'empty.jsonl')
