# SPDX-License-Identifier: Apache-2.0
"""Every shipped model is built by the real TensorRT for RTX, in both precisions, for a GPU that is not here."""

from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hoi_ros.engines import Card
from hoi_ros.engines.card import CARD_FILE
from hoi_ros.engines.engine_cache import cached_engine
from hoi_ros.engines.tensorrt_builder import build_engine
from hoi_ros.engines.tensorrt_builder import Built
from hoi_ros.engines.tensorrt_builder import Target

MODELS = Path(__file__).parents[2] / 'models'
NAMES = sorted(card.parent.name for card in MODELS.glob(f'*/{CARD_FILE}'))
BUILDS = [(name, precision) for precision in ('fp16', 'fp32') for name in NAMES]


def size(name: str) -> int:
    """Bytes of a model; the largest takes longest to build and comes first."""
    return (MODELS / name / 'model.onnx').stat().st_size


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('engines')


@pytest.fixture(scope='module')
def builds(rtx_target: Target, cache: Path) -> dict[tuple[str, str], Future[Built]]:
    """Two at once: TensorRT builds on one core and lets go of Python meanwhile."""

    def build(name: str, precision: str) -> Built:
        card = Card.load(MODELS / name)
        return build_engine(card, MODELS / name / card.model, rtx_target, precision, cache, lambda line: None)

    with ThreadPoolExecutor(2) as pool:
        return {key: pool.submit(build, *key) for key in sorted(BUILDS, key=lambda key: -size(key[0]))}


@pytest.mark.parametrize(('name', 'precision'), BUILDS)
def test_a_shipped_model_is_built(
    builds: dict[tuple[str, str], Future[Built]], rtx_target: Target, cache: Path, name: str, precision: str
) -> None:
    """Building compares the inputs and outputs that TensorRT parsed with the card's (`test_tensorrt_builder`)."""
    built = builds[name, precision].result()
    assert built.now
    assert cached_engine(cache, rtx_target.key(Card.load(MODELS / name), precision)) == built.plan
    assert len(built.plan) > size(name) * {'fp16': 0.9, 'fp32': 1.5}[precision]
