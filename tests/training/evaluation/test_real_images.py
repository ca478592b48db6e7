# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.systems import system_of_photos
from hoi_ros.systems import SYSTEMS
from training.evaluation import real_images
from training.evaluation.real_images import JUDGED
from training.evaluation.real_images import judged_sums
from training.evaluation.real_images import read_list
from training.evaluation.real_images import RealImages
from training.evaluation.real_images import RealImagesError
from training.evaluation.real_images import write_list

COLOUR = system_of_photos().name


@pytest.fixture
def config(tmp_path: Path) -> RealImages:
    """Four sources with five photos each, of which one is too small."""
    folder = tmp_path / 'real' / 'rgb_hands'
    folder.mkdir(parents=True)
    rows = []
    for source in 'abcd':
        for number in range(5):
            side = 90 if number == 2 else 240
            cv2.imwrite(str(folder / f'{source}_{number}.jpg'), np.full((side, 320, 3), 40 * number, np.uint8))
            rows.append(
                {
                    'file': f'rgb_hands/{source}_{number}.jpg',
                    'kind': 'rgb_hands',
                    'source': f'https://{source}',
                    'licence': 'MIT',
                    'width': 320,
                    'height': side,
                }
            )
    # What training shows is not drawn.
    (folder / 'hand_boxes.csv').write_text('file,x0,y0,x1,y1\nrgb_hands/a_1.jpg,0,0,1,1\n')
    with (tmp_path / 'real' / 'SOURCES.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    write_list(tmp_path / 'list.csv', [{'stage': 'other', 'file': 'kept.png'}])
    return RealImages(data=tmp_path, list=tmp_path / 'list.csv', out=tmp_path / 'out', photos=2, tile=64, columns=3)


def test_the_draw_takes_as_many_photos_of_each_source_and_depends_on_the_seed_alone(config: RealImages):
    real_images.evaluate(dataclasses.replace(config, choose=True))
    first = read_list(config.list)
    assert [Path(row['file']).name[0] for row in first[:-1]] == list('aabbccdd')
    assert all(
        row['stage'] == COLOUR and not row['hands'] and '_2' not in row['file'] and 'a_1' not in row['file']
        for row in first[:-1]
    )
    assert first[-1]['file'] == 'kept.png'
    real_images.evaluate(dataclasses.replace(config, choose=True))
    assert read_list(config.list) == first


def test_the_sheet_has_every_picture_and_each_is_the_first_of_a_stream(
    config: RealImages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    calls: list[str] = []

    class Stage:
        object_faces = np.zeros((0, 3), int)

        def warm_up(self) -> None:
            calls.append('warm up')

        def reset(self) -> None:
            calls.append('reset')

        def hand_model(self, side: str) -> object:
            return type('Model', (), {'faces': np.zeros((0, 3), int)})

        def __call__(self, image: np.ndarray, camera: object, stamp: float) -> list:
            calls.append(f'{image.shape[1]}x{image.shape[0]} {camera.fx:.0f}')
            return []

    monkeypatch.setattr(type(SYSTEMS[COLOUR]), 'load_stage', lambda self: Stage())
    rows = real_images.choose_photos(config)
    judged = dict.fromkeys(JUDGED, '0') | {'hands': '1', 'found': '1'}
    write_list(config.list, [row | judged for row in rows])
    real_images.evaluate(config)
    assert calls == ['warm up', *['reset', '320x240 251'] * 8]
    sheet = cv2.imread(str(config.out / f'{COLOUR}.jpg'))
    assert sheet.shape == (3 * 48, 3 * 64, 3)
    assert len(list((config.out / COLOUR).glob('*.png'))) == 8
    assert f'{COLOUR}: pictures 8, hands 8, found 8, on_hand 0' in capsys.readouterr().out


def test_what_nobody_has_judged_and_an_unusable_list_are_named(config: RealImages):
    with pytest.raises(RealImagesError, match=r'kept\.png has not been judged'):
        judged_sums(read_list(config.list))
    config.list.write_text('a,b\n')
    with pytest.raises(RealImagesError, match=r"list\.csv: the columns are \['a', 'b'\], expected stage, file"):
        read_list(config.list)
    with pytest.raises(RealImagesError, match=r'absent\.csv: no such file'):
        read_list(config.list.with_name('absent.csv'))
