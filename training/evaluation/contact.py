# SPDX-License-Identifier: Apache-2.0
"""How well networks of `contact` find the contact of perturbed grasps, beside a rule that knows distances only."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines.card import CARD_FILE
from hoi_ros.hand.contact_cloud import UNIT
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.stages.parts.contact_network import ContactNetwork as RobotNetwork
from hoi_ros.stages.parts.contact_network import nodes_of
from training.data.object_mesh import ObjectMesh
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.public.contact_choice import ContactDataChoice
from training.data.public.recorded import spread
from training.data.real.scans import scanned_objects
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import perturb
from training.evaluation.contact_maps import best_threshold
from training.evaluation.contact_maps import contact_figures
from training.evaluation.contact_maps import ContactMaps
from training.evaluation.contact_maps import TOUCHED
from training.evaluation.contact_refinement import refinement_figures
from training.evaluation.contact_refinement import RefinementOptions
from training.evaluation.contact_tables import print_tables
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import write_figures
from training.networks.contact.bins import decoded
from training.networks.contact.bins import Decoding
from training.networks.contact.choice import load_contact_network
from training.networks.contact.cloud import Cloud
from training.networks.contact.cloud import grasp_clouds
from training.networks.weights_file import read_weights

TEST_SEED = 1000
"""Seed of the test grasps."""
NOISE = 'small', 'large'
"""Levels of noise that are evaluated."""
_NOISE_SEED = 41
_BATCH = 4
"""Grasps of a batch at inference."""
_DISTANCES = np.arange(0.001, 0.1005, 0.0005)
"""Candidates of the rule's threshold, metres."""


@dataclasses.dataclass(frozen=True)
class ContactEvaluation(ContactDataChoice):
    """Prints figures of contact maps and of refined grasps on unseen objects, at both levels of noise."""

    weights: tuple[Path, ...] = (Path('runs/contact/weights.pt'),)
    """weights.pt of trainings, or folders of exported models, a row each."""
    grasps: int = 500
    """Grasps at each level of noise."""
    refined: int = 100
    """Those that are refined, evenly spread over the grasps; 0 measures the maps alone."""
    refinement: RefinementOptions = dataclasses.field(default_factory=RefinementOptions)
    split: str = 'test'
    """test: new shapes of the families that are trained on, or the test split of a public data set. held_out: two
    other families."""
    scans: Path | None = None
    """Folder of scanned objects; half of the objects are those of the split."""
    tuned_on: int = 200
    """Grasps of the validation split on which the threshold of the second row of the rule is chosen."""
    decoding: Decoding = 'expectation'
    pool: Path = Path('runs/contact.pool')
    """The grasps are kept beside it, as <name>_<split>.pool."""
    workers: int = 1
    """Processes that make grasps."""
    out: Path | None = None
    """JSON file for the figures."""
    ablation: bool = False
    """Print the tables of `ablate contact`, which trains their rows, instead."""


@dataclasses.dataclass(frozen=True)
class NoisyGrasps:
    """Records of grasps, and their perturbed hands."""

    records: np.ndarray
    """(G,)."""
    pose: np.ndarray
    """(G, 48)."""
    translation: np.ndarray
    """(G, 3)."""

    @classmethod
    def of(cls, records: np.ndarray, level: str, seed: int = _NOISE_SEED) -> NoisyGrasps:
        """Perturbs records at a level of noise; the noise of a record depends on its place and not on their number."""
        hand, found = HandModel.load(), []
        for number in range(len(records)):
            rng, some = np.random.default_rng([seed, NOISE.index(level), number]), records[number : number + 1]
            found.append(perturb(hand, some['pose'], some['translation'], level, rng))
        return cls(records, *(np.concatenate(part) for part in zip(*found, strict=True)))

    @property
    def truth(self) -> ContactMaps:
        """The contact of the clean grasps."""
        return ContactMaps(*(self.records[name].astype(np.float32) for name in ('hand_contact', 'object_contact')))

    def cloud(self, hand: HandModel, start: int, device: torch.device, rows: Tensor | None = None) -> Cloud:
        """The clouds of the grasps from `start` on, as many as a batch holds.

        Args:
            hand: the right hand in PyTorch tensors on the device.
            start: number of the first.
            device: of the result.
            rows: (N,) points that are in the clouds; all by default.
        """
        some = slice(start, start + _BATCH)
        records = self.records[some]
        parts = self.pose[some], records['shape'], self.translation[some], records['object_points']
        rows = None if rows is None else rows.expand(len(records), -1)
        return grasp_clouds(hand, *(_tensor(part, device) for part in (*parts, records['object_normals'])), rows)


