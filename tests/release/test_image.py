"""The image that a release is published as says its version, and nothing of the machine that built it."""

from pathlib import Path

import pytest

from release import image, traces
from testbed.bot_image import build_bot_image
from testbed.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
TAG = "roas-bot:1.2.3"


@pytest.fixture
def built(building_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> str:
    build_bot_image(building_engine, TAG, version="1.2.3")
    monkeypatch.setenv("DOCKER_HOST", building_engine.docker_host)
    return TAG


def test_image_says_its_version_and_no_trace(built: str):
    from roas.version import __version__

    # The label is 1.2.3, as it was built; the code says what it is.
    (found,) = image.faults(built, "1.2.3", traces.traces(ROOT))
    assert f"{__version__}', not 1.2.3" in found


def test_faults_of_an_image_are_named(built: str):
    found = list(image.faults(built, "9.9.9", {"org.opencontainers.image.title"}))
    assert any("its label" in fault and "1.2.3" in fault for fault in found)
    assert any("org.opencontainers.image.title" in fault for fault in found)
