# SPDX-License-Identifier: Apache-2.0
"""ContactPose (Brahmbhatt et al., ECCV 2020): hands that hold 25 printed objects, with thermal maps of their contact.

The folder `data/contactpose_data` of https://github.com/facebookresearch/ContactPose:

    full1_use/apple/annotations.json     frames, cameras, and two hands, left and right: valid, moving, joints (21, 3)
    full1_use/apple/mano_fits_15.json    two hands: valid, pose (18), betas (10), mTc; only used by a converted MANO
    full1_use/apple/apple.ply            the object in metres; its vertices' colours are grey, 0 to 1: the heat
    full1_handoff/…, full50_use/…        50 participants, two intents

Joints are metres in the order of `KEYPOINT_NAMES`, in the object's frame. Those of a moving hand are in the hand's own
frame, into which hTo (translation, and rotation as a quaternion w, x, y, z) of each video frame takes the object; the
frame in the middle counts. The sigmoid of the data set makes contact of heat (`contact_of_heat`). Black vertices, which
no camera saw, take the contact of the nearest one that was seen. Where two hands hold an object, the heat of a place
belongs to the nearer hand.

The setups, since the data set has no split for refinement:

* contactopt: the last fifth of the grasps, by participant, handoff before use, then by object, is the test split, as in
  ContactOpt (Grady et al., CVPR 2021) and S²Contact. Both take the 1,768 grasps of one right hand alone, and the
  objects of a session in the order of the file system, here by name. It has the last participants and no new object.
* objects, participants: the test splits of ContactPose's own networks (https://github.com/samarth-robo/ContactPose-ML):
  mug, pan and wine glass, or participants 5, 15, 25, 35 and 45.

The last tenth of what is left validates. Code and data are under the MIT licence (README of the repository); the 3D
models have licences of their own.

    python -m training.data.public.contact_pose --root DIR --out grasps.jsonl --noise large

writes grasps for `python -m hoi_ros.replay --stage contact --grasps grasps.jsonl --out DIR`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any
from typing import Literal
from typing import NamedTuple

import numpy as np
import trimesh
import tyro
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from hoi_ros.hand.annotated import carried
from hoi_ros.hand.model import HandModelError
from training.data.object_mesh import ObjectMesh
from training.data.public import dataset_files
from training.data.public.contact_records import completed
from training.data.public.contact_records import contact_of_heat
from training.data.public.contact_records import contact_of_one
from training.data.public.contact_records import FLIP
from training.data.public.contact_records import HandParameters
from training.data.public.contact_records import ManoParameters
from training.data.public.contact_records import mirrored
from training.data.public.contact_records import read_heat
from training.data.public.contact_records import RecordedHands
from training.data.synthetic.contact.perturbation import perturb

SPLITS = ('train', 'validation', 'test')
SETUPS = ('contactopt', 'objects', 'participants')
HANDS = ('right', 'all')
UNSEEN_OBJECTS = ('mug', 'pan', 'wine_glass')
UNSEEN_PARTICIPANTS = (5, 15, 25, 35, 45)

_NO_GRASPS = ('hands', 'palm_print')
_INTENTS = ('handoff', 'use')
_SESSION = re.compile(r'full(\d+)_(handoff|use)')
_NOISE_SEED = 41
_MEND = (
    'Download the grasps and the contact maps of ContactPose (scripts/download_data.py --type grasps, --type '
    'contact_maps of https://github.com/facebookresearch/ContactPose, or https://dx.doi.org/10.21227/fb0w-gt48) and '
    'give the folder that holds full1_use/ …'
)


class PosedGrasp(NamedTuple):
    """An object in the hands of a participant.

    Attributes:
        folder: of its files, named as the object.
        participant: 1 to 50.
        intent: 'handoff' or 'use'.
        joints: (21, 3) of each hand by side, metres, in the object's frame.
        frames: (4, 4) of each hand by side, from the frame of its labels and of its MANO fit to the object's.
    """

    folder: Path
    participant: int
    intent: str
    joints: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]


class ContactPose:
    """A split of ContactPose: a stream of records of `contact`, one a hand.

    Args:
        root: the folder that holds full1_use/ ….
        split: one of SPLITS.
        setup: one of SETUPS.
        hands: 'right', grasps of one right hand alone, or 'all', where each hand of a grasp has a record.
        hand: file of the right hand that the records describe; the installed model by default.

    Raises:
        DatasetError: the folder or a file of labels is missing or damaged, or the split is empty.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = 'train',
        setup: str = 'contactopt',
        hands: str = 'right',
        hand: Path | None = None,
    ) -> None:
        dataset_files.require_choice('split of ContactPose', split, SPLITS)
        dataset_files.require_choice('setup of ContactPose', setup, SETUPS)
        dataset_files.require_choice('hands of ContactPose', hands, HANDS)
        dataset_files.require_folder(Path(root), _MEND)
        grasps = _grasps(Path(root))
        chosen = [grasp for grasp in grasps if grasp.joints and (hands == 'all' or list(grasp.joints) == ['right'])]
        self._places = [(grasp, side) for grasp in split_of(chosen, setup, split) for side in grasp.joints]
        if not self._places:
            raise dataset_files.DatasetError(
                f'{root}: {len(grasps)} grasps, of which none is in the split {split} of the setup {setup} with hands '
                f'{hands}. {_MEND}'
            )
        self._hands = RecordedHands(hand)
        self.dtype = self._hands.dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `dtype`.

        Raises:
            IndexError: no such record.
            DatasetError: the thermal map is missing or damaged, or the joints span no hand.
        """
        grasp, side = self.place(index)
        path = _map_of(grasp)
        mesh, heat = read_heat(path, _MEND)
        try:
            contact = completed(mesh.vertices, contact_of_heat(heat))
        except ValueError as error:
            raise dataset_files.DatasetError(f'{path}: {error}. {_MEND}') from error
        if len(grasp.joints) > 1:
            hands = {name: self._hands.vertices(joints, name) for name, joints in grasp.joints.items()}
            own = hands.pop(side)
            contact = contact_of_one(mesh.vertices, contact, own, *hands.values())
        if side == 'left':
            mesh = mirrored(mesh)
        return self._hands.record(self._parameters(grasp, side), mesh, contact, index)

    def mesh(self, index: int) -> ObjectMesh:
        """The object's mesh of a record."""
        grasp, side = self.place(index)
        mesh, _ = read_heat(_map_of(grasp), _MEND)
        return mirrored(mesh) if side == 'left' else mesh

    def place(self, index: int) -> tuple[PosedGrasp, str]:
        """The grasp of a record, and the side of its hand before it is mirrored."""
        return self._places[dataset_files.sample_number(index, len(self))]

    def perturbed(self, index: int, level: str, rng: np.random.Generator) -> np.ndarray:
        """(21, 3) labelled joints of a hand as the perturbed hand carries them, before it is mirrored, metres.

        Args:
            index: of the record.
            level: of `training.data.synthetic.contact.perturbation`.
            rng: source of the noise.
        """
        grasp, side = self.place(index)
        hand, model = self._parameters(grasp, side), self._hands.model
        pose, translation = perturb(model, hand.pose[None], hand.translation[None], level, rng)
        flip = FLIP if side == 'left' else np.ones(3)
        before = model.forward(*hand, vertices=False)
        after = model.forward(pose[0], hand.shape, translation[0], vertices=False)
        return carried(grasp.joints[side] * flip, before, after) * flip

    def _parameters(self, grasp: PosedGrasp, side: str) -> HandParameters:
        flip = FLIP if side == 'left' else np.ones(3)
        mano = _mano(grasp) if side == 'right' and self._hands.is_mano else None
        try:
            return self._hands.parameters(grasp.joints[side] * flip, mano)
        except ValueError as error:
            raise dataset_files.DatasetError(
                f'{_labels_of(grasp.folder)}: the {side} hand is none ({error}). {_MEND}'
            ) from error