def evaluate(config: ContactEvaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Prints and returns the figures by level of noise and row: those of the maps under the level's name, those of the
    refined grasps under the name and `, refined`."""
    if config.ablation:
        return print_tables()
    require_count(config.grasps, '--grasps')
    require_count(config.tuned_on, '--tuned-on')
    finders = {_label(path, config.weights): finder_of(path, config.decoding) for path in config.weights}
    tests = grasps_of(config.split, config.grasps, config.pool, config.workers, scans=config.scans, data=config)
    own = config if config.data == 'contact_pose' else None
    tuning = grasps_of('validation', config.tuned_on, config.pool, config.workers, data=own)
    chosen = spread(len(tests), config.refined) if config.refined else np.empty(0, int)
    refined = tests[chosen]
    meshes = meshes_of(refined, config.split, config.scans, config)
    figures = {}
    for level in ('large',) if config.data == 'contactopt' else NOISE:
        noisy, reference = noisy_grasps(tests, level, config), NoisyGrasps.of(tuning, level)
        gap, known = distances(noisy), distances(reference)
        within = -best_threshold(-known.both, reference.truth.both >= TOUCHED, -_DISTANCES)
        maps = {name: finder(noisy) for name, finder in finders.items()}
        rows = {name: contact_figures(found, noisy.truth) for name, found in maps.items()}
        for name, threshold in (
            ('nearest point within 4 mm', TOUCHING),
            (f'within {1e3 * within:g} mm (tuned)', within),
        ):
            touching = ContactMaps(*((part <= threshold).astype(np.float32) for part in (gap.hand, gap.object)))
            rows[name] = contact_figures(touching, noisy.truth)
        figures[level] = rows
        _print_rows(f'{level} noise, {len(tests)} grasps of the split {config.split}: F1 of touched points', rows)
        if len(refined):
            hands = noisy.pose[chosen], noisy.translation[chosen]
            rows = {}
            for name, found in {**maps, 'true contact': noisy.truth}.items():
                states = refinement_figures(refined, hands, found.rows(chosen), meshes, config.refinement)
                rows |= {'true grasps': states['truth'], 'before': states['before'], name: states['after']}
            figures[f'{level}, refined'] = rows
            _print_rows(f'{level} noise, {len(refined)} grasps refined: error, intersection, fingers that touch', rows)
        write_figures(figures, config.out)
    return figures


def grasps_of(
    split: str,
    count: int,
    pool: Path,
    workers: int = 1,
    until: float = math.inf,
    scans: Path | None = None,
    data: ContactDataChoice | None = None,
) -> np.ndarray:
    """Records of a held-out split, under the seed that belongs to it; half of the objects are scans, if given. Those of
    a public data set are spread evenly over its split."""
    if data is not None and data.data != 'synthetic':
        source = data.recorded(split, count)
        path = pool.with_stem(f'{pool.stem}_{data.data}_{split}_{count}')
        return filled(source.make, source.make().dtype, path, source.key, source.size, workers, until)
    make = _stream(split, scans)
    stem = f'{pool.stem}_{split}{"_scans" if scans else ""}_{count}'
    key = generator_key(_seed(split), split, modules=[ContactGrasps.__module__])
    return filled(make, make().dtype, pool.with_stem(stem), ScannedObjects.key(scans) + key, count, workers, until)


def meshes_of(
    records: np.ndarray, split: str, scans: Path | None = None, data: ContactDataChoice | None = None
) -> list[ObjectMesh]:
    """The objects of records of `grasps_of`; half as slow as the records."""
    stream = _stream(split, scans)() if data is None or data.data == 'synthetic' else data.stream(split)
    return [stream.mesh(int(record['index'])) for record in records]


def noisy_grasps(records: np.ndarray, level: str, config: ContactEvaluation) -> NoisyGrasps:
    """Records of `grasps_of` perturbed at a level of noise; those of ContactOpt with the noise of its file."""
    if config.data == 'contactopt':
        return NoisyGrasps(records, *config.perturbed(config.split, records['index']))
    return NoisyGrasps.of(records, level)


def finder_of(path: Path, decoding: Decoding = 'expectation') -> Callable[[NoisyGrasps], ContactMaps]:
    """Finds the contact of grasps, by the weights.pt of a training or as a robot does by a model folder.

    Raises:
        WeightsError, EngineError: there is no such network.
    """
    if (path / CARD_FILE).is_file():
        return functools.partial(_predicted_as_on_robots, path)
    network = load_contact_network(path)
    points = read_weights(path, 'train contact', 'points')['points']
    return lambda grasps: predicted_by_nodes(network, grasps, points, decoding)


def predicted(
    network: nn.Module,
    grasps: NoisyGrasps,
    decoding: Decoding = 'expectation',
    rows: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> ContactMaps:
    """The contact that a network finds.

    Args:
        network: in evaluation mode.
        grasps: noisy hands and objects.
        decoding: of the bins.
        rows: (N,) or (G, N) places in `ContactMaps.both` that are nodes of the graph, as many on each hand; all by
            default.
        asked: (M,) places in the rows whose contact is returned; all by default.
    """
    device = next(network.parameters()).device
    model = HandModel.load()
    hand, found = model.to_torch(device), []
    nodes, some = (None if part is None else torch.from_numpy(part).to(device) for part in (rows, asked))
    with torch.inference_mode():
        for start in range(0, len(grasps.records), _BATCH):
            own = nodes if nodes is None or nodes.ndim == 1 else nodes[start : start + _BATCH]
            cloud = grasps.cloud(hand, start, device, own)
            logits = network(*cloud, None if some is None else some.expand(len(cloud.points), -1))
            found.append(decoded(logits, network.prior, decoding).numpy(force=True))
    places = np.arange(len(model.template) + grasps.records['object_points'].shape[1])
    places = places if rows is None else places[rows if rows.ndim == 1 else rows[0]]
    places = places if asked is None else places[asked]
    return _maps(np.concatenate(found), int((places < len(model.template)).sum()))


def predicted_by_nodes(
    network: nn.Module, grasps: NoisyGrasps, counts: Sequence[int], decoding: Decoding = 'expectation'
) -> ContactMaps:
    """The contact that a network finds on some points of each grasp, interpolated to all as on robots.

    Args:
        network: in evaluation mode.
        grasps: noisy hands and objects.
        counts: points of the hand and of the object that are nodes of the graph; 0 takes all.
        decoding: of the bins.
    """
    if not any(counts):
        return predicted(network, grasps, decoding)
    template, points = HandModel.load().template, grasps.records['object_points']
    hand = nodes_of(template, counts[0] or len(template))
    things = [
        nodes_of(cloud.astype(np.float32), counts[1] or len(cloud), normals.astype(np.float32), ordered=True)
        for cloud, normals in zip(points, grasps.records['object_normals'])
    ]
    rows = np.stack([np.concatenate([hand.rows, len(template) + thing.rows]) for thing in things])
    found = predicted(network, grasps, decoding, rows)
    return ContactMaps(
        np.stack([hand.interpolated(contact) for contact in found.hand]),
        np.stack([thing.interpolated(contact) for thing, contact in zip(things, found.object)]),
    )


def _predicted_as_on_robots(folder: Path, grasps: NoisyGrasps) -> ContactMaps:
    """The contact that an exported network finds on its nodes, interpolated to all points."""
    model = HandModel.load()
    network = RobotNetwork(folder, model.template)
    found = []
    for record, pose, translation in zip(grasps.records, grasps.pose, grasps.translation):
        hand = model.forward(pose, record['shape'], translation)
        thing = (record[name].astype(np.float32) for name in ('object_points', 'object_normals'))
        found.append(network(hand.vertices, vertex_normals(hand.vertices, model.faces), *thing, hand.keypoints))
    network.close()
    return ContactMaps(*(np.stack(part).astype(np.float32) for part in zip(*found)))


def distances(grasps: NoisyGrasps) -> ContactMaps:
    """In the place of contact, the distance of each point to the nearest point of the other surface, metres."""
    cpu = torch.device('cpu')
    hand = HandModel.load().to_torch(cpu)
    starts = range(0, len(grasps.records), _BATCH)
    found = np.concatenate([grasps.cloud(hand, start, cpu).features[..., 2].numpy() for start in starts])
    return _maps(found * UNIT, len(hand.template))


def _maps(values: np.ndarray, vertices: int) -> ContactMaps:
    return ContactMaps(values[:, :vertices], values[:, vertices:])


def _seed(split: str) -> int:
    return 0 if split == 'validation' else TEST_SEED


def _stream(split: str, scans: Path | None) -> Callable[[], ContactGrasps]:
    return functools.partial(ContactGrasps, _seed(split), split, scanned_objects(scans, split))


def _print_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    print(title)
    for name, row in rows.items():
        print(f'  {name}')
        print_figures(row, indent='    ')


def _label(path: Path, others: tuple[Path, ...]) -> str:
    """The name of a run, or its path where two are alike."""
    names = [other.name if other.is_dir() else other.parent.name for other in others]
    name = names[others.index(path)]
    return str(path) if names.count(name) > 1 else name


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32)).to(device)
