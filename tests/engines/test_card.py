# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hoi_ros.engines import BATCH
from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines.card import CARD_FILE


def test_a_card_is_saved_and_loaded_without_loss(model_dir: Path, tmp_path: Path) -> None:
    card = Card.load(model_dir)
    card.save(tmp_path)
    assert Card.load(tmp_path) == card
    assert card.batched and card.inputs[0].shape == (BATCH, 1, 32, 32)
    assert card.inputs[0].unit == 'half cubes'
    assert card.parameters == {'cube_m': 0.25}
    assert card.figures['export_error'].keys() == {'heat', 'points', 'pose', 'mask'}


def test_a_card_of_fixed_shapes_loads(damaged: Path) -> None:
    card = Card.load(damaged)
    fixed = replace(card, inputs=(replace(card.inputs[0], shape=(1, 1, 32, 32)), *card.inputs[1:]))
    fixed.save(damaged)
    assert Card.load(damaged) == fixed
    assert not fixed.batched
    assert fixed.inputs[0].sized(3) == (1, 1, 32, 32)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=f'{CARD_FILE} cannot be read'):
        Card.load(tmp_path / 'nowhere')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('name: [', 'not a YAML file'),
        ('\udcff', 'not a YAML file'),
        ('[1, 2]', 'holds list, expected a mapping'),
        ('{name: x}', 'missing or unknown fields'),
    ],
)
def test_other_content_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / CARD_FILE).write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(CardError, match=message):
        Card.load(tmp_path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'colour': 'red'}, "unknown fields.*'colour'"),
        ({'inputs': []}, 'inputs is empty'),
        ({'inputs': [{'name': 'x'}]}, 'inputs must be a list'),
        ({'outputs': 3}, 'outputs must be a list'),
        ({'outputs': [{'name': 'x', 'shape': [1], 'units': 'm'}]}, 'outputs must be a list'),
        ({'outputs': [{'name': 'x', 'shape': [1, 'batch']}]}, 'expected positive sizes, the first of which'),
        ({'outputs': [{'name': 'x', 'shape': ['width', 1]}]}, 'outputs must be a list'),
        ({'model': '../model.onnx'}, 'expected a file name'),
        ({'largest_batch': 0}, 'largest_batch is 0, expected a whole number of 1 or more'),
    ],
)
def test_a_wrong_field_is_named(damaged: Path, change: dict[str, object], message: str) -> None:
    path = damaged / CARD_FILE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(CardError, match=message):
        Card.load(damaged)
