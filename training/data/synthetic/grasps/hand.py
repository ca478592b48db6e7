# SPDX-License-Identifier: Apache-2.0
"""A random person's right hand that closes from an opened to a closed posture."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import joint_angles
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.simulation.finger_closing import Fingers
from training.data.synthetic.grasps.anatomy import HandAnatomy
from training.data.synthetic.grasps.anatomy import THUMB
from training.data.synthetic.grasps.grips import Grip
from training.data.synthetic.grasps.placement import aligned_frames
from training.data.synthetic.grasps.placement import Placement
from training.data.synthetic.grasps.placement import Tunnels

_FINGER_CLEARANCE = 0.005
"""Least distance of a finger's skin from another finger's bones, metres."""
_PALM_CLEARANCE = 0.008
"""Least distance of a finger's skin from the palm's bones, metres."""


class GraspingHand:
    """A hand in its own rest frame, metres.

    Args:
        anatomy: the hand model.
        grip: the grip for which the hand opens and closes.
        rng: source of its shape and of its habits.
    """

    def __init__(self, anatomy: HandAnatomy, grip: Grip, rng: np.random.Generator) -> None:
        self.anatomy, self.grip = anatomy, grip
        self.shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
        limits = anatomy.model.limits
        twist = rng.normal(0, 0.3, (16, 3)) * (limits[..., 1] - limits[..., 0]) / 2 * [0, 0, 1]
        habit = rng.normal(0, 1, (4, 5)) * [[0.05], [0.05], [0.05], [0.15]]
        self._opened, self._closed = (
            joint_angles(anatomy.model, np.array(shares) + habit + rng.normal(0, 0.03, (4, 5)), twist)
            for shares in (grip.opened, grip.closed)
        )

    def vertices(self, progress: np.ndarray) -> np.ndarray:
        """(..., V, 3) vertices for each joint's progress (..., 16)."""
        return self._posed(self.anatomy.model, progress)

    def core(self, progress: np.ndarray) -> np.ndarray:
        """(..., V, 3) vertices of the core under the skin."""
        return self._posed(self.anatomy.core, progress)

    def fingers(self, fingers: Fingers, progress: np.ndarray) -> np.ndarray:
        """(..., N, 3) vertices of the core of some fingers."""
        return self._posed(fingers.model, progress)

    def turn_thumb(self, rng: np.random.Generator) -> None:
        """Replaces the thumb's closed posture by a random one."""
        limits, joints = self.anatomy.model.limits, FINGER_JOINTS[THUMB]
        self._closed[joints, 0] = rng.uniform([0.5, 0.2, 0.1], [1.0, 0.9, 0.8]) * limits[joints, 0, 1]
        self._closed[joints[0], 1] = rng.uniform(*limits[joints[0], 1])

    def landmarks(self, progress: np.ndarray) -> np.ndarray:
        """(..., 7, 3) the five pads, the middle finger's side, and the palm's middle."""
        return self._posed(self.anatomy.landmarks, progress)

    def arm(self) -> np.ndarray:
        """(N, 3) points on the surface of a straight forearm."""
        model = self.anatomy.model
        wrist = self.wrist()
        along = model.joints[JOINT_NAMES.index('middle_mcp')] - model.joints[0]
        along = along / np.linalg.norm(along)
        across = np.cross(along, model.axes[JOINT_NAMES.index('middle_mcp')][:, 1])
        turn = np.arange(8) * np.pi / 4
        ring = 0.032 * (np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(along, across))
        return (wrist - np.arange(0.03, 0.25, 0.03)[:, None, None] * along + ring).reshape(-1, 3)

    def opened_for(self, widths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Tunnels]:
        """Opens the hand for objects of given widths (N,).

        Returns:
            (N,) progress of the joints, NaN where the hand cannot span the object, and the tunnels in the hand's frame
            in which the object should lie.
        """
        grip = self.grip
        steps = np.linspace(0, 0.8, 9)
        marks = self.landmarks(np.repeat(steps[:, None], 16, 1)).astype(float)
        thumb, palm = marks[:, 0], marks[:, 6]
        fingers = marks[:, 5] if grip.side else marks[:, list(grip.fingers)].mean(1)
        apertures = np.linalg.norm(fingers - thumb, axis=1)
        wanted = np.minimum(widths + rng.uniform(*grip.clearance, len(widths)), 0.97 * apertures[0])
        wanted = np.where(wanted > widths + 0.6 * grip.clearance[0], wanted, np.inf)
        step = len(steps) - 1 - (apertures > wanted[:, None])[:, ::-1].argmax(1)
        if grip.fist:
            middles, frames = self._fist(widths, rng)
        else:
            middles = (thumb + fingers)[step] / 2
            frames = aligned_frames((fingers - thumb)[step], middles - palm[step])
        if grip.side:
            middles = fingers[step] - widths[:, None] / 2 * frames[:, :, 0]
        return np.where(np.isfinite(wanted), steps[step], np.nan), Tunnels(middles, widths, frames)

    def _fist(self, widths: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Middles (N, 3) and frames (N, 3, 3) of objects in the palm, leaning towards the fingertips by the thumb."""
        model = self.anatomy.model
        across, inwards, along = model.axes[JOINT_NAMES.index('middle_mcp')].T.astype(float)
        lean = rng.normal(0.35, 0.2, (len(widths), 1))
        frames = aligned_frames(
            np.cos(lean) * along - np.sin(lean) * across, np.broadcast_to(-inwards, (len(widths), 3))
        )
        base = 0.9 * model.joints[FINGER_JOINTS[1:, 0]].mean(0) + 0.1 * model.joints[0]
        middles = base - (widths[:, None] / 2 + 0.012) * inwards + rng.normal(0, 0.006, (len(widths), 1)) * along
        return middles, frames

    def runs_into_itself(self, progress: np.ndarray) -> bool:
        """Whether a finger's skin is closer to the bones of another finger or of the palm than flesh allows."""
        posed = self.anatomy.model.forward(self._pose(progress), self.shape, np.zeros(3, np.float32))
        points = posed.keypoints
        chains = points[1:].reshape(5, 4, 3)
        skin, owner = posed.vertices[self.anatomy.bent_vertices], self.anatomy.bent_fingers
        for finger in range(5):
            first = 1 if finger == THUMB else 0
            near = _to_segments(skin[owner != finger], chains[finger, first:-1], chains[finger, first + 1 :])
            if near.min() < _FINGER_CLEARANCE:
                return True
        palm = np.broadcast_to(points[0], (4, 3)), points[[5, 9, 13, 17]]
        return bool(_to_segments(skin[owner != THUMB], palm[0], palm[1]).min() < _PALM_CLEARANCE)

    def parameters(self, progress: np.ndarray, place: Placement) -> tuple[np.ndarray, np.ndarray]:
        """Pose (48,) and translation (3,) of the hand model at a placement."""
        pose = self._pose(progress)
        pose[:3] = Rotation.from_matrix(place.rotation).as_rotvec()
        # The model turns about its wrist, the placement about the origin of the rest frame.
        wrist = self.wrist()
        return pose, (place.of(wrist) - wrist).astype(np.float32)

    def wrist(self) -> np.ndarray:
        """(3,) place of the wrist in the rest frame, metres."""
        return self.anatomy.model.wrist(self.shape)

    def _pose(self, progress: np.ndarray) -> np.ndarray:
        angles = self._opened + progress[..., None] * (self._closed - self._opened)
        return self.anatomy.model.pose_of(angles).astype(np.float32)

    def _posed(self, model: HandModel, progress: np.ndarray) -> np.ndarray:
        translation = np.zeros((*progress.shape[:-1], 3), np.float32)
        return model.forward(self._pose(progress), self.shape, translation).vertices


def _to_segments(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances (N, S) of points (N, 3) from segments (S, 3)."""
    along = ends - starts
    share = ((points[:, None] - starts) * along).sum(-1) / (along * along).sum(-1)
    nearest = starts + np.clip(share, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=-1)
