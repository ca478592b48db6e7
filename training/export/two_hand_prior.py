# SPDX-License-Identifier: Apache-2.0
"""Exports `two_hand_prior`, and the encoder of the objects that it has learnt with, to model folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import TIMES
from hoi_ros.stages.parts.object_points import COUNT
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import UNIT
from hoi_ros.stages.parts.pair_plausibility import change_of
from hoi_ros.stages.parts.pair_plausibility import quantiles_of
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.data.two_hand_pools import kept_records
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.two_hand_prior.choice import COMMAND
from training.networks.two_hand_prior.denoiser import Denoiser
from training.networks.two_hand_prior.generation import PairGenerator
from training.networks.two_hand_prior.object_encoder import ObjectEncoder
from training.networks.weights_file import read_weights
from training.networks.weights_file import WeightsError

LARGEST_BATCH = 256
"""Samples that an engine makes at once."""
_PAIRS = {
    'made': 'Made pairs of hands (training/data/synthetic/two_hands): the WebXR generic hand (MIT, Amazon), solved '
    'until points of both hands meet and nothing penetrates.',
    'tracked': ' Tracked pairs of real hands (Leap Motion, Apache-2.0), fitted with the same hand: {}.',
    'on_objects': ' Made pairs on parametric and scanned objects (YCB, CC BY 4.0): {}.',
}
"""Of the pairs, by their entry in weights.pt."""
_IN_PLACE = {
    'tracks': {'made': 'Tracked pairs of real hands (Leap Motion, Apache-2.0), fitted with the hand model: {}.'},
    'interhand': {'made': 'Pairs of hands of InterHand2.6M v1.0 (CC BY-NC 4.0), MANO: {}.'},
    'arctic': {'on_objects': ' Pairs on objects of ARCTIC (non-commercial research), MANO: {}.'},
}
"""Of data sets that replace made pairs, by name."""
_COMPARED = 4
"""Inputs on which the file is compared with PyTorch."""


@dataclasses.dataclass(frozen=True)
class TwoHandPriorExport(InstallOptions):
    """Writes the model folder two_hand_prior, and two_hand_object after a training with objects, beside the weights."""

    weights: Path = Path('runs/two_hand_prior/weights.pt')
    """weights.pt of a training of the denoiser."""
    held_out: Path | None = None
    """Pool of held-out pairs that the scores of samples are relative to: <pool>_validation.pool of the training.
    Without it samples have no scores."""
    hand: Path | None = None
    """Hand model (.npz) of the training; the installed one by default."""
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    """How robots sample by default."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


def export(config: TwoHandPriorExport) -> Card:
    """Exports the denoiser, the statistics of its numbers and the encoder of objects, and checks them.

    Returns:
        The card of the denoiser.

    Raises:
        WeightsError: the weights are those of a network that robots do not run.
    """
    trained = PairGenerator.load(config.weights, HandModel.load(config.hand))
    if not isinstance(trained.network, Denoiser):
        raise WeightsError(f'{config.weights} holds {trained.name}; robots run small ({COMMAND} --network small)')
    kept = read_weights(config.weights, COMMAND, 'pairs')
    texts = _PAIRS | _IN_PLACE.get(kept.get('data', 'made'), {})
    data = ''.join(text.format(count) for name, text in texts.items() if (count := kept['pairs'].get(name)))
    about = {
        'licence': LICENCE,
        'data': data,
        'training': {**training_of(f'python -m training {COMMAND}', kept), 'pairs': kept['pairs']},
        'figures': figures_of(kept),
    }
    inputs = [example(number, trained.object_width) for number in range(_COMPARED)]
    folder = run_folder(config.weights) / 'two_hand_prior'
    card = export_onnx(
        trained.network,
        inputs[0],
        [TensorSpec('clean', (1, SIZE), unit='standard deviations', meaning='clean right hand')],
        folder,
        {
            **about,
            'name': 'two_hand_prior',
            'inputs': specs(inputs[0]),
            'parameters': {
                **dataclasses.asdict(config.sampling),
                'object_width': trained.object_width,
                **({'changes': changes_of(trained, config.held_out)} if config.held_out else {}),
            },
            'largest_batch': LARGEST_BATCH,
        },
        further=inputs[1:],
    )
    trained.whitening.save(folder)
    install_export(config.weights, card, config.models, config)
    if trained.encoder is not None:
        _export_encoder(config, trained.encoder, about)
    return card


