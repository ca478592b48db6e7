# SPDX-License-Identifier: Apache-2.0
"""A converted MANO file keeps its pose space."""

import pickle
from pathlib import Path

import numpy as np

from hoi_ros.hand import HandModel
from training.hand import mano
from training.hand.mano import PoseSpace


def test_a_converted_mano_file_keeps_its_pose_space(tmp_path: Path) -> None:
    hand, rng = HandModel.load(), np.random.default_rng(3)
    mean, components = rng.normal(0, 0.1, 45), np.linalg.qr(rng.normal(size=(45, 45)))[0]
    regressor = np.stack(
        [
            np.linalg.lstsq(
                np.append(hand.template, np.ones((len(hand.template), 1)), 1).T, np.append(joint, 1), rcond=None
            )[0]
            for joint in hand.joints
        ]
    )
    parents = np.array([[2**32 - 1, *hand.parents[1:]], range(16)], np.uint32)
    content = {
        'v_template': hand.template,
        'shapedirs': hand.shape_basis,
        'J_regressor': regressor,
        'f': hand.faces,
        'posedirs': np.zeros((len(hand.template), 3, 135)),
        'weights': hand.weights,
        'kintree_table': parents,
        'hands_mean': mean.astype(np.float32),
        'hands_components': components.astype(np.float32),
    }
    for name, kept in (('whole', True), ('bare', False)):
        if not kept:
            del content['hands_mean']
        (tmp_path / 'MANO_RIGHT.pkl').write_bytes(pickle.dumps(content, protocol=2))
        out = tmp_path / f'{name}.npz'
        mano.main(mano.ManoConfig(tmp_path / 'MANO_RIGHT.pkl', out))
        np.testing.assert_array_equal(HandModel.load(out).template, hand.template)
        read = PoseSpace.load(out)
        assert (read is not None) == kept
        if read:
            np.testing.assert_array_equal(read.mean, mean.astype(np.float32))
            np.testing.assert_array_equal(read.components, components.astype(np.float32))
