# SPDX-License-Identifier: Apache-2.0
"""How well networks of `contact` find the contact of perturbed grasps, beside a rule that knows distances only."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.contact_cloud import UNIT
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import TOUCHING
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import perturb
from training.evaluation.contact_maps import best_threshold
from training.evaluation.contact_maps import contact_figures
from training.evaluation.contact_maps import ContactMaps
from training.evaluation.contact_maps import TOUCHED
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import write_figures
from training.networks.contact.bins import decoded
from training.networks.contact.bins import Decoding
from training.networks.contact.choice import load_contact_network
from training.networks.contact.cloud import Cloud
from training.networks.contact.cloud import grasp_clouds

TEST_SEED = 1000
"""Seed of the test grasps."""
NOISE = 'small', 'large'
"""Levels of noise that are evaluated."""
_NOISE_SEED = 41
_BATCH = 4
"""Grasps of a batch at inference."""
_DISTANCES = np.arange(0.001, 0.0305, 0.0005)
"""Candidates of the rule's threshold, metres."""


@dataclasses.dataclass(frozen=True)
class ContactEvaluation:
    """Prints F1 and bin error of contact maps on grasps of unseen objects, at both levels of noise."""

    weights: tuple[Path, ...] = (Path('runs/contact/weights.pt'),)
    """weights.pt of trainings, a row each."""
    grasps: int = 500
    """Grasps at each level of noise."""
    split: str = 'test'
    """test: new shapes of the families that are trained on. held_out: two other families."""
    tuned_on: int = 200
    """Grasps of the validation split on which the threshold of the second row of the rule is chosen."""
    decoding: Decoding = 'expectation'
    pool: Path = Path('runs/contact.pool')
    """The grasps are kept beside it, as <name>_<split>.pool."""
    workers: int = 1
    """Processes that make grasps."""
    out: Path | None = None
    """JSON file for the figures."""


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
        """Perturbs records at a level of noise."""
        rng = np.random.default_rng([seed, NOISE.index(level)])
        return cls(records, *perturb(HandModel.load(), records['pose'], records['translation'], level, rng))

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
    """Prints and returns the figures by level of noise and row."""
    require_count(config.grasps, '--grasps')
    require_count(config.tuned_on, '--tuned-on')
    networks = {_label(path, config.weights): load_contact_network(path) for path in config.weights}
    tests = grasps_of(config.split, config.grasps, config.pool, config.workers)
    tuning = grasps_of('validation', config.tuned_on, config.pool, config.workers)
    figures = {}
    for level in NOISE:
        noisy, reference = NoisyGrasps.of(tests, level), NoisyGrasps.of(tuning, level)
        gap, known = distances(noisy), distances(reference)
        within = -best_threshold(-known.both, reference.truth.both >= TOUCHED, -_DISTANCES)
        rows = {
            name: contact_figures(predicted(network, noisy, config.decoding), noisy.truth)
            for name, network in networks.items()
        }
        for name, threshold in (('within 4 mm', TOUCHING), (f'within {1e3 * within:g} mm (tuned)', within)):
            touching = ContactMaps(*((part <= threshold).astype(np.float32) for part in (gap.hand, gap.object)))
            rows[name] = contact_figures(touching, noisy.truth)
        figures[level] = rows
        print(f'{level} noise, {len(tests)} grasps of the split {config.split}: F1 of touched points, error in bins')
        for name, row in rows.items():
            print(f'  {name}')
            print_figures(row, indent='    ')
    write_figures(figures, config.out)
    return figures


def grasps_of(split: str, count: int, pool: Path, workers: int = 1, until: float = math.inf) -> np.ndarray:
    """Records of a held-out split, under the seed that belongs to it."""
    seed = 0 if split == 'validation' else TEST_SEED
    make = functools.partial(ContactGrasps, seed, split)
    return filled(
        make,
        make().dtype,
        pool.with_stem(f'{pool.stem}_{split}_{count}'),
        generator_key(seed, split, modules=[ContactGrasps.__module__]),
        count,
        workers,
        until,
    )


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
        rows: (N,) places in `ContactMaps.both` that are nodes of the graph; all by default.
        asked: (M,) places in the rows whose contact is returned; all by default.
    """
    device = next(network.parameters()).device
    model = HandModel.load()
    hand, found = model.to_torch(device), []
    nodes, some = (None if part is None else torch.from_numpy(part).to(device) for part in (rows, asked))
    with torch.inference_mode():
        for start in range(0, len(grasps.records), _BATCH):
            cloud = grasps.cloud(hand, start, device, nodes)
            logits = network(*cloud, None if some is None else some.expand(len(cloud.points), -1))
            found.append(decoded(logits, network.prior, decoding).numpy(force=True))
    places = np.arange(len(model.template) + grasps.records['object_points'].shape[1])
    places = places if rows is None else places[rows]
    places = places if asked is None else places[asked]
    return _maps(np.concatenate(found), int((places < len(model.template)).sum()))


def distances(grasps: NoisyGrasps) -> ContactMaps:
    """In the place of contact, the distance of each point to the nearest point of the other surface, metres."""
    cpu = torch.device('cpu')
    hand = HandModel.load().to_torch(cpu)
    starts = range(0, len(grasps.records), _BATCH)
    found = np.concatenate([grasps.cloud(hand, start, cpu).features[..., 2].numpy() for start in starts])
    return _maps(found * UNIT, len(hand.template))


def _maps(values: np.ndarray, vertices: int) -> ContactMaps:
    return ContactMaps(values[:, :vertices], values[:, vertices:])


def _label(path: Path, others: tuple[Path, ...]) -> str:
    """The name of a run, or its path where two are alike."""
    name = path.parent.name
    return str(path) if [other.parent.name for other in others].count(name) > 1 else name


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32)).to(device)