def split_of(grasps: list[PosedGrasp], setup: str, split: str) -> list[PosedGrasp]:
    """The grasps of a split, see above.

    Args:
        grasps: all, by participant, intent and object.
        setup: one of SETUPS.
        split: one of SPLITS.
    """
    first = int(0.8 * len(grasps))
    tests = {
        'contactopt': [number >= first for number in range(len(grasps))],
        'objects': [grasp.folder.name in UNSEEN_OBJECTS for grasp in grasps],
        'participants': [grasp.participant in UNSEEN_PARTICIPANTS for grasp in grasps],
    }[setup]
    if split == 'test':
        return [grasp for grasp, test in zip(grasps, tests, strict=True) if test]
    left = [grasp for grasp, test in zip(grasps, tests, strict=True) if not test]
    first = int(0.9 * len(left))
    return left[:first] if split == 'train' else left[first:]


def _folders(root: Path) -> list[tuple[int, str, Path]]:
    """Participant, intent and folder of all grasps, in this order."""
    found = []
    for session in root.iterdir():
        named = _SESSION.fullmatch(session.name)
        if named and session.is_dir():
            folders = (path for path in session.iterdir() if path.is_dir() and path.name not in _NO_GRASPS)
            found += [(int(named[1]), named[2], folder) for folder in folders]
    if not found:
        raise dataset_files.DatasetError(f'{root}: no full1_use/apple/ or the like in it. {_MEND}')
    return sorted(found, key=lambda item: (item[0], _INTENTS.index(item[1]), item[2].name))


