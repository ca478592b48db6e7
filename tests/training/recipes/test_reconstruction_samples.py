# SPDX-License-Identifier: Apache-2.0
"""Which samples of a public data set train, and which validate."""

from pathlib import Path

import numpy as np
import pytest

from training.data.public.choice import DataChoice
from training.data.public.dataset_files import DatasetError
from training.data.public.ho3d import Ho3d
from training.recipes import reconstruction_samples


def recording_of(name: str) -> str:
    """ABF10 to ABF14 are one recording by five cameras; SM2 and SM3 are two."""
    return name[:4] if name.startswith('ABF') else name


def write_list(root: Path, sequences: list[str]) -> list[str]:
    """An HO-3D that consists of its list of frames, in an order of its own; returns their recordings."""
    names = np.random.default_rng(0).permutation(np.repeat(sequences, 40))
    (root / 'train').mkdir(parents=True)
    (root / 'train.txt').write_text('\n'.join(f'{name}/{number:04d}' for number, name in enumerate(names)))
    return [recording_of(name) for name in names]


def numbers(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    monkeypatch.setattr(reconstruction_samples, 'RecordedSamples', lambda samples, numbers, *_: numbers)
    choice = DataChoice(data='ho3d', root=root)
    return {split: reconstruction_samples.samples(choice, 0, 300, split) for split in ('train', 'validation')}


def test_cameras_of_one_recording_do_not_validate_what_the_others_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_list(tmp_path, ['ABF10', 'ABF11', 'ABF14', 'SM2', 'SM3'])
    assert len(set(Ho3d(tmp_path).recordings)) == 3
    parts = numbers(tmp_path, monkeypatch)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(200))
    assert {names[number] for number in parts['validation']} == {'SM3'}
    assert {names[number] for number in parts['train']} == {'ABF1', 'SM2'}


def test_one_recording_alone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(tmp_path, ['ABF10', 'ABF11'])
    with pytest.raises(DatasetError, match='one recording is 95 % of 80 samples or more'):
        numbers(tmp_path, monkeypatch)
