# SPDX-License-Identifier: Apache-2.0
"""The systems of the package, one entry each.

Replay, demo, launch files, benchmarks and tests walk over these entries; none of them knows a system by name. A new
system is its own files (a stage, a node, a launch file, an RViz configuration) and one entry here.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import Protocol

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate

ImageKind = Literal['depth', 'colour']
Output = Literal[
    'hands',
    'mesh_topology',
    'objects',
    'object_boxes',
    'markers',
    'overlay',
    'contacts',
    'grasps',
    'openxr_joints',
    'samples',
    'interaction',
]


class Stage(Protocol):
    """A stage that estimates hands: called with undistorted images in the order of its system's `images`, then their
    camera and stamp; optional images by their name. Only a stage that reconstructs objects has `object_faces`.

    The stage of a system that stands on another has no images: it is called with that one's hands, the faces of their
    objects and the stamp, and returns the same hands in the same order; `hoi_ros.playback.stage_chain` joins the two.
    """

    timings: dict[str, float]
    """Seconds that the parts of the last call took."""
    object_faces: np.ndarray
    """(F, 3) of `ObjectEstimate.vertices`."""

    def __call__(self, *arguments: Any, **optional: Any) -> Sequence[HandEstimate]:
        """The hands in these images."""

    def warm_up(self) -> None:
        """Runs once on artificial input, so that the first frame is as fast as the others."""

    def reset(self) -> None:
        """Forgets earlier frames."""

    def hand_model(self, side: str) -> HandModel:
        """The hand model of a side."""


@dataclasses.dataclass(frozen=True)
class System:
    """One system: where its parts are, what it reads and publishes."""

    name: str
    """Of the system, its node, its node's module, its launch file, its parameter file and its RViz configuration."""
    stage: str
    """Module and class of the stage, 'module:class'."""
    images: tuple[ImageKind, ...]
    """What the stage needs, in the order of its arguments. Empty for a system without a camera: one that stands on
    another takes that one's hands."""
    optional_images: tuple[ImageKind, ...] = ()
    """What the stage also uses where there is any, by keyword."""
    outputs: tuple[Output, ...] = ('hands', 'mesh_topology', 'markers', 'overlay')
    """Topics under the node's name."""
    stands_on: str | None = None
    """The system whose topics it reads."""
    scene: Mapping[str, str] = dataclasses.field(default_factory=lambda: types.MappingProxyType({}))
    """Parameters of the simulated camera for this system."""
    shown: str = 'the markers'
    """What its RViz configuration shows, for the description of the launch argument."""

    @property
    def has_objects(self) -> bool:
        """Whether its hands hold objects."""
        return 'objects' in self.outputs

    @property
    def has_contact(self) -> bool:
        """Whether it estimates where its hands touch their objects."""
        return 'contacts' in self.outputs

    @property
    def has_interaction(self) -> bool:
        """Whether it says what became of two hands that interact."""
        return 'interaction' in self.outputs

    @property
    def takes_grasps(self) -> bool:
        """Whether its stage describes grasps of hands and objects that it is called with, wherever they come from."""
        return not self.images and 'grasps' in self.outputs

    @property
    def source(self) -> System:
        """The system whose images it needs: the last one of those that it stands on, or itself."""
        return self if self.stands_on is None else SYSTEMS[self.stands_on].source

    @property
    def below(self) -> list[System]:
        """The systems that it stands on, that of the images first."""
        return [] if self.stands_on is None else [*SYSTEMS[self.stands_on].below, SYSTEMS[self.stands_on]]

    @property
    def node(self) -> str:
        """Module of its node; `python -m` runs it."""
        return f'hoi_ros.nodes.{self.name}'

    def load_stage(self, **arguments: Any) -> Stage:
        """Creates the stage; `backend`, `models` and the like are passed on.

        Raises:
            EngineError, HandModelError, ResourceError: a model is missing or damaged.
        """
        module, _, kind = self.stage.partition(':')
        create: Callable[..., Stage] = getattr(importlib.import_module(module), kind)
        return create(**arguments)


_ENTRIES = (
    System(
        name='depth_pose',
        stage='hoi_ros.stages.depth_pose:DepthPoseStage',
        images=('depth',),
        shown='markers, depth image and TF',
    ),
    System(
        name='reconstruction',
        stage='hoi_ros.stages.reconstruction:ReconstructionStage',
        images=('colour',),
        optional_images=('depth',),
        outputs=('hands', 'mesh_topology', 'objects', 'object_boxes', 'markers', 'overlay'),
        scene={'object': 'can'},
        shown='markers, boxes, colour image and TF',
    ),
    System(
        name='contact',
        stage='hoi_ros.stages.contact:ContactStage',
        images=(),
        outputs=('hands', 'mesh_topology', 'objects', 'object_boxes', 'markers', 'contacts', 'grasps', 'openxr_joints'),
        stands_on='reconstruction',
        scene={'object': 'can'},
        shown='meshes coloured by contact, contact points, grasps, colour image and TF',
    ),
    System(
        name='two_hand_prior',
        stage='hoi_ros.stages.two_hand_prior:TwoHandPriorStage',
        images=(),
        outputs=('hands', 'mesh_topology', 'markers', 'samples', 'interaction'),
        stands_on='depth_pose',
        scene={'side': 'both', 'motion': 'together'},
        shown='both hands, transparent samples, depth image and TF',
    ),
)

SYSTEMS: dict[str, System] = {system.name: system for system in _ENTRIES}
"""By name. The first one is the default of the command lines."""

DEFAULT = _ENTRIES[0].name
PIPELINE = 'contact'
"""The system that launch/pipeline.launch.py starts, with all that it stands on."""


def system_of_photos() -> System:
    """The first system that needs nothing but a colour image."""
    return next(system for system in SYSTEMS.values() if system.images == ('colour',))


def system_of(name: str) -> System:
    """The entry of a system.

    Raises:
        ValueError: there is no such system; the text names those that exist.
    """
    if name not in SYSTEMS:
        raise ValueError(f'the system is {name!r}, expected {" or ".join(SYSTEMS)}')
    return SYSTEMS[name]
