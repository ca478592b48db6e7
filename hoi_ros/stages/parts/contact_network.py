# SPDX-License-Identifier: Apache-2.0
"""Runs the contact network: a hand and an object → contact on all points of both.

The network runs on some points of both surfaces, nodes of its graphs; the contact of the others is interpolated. The
neighbours are searched here, which is faster than to search them inside the graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.engines import load_engine
from hoi_ros.engines.loading import Backend
from hoi_ros.hand.contact_cloud import contact_cloud
from hoi_ros.hand.contact_cloud import ContactCloud
from hoi_ros.mesh.farthest_points import farthest_points

_FEW = 1024
"""Points up to which the distances between all of them are faster than a tree."""
_STEPS = 2**31 // _FEW - 2
"""Steps of rounded distances."""
_AT_ONCE = 50
"""Points whose distances are sorted at a time: larger arrays would be new memory from the system each time."""
_SHARING = 3
"""Nodes that a point between them is interpolated from."""
_FACING = 0.008
"""Least metres that a unit of the difference of normals counts: nodes on the far side of a thin plate are near. It is
half the way from one node to the next where these are far apart."""


class ContactMaps(NamedTuple):
    """Contact, 0 (never touched) to 1 (pressed firmly).

    Attributes:
        hand: (V,) float32 of the hand's vertices.
        object: (M,) float32 of the object's points.
    """

    hand: np.ndarray
    object: np.ndarray


class Nodes(NamedTuple):
    """Points of a surface that are nodes, and what the others are made of.

    Attributes:
        rows: (N,) their indices.
        sources: (P, 3) for each point, nodes that it is interpolated from.
        weights: (P, 3), each row sums to 1.
    """

    rows: np.ndarray
    sources: np.ndarray
    weights: np.ndarray

    def interpolated(self, values: np.ndarray) -> np.ndarray:
        """(P,) of values (N,) at the nodes."""
        return (values[self.sources] * self.weights).sum(1)


class ContactNetwork:
    """The network of a model folder.

    Args:
        folder: of the model.
        template: (V, 3) vertices of the hand model at rest, among which the nodes are chosen once.
        backend: of `load_engine`.
        threads: CPU threads; None leaves it to the backend.
    """

    def __init__(
        self, folder: Path, template: np.ndarray, backend: Backend = 'auto', threads: int | None = None
    ) -> None:
        self._engine = load_engine(folder, backend, threads=threads)
        parameters = self._engine.card.parameters
        self._neighbours, self._dilation = parameters['neighbours'], parameters['dilation']
        self._joint = parameters['search'] == 'joint'
        self._counts = parameters['hand_points'], parameters['object_points']
        self._hand = nodes_of(template, self._counts[0])

    def __call__(
        self,
        hand_points: np.ndarray,
        hand_normals: np.ndarray,
        object_points: np.ndarray,
        object_normals: np.ndarray,
        keypoints: np.ndarray,
    ) -> ContactMaps:
        """The contact of a right hand and an object in one frame; a left hand is mirrored before.

        Args:
            hand_points: (V, 3) vertices of the hand model, metres.
            hand_normals: (V, 3) unit normals, outwards.
            object_points: (M, 3) metres, those near each other one after the other, as of `even_places`.
            object_normals: (M, 3) unit normals, outwards.
            keypoints: (21, 3) of the hand, metres.
        """
        nodes = nodes_of(object_points, self._counts[1], object_normals, ordered=True)
        cloud = contact_cloud(
            hand_points, hand_normals, object_points, object_normals, keypoints, self._hand.rows, nodes.rows
        )
        hand, thing = len(self._hand.rows), len(nodes.rows)
        # Fewer points than the network takes are repeated.
        repeated = np.concatenate([np.arange(self._counts[0]) % hand, hand + np.arange(self._counts[1]) % thing])
        contact = self._engine(**network_inputs(cloud, self._neighbours, self._dilation, self._joint, repeated))
        found = contact['contact'][0]
        on_hand, on_object = found[:hand], found[self._counts[0] : self._counts[0] + thing]
        return ContactMaps(self._hand.interpolated(on_hand), nodes.interpolated(on_object))

    def close(self) -> None:
        """Frees the network's memory."""
        self._engine.close()


def network_inputs(
    cloud: ContactCloud, neighbours: int, dilation: int, joint: bool = False, asked: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The inputs of the exported network for one cloud, batch 1.

    Args:
        cloud: whose points are the nodes.
        neighbours: K.
        dilation: d.
        joint: whether neighbours are searched in position and features together.
        asked: (M,) nodes whose contact is computed; all by default.
    """
    points, features = cloud
    wanted = 1 + np.concatenate([np.arange(neighbours), np.arange(neighbours) * dilation])
    wanted = np.minimum(wanted, len(points))
    asked = np.arange(len(points)) if asked is None else asked
    if joint:
        near = alike = _nearest(np.concatenate([points, features], 1), asked, wanted)
    else:
        near, alike = _nearest(points, asked, wanted), _nearest(features, asked, wanted)
    return {
        'points': points[asked][None],
        'features': features[asked][None],
        'near': points.take(near, 0)[None],
        'alike': features.take(alike, 0)[None],
    }


def nodes_of(points: np.ndarray, count: int, normals: np.ndarray | None = None, ordered: bool = False) -> Nodes:
    """At most `count` of points (P, 3), spread evenly over them.

    Args:
        points: of a surface.
        count: of the nodes.
        normals: (P, 3) of the points; with them, a point is interpolated from nodes that face its way.
        ordered: whether points near each other follow one another, on equal areas as many: then every so-manyth is a
            node, which is quicker by milliseconds.
    """
    if ordered:
        rows = np.unique(np.linspace(0, len(points) - 1, min(count, len(points))).astype(int))
    else:
        rows = np.sort(farthest_points(points.astype(np.float32), count))
    sharing = min(_SHARING, len(rows))
    described = points
    if normals is not None and len(rows) > 1:
        apart = float(np.median(np.linalg.norm(np.diff(points[rows], axis=0), axis=1)))
        described = np.concatenate([points, max(_FACING, apart / 2) * normals], 1)
    distances, sources = cKDTree(described[rows]).query(described, range(1, sharing + 1))
    weights = 1 / np.maximum(distances, 1e-6) ** 2
    return Nodes(rows, sources, (weights / weights.sum(1, keepdims=True)).astype(np.float32))


def _nearest(values: np.ndarray, asked: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(M, W) indices of the neighbours of the values at `asked` whose ranks, from 1, are `wanted`."""
    if len(values) > _FEW:
        ranks, places = np.unique(wanted, return_inverse=True)
        return cKDTree(values).query(values[asked], ranks)[1][:, places]
    values = values - values.mean(0)
    squares = (values**2).sum(1)
    columns, most = np.ascontiguousarray(-2 * values.T), max(float(squares.max()), 1e-30)
    found = []
    for rows in np.array_split(asked, -(-len(asked) // _AT_ONCE)):
        distances = values[rows] @ columns
        distances += squares
        # Integers that hold a rounded distance and an index are sorted several times as fast as indices; distances lie
        # between −1 and 3 times the largest square. Of 10,000 neighbours six share a step with another one.
        keys = (distances * (_STEPS / 4 / most) + _STEPS / 4).astype(np.int32)
        keys *= _FEW
        keys += np.arange(len(values), dtype=np.int32)
        last = int(wanted.max())
        keys.partition(last - 1, 1)
        nearest = keys[:, :last]
        nearest.sort(1)
        found.append(nearest[:, wanted - 1] % _FEW)
    return np.concatenate(found)
