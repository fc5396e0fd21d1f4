"""Which images of a release their registry has no more."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from roas.errors import EngineError, ImageNotFoundError, RegistryUnavailableError, RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.stack.swarm import swarm_releases
from roas.stack.swarm.swarm_releases import SwarmReleases

PINS = {name: ImagePin("shop:1", f"shop@sha256:{digit}") for name, digit in (("web", "a"), ("api", "b"), ("job", "b"))}
SERVICES = tuple(ReleaseService(name, pin, "d") for name, pin in PINS.items())
ROOT = Actor(ActorKind.SYSTEM, "0", "root")
RELEASE = Release("dev", 1, "v1", ReleaseState.SUCCEEDED, SERVICES, "m", datetime.now(UTC), ROOT)


async def ask(monkeypatch: pytest.MonkeyPatch, faults: dict[str, RoasError]) -> tuple[str, ...]:
    """Ask for the images where the registry says so of each."""
    asked: list[str] = []

    def answer(_: object, image: str) -> str:
        asked.append(image)
        if image in faults:
            raise faults[image]
        return image

    async def call(question: Any) -> Any:
        return question(None)

    monkeypatch.setattr(swarm_releases, "registry_digest", answer)
    parts: Any = SimpleNamespace(models=None)
    found = await SwarmReleases(SimpleNamespace(call=call), parts, None).missing_images(RELEASE)  # type: ignore[arg-type]
    assert sorted(asked) == ["shop@sha256:a", "shop@sha256:b"]
    return found


async def test_images_that_the_registry_has_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is asked for once."""
    assert await ask(monkeypatch, {}) == ()
    assert await ask(monkeypatch, {"shop@sha256:b": ImageNotFoundError("gone")}) == ("api", "job")


@pytest.mark.parametrize("fault", [RegistryUnavailableError("away"), EngineError("unauthorized")])
async def test_without_an_answer_nothing_is_known(monkeypatch: pytest.MonkeyPatch, fault: RoasError) -> None:
    """Whoever asks for a rollback is refused; a rollback by itself goes on with what the nodes have."""
    with pytest.raises(RegistryUnavailableError):
        await ask(monkeypatch, {"shop@sha256:a": fault})