def _export_encoder(config: TwoHandPriorExport, encoder: ObjectEncoder, about: Mapping[str, Any]) -> None:
    """Exports the encoder of objects; the groups of their points are found outside."""
    inputs = [object_example(number) for number in range(_COMPARED)]
    card = export_onnx(
        encoder,
        inputs[0],
        [TensorSpec('embedding', (1, encoder.last.out_features), unit='1', meaning='input object of two_hand_prior')],
        run_folder(config.weights) / 'two_hand_object',
        {**about, 'name': 'two_hand_object', 'inputs': specs(inputs[0])},
        further=inputs[1:],
    )
    install_export(config.weights, card, config.models, config)


def changes_of(trained: PairGenerator, held_out: Path) -> dict[str, list[float]]:
    """What the card holds for the scores: quantiles of how much the denoiser changes held-out right hands, alone and
    beside the left ones."""
    pairs, sampler = kept_records(held_out, PAIR_DTYPE), trained.sampler
    return {
        'alone': quantiles_of(change_of(sampler, pairs['right'])),
        'beside': quantiles_of(change_of(sampler, pairs['right'], pairs['left'])),
    }


def example(number: int, object_width: int) -> dict[str, Tensor]:
    """Inputs of the denoiser: with and without anchor, and with and without object in turn."""
    rng = torch.Generator().manual_seed(number)
    inputs = {
        'noisy': torch.randn(1, SIZE, generator=rng),
        'time': torch.randint(1, TIMES + 1, (1, 1), generator=rng).float(),
        'anchor': torch.randn(1, SIZE, generator=rng),
        'has_anchor': torch.full((1, 1), float(number % 2 == 0)),
    }
    if object_width:
        inputs['object'] = torch.randn(1, object_width, generator=rng)
        inputs['has_object'] = torch.full((1, 1), float(number < 2))
    return inputs


def object_example(number: int) -> dict[str, Tensor]:
    """Inputs of the encoder of objects: an ellipsoid."""
    rng = np.random.default_rng(number)
    points = rng.standard_normal((1, COUNT, 3))
    points *= rng.uniform(0.3, 1.5, 3) / np.linalg.norm(points, axis=2, keepdims=True)
    inputs = {'points': points.astype(np.float32), **grouped(points)._asdict()}
    return {name: torch.from_numpy(part) for name, part in inputs.items()}


def specs(inputs: dict[str, Tensor]) -> list[TensorSpec]:
    """The inputs, described."""
    described = {
        'noisy': ('standard deviations', 'noisy right hand, see hoi_ros/hand/pair.py and whitening.npz'),
        'time': ('steps of the noise', f'0: clean, {TIMES}: noise alone'),
        'anchor': ('standard deviations', 'left hand, whitened as the right one'),
        'has_anchor': ('1', '1 where the left hand is given, else 0'),
        'object': ('1', 'embedding of an object, see two_hand_object'),
        'has_object': ('1', '1 where an object is given, else 0'),
        'points': (f'{UNIT} m', 'points on an object in its own frame, see hoi_ros/stages/parts/object_points.py'),
        'centres': ('1', 'numbers of the points that are centres of groups'),
        'neighbours': ('1', 'numbers of the points around each'),
        'coarse_centres': ('1', 'numbers of the centres that are centres of larger groups'),
        'coarse_neighbours': ('1', 'numbers of the centres around each'),
    }
    return [
        TensorSpec(name, tuple(value.shape), str(value.numpy().dtype), *described[name])
        for name, value in inputs.items()
    ]
