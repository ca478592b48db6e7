# SPDX-License-Identifier: Apache-2.0
"""InterHand2.6M v1.0 (Moon et al., ECCV 2020): two hands that interact, as parameters of MANO by NeuralAnnot.

The folder of https://mks0601.github.io/InterHand2.6M, without images:

    annotations/train/InterHand2.6M_train_MANO_NeuralAnnot.json    [capture][frame][right, left]: null, or
                                                                    pose (48), shape (10), trans (3)
    annotations/train/InterHand2.6M_train_joint_3d.json            [capture][frame]: hand_type (right, left or
                                                                    interacting), hand_type_valid, world_coord …
    annotations/val/…, annotations/test/…

A record is a frame of hand_type interacting, valid, with the parameters of both hands; the cameras that saw it count
once. Hands are metres in the world of their capture. The parameters are those of smplx with `use_pca=False` and
`flat_hand_mean=False`: finger joints relative to MANO's mean pose. The left hand's shape belongs to the corrected shape
space, the mirror image of the right hand's: the authors' code turns the sign of `shapedirs[:, 0]` of MANO_LEFT.pkl
(https://github.com/vchoutas/smplx/issues/48), which is `HandModel.mirrored` of the converted MANO_RIGHT.pkl.

The licence is CC BY-NC 4.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.hand.pair import HandParameters
from training.data.public import dataset_files
from training.data.public.pair_records import ManoHands
from training.data.public.pair_records import PairRecords
from training.data.synthetic.two_hands.records import PAIR_DTYPE

SPLITS = {'train': 'train', 'validation': 'val', 'test': 'test'}
"""Names of the splits in the data set."""

_SIDES = 'right', 'left'
_PARTS = {'pose': 48, 'shape': 10, 'trans': 3}
_MEND = (
    'Download the annotations of InterHand2.6M v1.0 (https://mks0601.github.io/InterHand2.6M) and give the folder that '
    'holds annotations/train …'
)


class InterHand:
    """A split of InterHand2.6M: a stream of records of PAIR_DTYPE.

    Args:
        root: the folder that holds annotations/.
        split: one of SPLITS.
        hand: file of a converted MANO; the installed hand model by default.

    Attributes:
        dtype: PAIR_DTYPE.

    Raises:
        DatasetError: the folder or a file is missing or damaged, the hand model is no MANO, or no frame shows two
            hands.
    """

    def __init__(self, root: str | Path, split: str = 'train', hand: Path | None = None) -> None:
        dataset_files.require_choice('split of InterHand2.6M', split, tuple(SPLITS))
        name = SPLITS[split]
        folder = Path(root) / 'annotations' / name
        dataset_files.require_folder(folder, _MEND)
        self._mano = ManoHands(hand)
        self._records = PairRecords(self._mano.right)
        self.dtype = PAIR_DTYPE
        path = folder / f'InterHand2.6M_{name}_MANO_NeuralAnnot.json'
        hands = _captures(path)
        joints = _captures(folder / f'InterHand2.6M_{name}_joint_3d.json')
        kept = [
            _numbers(hands[capture][frame], path, f'frame {frame} of capture {capture}')
            for capture in sorted(hands, key=_number)
            for frame in sorted(hands[capture], key=_number)
            if _interact(joints.get(capture, {}).get(frame)) and _both(hands[capture][frame])
        ]
        if not kept:
            raise dataset_files.DatasetError(
                f'{path}: {sum(map(len, hands.values()))} frames, none of which shows two hands that interact. {_MEND}'
            )
        self._hands = np.array(kept, np.float32)

    def __len__(self) -> int:
        return len(self._hands)

    def __getitem__(self, index: int) -> np.ndarray:
        """One record.

        Raises:
            IndexError: no such record.
        """
        written = self._hands[dataset_files.sample_number(index, len(self))].astype(float)
        right, left = (self._hand(side, numbers) for side, numbers in zip(_SIDES, written, strict=True))
        return self._records.pair(right, left, index)

    def _hand(self, side: str, numbers: np.ndarray) -> HandParameters:
        return self._mano.hand(side, *np.split(numbers, np.cumsum(list(_PARTS.values()))[:-1]))


def _captures(path: Path) -> dict[str, dict[str, Any]]:
    content = dataset_files.read_json(path, _MEND)
    if not isinstance(content, dict) or not all(isinstance(frames, dict) for frames in content.values()):
        raise dataset_files.DatasetError(f'{path}: not frames by capture. {_MEND}')
    return content


def _number(name: str) -> tuple[int, str]:
    return int(name) if name.isdecimal() else -1, name


def _interact(labels: Any) -> bool:
    return isinstance(labels, dict) and labels.get('hand_type') == 'interacting' and bool(labels.get('hand_type_valid'))


def _both(hands: Any) -> bool:
    return isinstance(hands, dict) and all(hands.get(side) is not None for side in _SIDES)


def _numbers(hands: dict[str, Any], path: Path, place: str) -> np.ndarray:
    """(2, 61) pose, shape and translation of the right and the left hand."""
    try:
        found = [[np.array(hands[side][name], float).reshape(size) for name, size in _PARTS.items()] for side in _SIDES]
        numbers = np.array([np.concatenate(parts) for parts in found])
    except (KeyError, TypeError, ValueError) as error:
        raise dataset_files.DatasetError(
            f'{path}: {place} has no pose (48), shape (10) and trans (3) of a hand ({error!r}). {_MEND}'
        ) from error
    if not np.isfinite(numbers).all():
        raise dataset_files.DatasetError(f'{path}: {place} has numbers that are not finite. {_MEND}')
    return numbers