@functools.lru_cache(maxsize=1)
def _grasps(root: Path) -> tuple[PosedGrasp, ...]:
    """All grasps; kept, since reading their labels takes a while."""
    return tuple(_grasp(folder) for folder in _folders(root))


def _labels_of(folder: Path) -> Path:
    return folder / 'annotations.json'


def _map_of(grasp: PosedGrasp) -> Path:
    return grasp.folder / f'{grasp.folder.name}.ply'


def _grasp(place: tuple[int, str, Path]) -> PosedGrasp:
    participant, intent, folder = place
    path, joints, frames = _labels_of(folder), {}, {}
    labels = dataset_files.read_json(path, _MEND)
    try:
        for number, side in enumerate(('left', 'right')):
            hand = labels['hands'][number]
            if hand['valid']:
                middle = labels['frames'][len(labels['frames']) // 2]
                frames[side] = np.linalg.inv(_pose(middle['hTo'][number])) if hand['moving'] else np.eye(4)
                joints[side] = trimesh.transform_points(np.array(hand['joints'], float).reshape(21, 3), frames[side])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise dataset_files.DatasetError(
            f'{path}: not the frames and the two hands of a grasp, each with valid, moving and 21 joints ({error!r}). '
            f'{_MEND}'
        ) from error
    return PosedGrasp(folder, participant, intent, joints, frames)


def _mano(grasp: PosedGrasp) -> ManoParameters | None:
    """The right hand of the data set's MANO fits; None if there are none."""
    path = grasp.folder / 'mano_fits_15.json'
    if not path.is_file():
        return None
    fits = dataset_files.read_json(path, _MEND)
    try:
        fit = fits[1]
        if not fit['valid']:
            return None
        pose, shape = np.array(fit['pose'], float).reshape(18), np.array(fit['betas'], float).reshape(10)
        return ManoParameters(pose, shape, grasp.frames['right'] @ np.linalg.inv(_pose(fit['mTc'])))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise dataset_files.DatasetError(
            f'{path}: not the pose (18), betas (10) and mTc of two hands ({error!r}). {_MEND}'
        ) from error


def _pose(written: dict[str, Any]) -> np.ndarray:
    """(4, 4) of a translation and a quaternion w, x, y, z."""
    rotation = Rotation.from_quat(np.roll(np.array(written['rotation'], float).reshape(4), -1)).as_matrix()
    return dataset_files.rigid(rotation, np.array(written['translation'], float).reshape(3))


@dataclasses.dataclass(frozen=True)
class GraspExport:
    """Writes grasps of ContactPose for `python -m hoi_ros.replay --stage contact --grasps`."""

    root: Path
    """The folder that holds full1_use/ …."""
    out: Path
    """The .jsonl file: a line has the object's file, the 21 joints in its frame, the side, and the true joints."""
    noise: Literal['none', 'small', 'large'] = 'none'
    """none: the labelled joints. small, large: moved with the hand model that is fitted to them and perturbed."""
    split: Literal['train', 'validation', 'test'] = 'test'
    setup: Literal['contactopt', 'objects', 'participants'] = 'contactopt'
    hands: Literal['right', 'all'] = 'right'
    """right: grasps of one right hand alone; all: each hand of all grasps."""
    count: int | None = None
    """Grasps, evenly spread over the split; all by default."""


def export(config: GraspExport) -> None:
    """Writes the file.

    Raises:
        DatasetError: the folder does not hold the data set.
    """
    stream = ContactPose(config.root, config.split, config.setup, config.hands)
    count = len(stream) if config.count is None else min(config.count, len(stream))
    if count < 1:
        raise dataset_files.DatasetError(f'--count is {config.count}, expected 1 or more')
    lines = []
    for index in tqdm(np.unique(np.linspace(0, len(stream) - 1, count).astype(int)).tolist(), unit='grasp'):
        grasp, side = stream.place(index)
        path = _map_of(grasp).resolve()
        dataset_files.require_file(path, _MEND)
        joints = truth = grasp.joints[side]
        if config.noise != 'none':
            joints = stream.perturbed(index, config.noise, np.random.default_rng([_NOISE_SEED, index]))
        named = {'object': str(path), 'side': side}
        places = {name: np.round(part, 6).tolist() for name, part in (('joints', joints), ('true_joints', truth))}
        lines.append(json.dumps({**named, **places}))
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_text('\n'.join(lines) + '\n')
    print(f'{config.out}: {len(lines)} of {len(stream)} hands of the split {config.split}, noise {config.noise}')


def main(config: GraspExport) -> None:
    try:
        export(config)
    except (dataset_files.DatasetError, HandModelError, OSError) as error:
        raise SystemExit(f'error: {error}') from error


if __name__ == '__main__':
    main(tyro.cli(GraspExport, prog='python -m training.data.public.contact_pose'))
