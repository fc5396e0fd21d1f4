"""What a rollback needs of images before anything is stopped."""

from datetime import UTC, datetime
from unittest.mock import AsyncMock, Mock

import pytest

from roas.errors import EngineUnavailableError, RegistryUnavailableError
from roas.models.actor import Actor, ActorKind
from roas.models.release import Release, ReleaseState
from roas.stack.release_keeper import ReleaseKeeper

RELEASE = Release("dev", 1, "v1", ReleaseState.SUCCEEDED, (), "m", datetime.now(UTC), Actor(ActorKind.SYSTEM, "0", "t"))


async def require(fault: Exception) -> None:
    stack = Mock(releases=Mock(missing_images=AsyncMock(side_effect=fault)))
    await ReleaseKeeper(Mock(), Mock()).require_images(stack, RELEASE, {"web"}, AsyncMock())


async def test_way_back_goes_on_without_the_registry() -> None:
    """The nodes have what ran on them a moment ago; whoever asked for a rollback was refused before."""
    await require(RegistryUnavailableError("away"))


async def test_engine_that_is_away_is_no_answer() -> None:
    with pytest.raises(EngineUnavailableError):
        await require(EngineUnavailableError("away"))
