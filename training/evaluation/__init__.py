# SPDX-License-Identifier: Apache-2.0
"""Metrics and evaluations; they measure and write no model."""

from training.evaluation.metrics import align_rigid
from training.evaluation.metrics import align_similarity
from training.evaluation.metrics import evaluate_joints
from training.evaluation.metrics import joint_errors
from training.evaluation.metrics import JointMetrics
from training.evaluation.metrics import mean_joint_error
from training.evaluation.metrics import pck
from training.evaluation.metrics import pck_auc
from training.evaluation.metrics import per_joint_error
from training.evaluation.metrics import share_within

__all__ = [
    'JointMetrics',
    'align_rigid',
    'align_similarity',
    'evaluate_joints',
    'joint_errors',
    'mean_joint_error',
    'pck',
    'pck_auc',
    'per_joint_error',
    'share_within',
]
