"""What a rollback needs of images before anything is stopped."""

from datetime import UTC, datetime
from unittest.mock import AsyncMock, Mock

import pytest

from roas.deploy.release_keeper import ReleaseKeeper
from roas.errors import EngineUnavailableError, RegistryUnavailableError
from roas.models.actor import Actor, ActorKind
from roas.models.release import Release, ReleaseState
from roas.stack.interface import PinnedStack

RELEASE = Release("dev", 1, "v1", ReleaseState.SUCCEEDED, (), "m", datetime.now(UTC), Actor(ActorKind.SYSTEM, "0", "t"))


async def require(fault: Exception) -> None:
    stack = Mock(releases=Mock(missing_images=AsyncMock(side_effect=fault)))
    await ReleaseKeeper(stack, Mock(), Mock()).require_images(RELEASE, {"web"}, AsyncMock())


async def test_way_back_goes_on_without_the_registry() -> None:
    """The nodes have what ran on them a moment ago; whoever asked for a rollback was refused before."""
    await require(RegistryUnavailableError("away"))


async def test_engine_that_is_away_is_no_answer() -> None:
    with pytest.raises(EngineUnavailableError):
        await require(EngineUnavailableError("away"))


@pytest.mark.parametrize(("of_images", "version"), [("1.28-alpine", "1.28-alpine"), ("", "adopted")])
async def test_adopted_release_has_the_version_of_its_images(of_images: str, version: str) -> None:
    pinned = PinnedStack("adopted", (), "m")
    releases = Mock(adopt=AsyncMock(return_value=pinned), version_of=AsyncMock(return_value=of_images))
    releases.protect = AsyncMock()
    kept = Mock(current=AsyncMock(return_value=None), add=AsyncMock(side_effect=lambda release, *_: release))
    stack = Mock(releases=releases, environment=Mock())
    stack.environment.name = "dev"
    adopted = await ReleaseKeeper(stack, Mock(releases=kept), Mock()).adopt(RELEASE.created_by, "COR-1")
    assert adopted is not None
    assert (adopted.version, adopted.state) == (version, ReleaseState.ADOPTED)
