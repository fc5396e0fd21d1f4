"""An engine that removes no image costs nobody a release: people read a warning, and later it is tidied up."""

from collections.abc import AsyncIterator

import pytest

from testbed.sample import sample_image
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.refusing_engine import RefusingEngine
from tests.e2e.wire.shop import REPOSITORY
from tests.integration.sandbox.channel import outcome, start

pytestmark = [pytest.mark.wire, pytest.mark.long]


@pytest.fixture
async def refusing(docker_host, tmp_path) -> AsyncIterator[RefusingEngine]:
    """Stand between the bot and its engine."""
    async with RefusingEngine(docker_host, tmp_path / "engine.sock").listening() as refusing:
        yield refusing


@pytest.fixture
def bot_settings(bot_settings, refusing) -> dict[str, str]:
    """Keep two releases, and reach the engine by that way."""
    return bot_settings | {"DOCKER_HOST": refusing.docker_host, "RELEASES_KEPT": "2"}


def kept(shop) -> set[str]:
    """Return the releases of dev whose images are protected, by Docker's tags."""
    tags = (tag for image in shop.client.images.list() for tag in image.tags)
    return {tag.rpartition(":")[2] for tag in tags if f"{shop.base_name}-dev-" in tag}


async def deploy(people, version: str) -> str:
    return (await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))).text


@pytest.fixture
def good(docker_client, image_ids) -> dict[str, str]:
    """Make a third good version."""
    return image_ids | {"v4": sample_image(docker_client, f"{REPOSITORY}:v4", version="v4")}


async def test_images_that_cannot_be_removed_are_a_warning(bot, bot_settings, people, shop, good, refusing):
    shop.write(alone=True)
    for version in ("v1", "v2"):
        assert "succeeded" in await deploy(people, version)
    refusing.mode = "refuse"
    told = await deploy(people, "v4")
    assert refusing.met
    assert "succeeded" in told, told
    assert "The images of r1 could not be removed" in told, told
    assert "read-only" in told, told
    assert shop.running("dev") == {"web": good["v4"]}
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert code == 0, said
    assert "warning: The images of r1 could not be removed" in said, said
    assert kept(shop) == {"r1", "r2", "r3", "r4"}
    refusing.mode = "pass"
    assert "could not be removed" not in await deploy(people, "v2")
    assert kept(shop) == {"r4", "r5"}
