"""Which images of a release their registry has no more."""

import pytest

from roas.errors import EngineError, ImageNotFoundError, RegistryUnavailableError, RoasError
from roas.models.environment import Environment
from roas.models.release import ImagePin
from roas.stack.client import EngineClients
from roas.stack.swarm import drafting
from roas.stack.swarm.drafting import missing_from_registry

PINS = {name: ImagePin("shop:1", f"shop@sha256:{digit}") for name, digit in (("web", "a"), ("api", "b"), ("job", "b"))}


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch) -> EngineClients:
    made = EngineClients()

    async def client(_: Environment) -> None:
        return None

    monkeypatch.setattr(made, "client", client)
    return made


async def ask(clients: EngineClients, monkeypatch: pytest.MonkeyPatch, faults: dict[str, RoasError]) -> tuple[str, ...]:
    """Ask for the images where the registry says so of each."""
    asked: list[str] = []

    def answer(_: object, image: str) -> str:
        asked.append(image)
        if image in faults:
            raise faults[image]
        return image

    monkeypatch.setattr(drafting, "registry_digest", answer)
    found = await missing_from_registry(clients, Environment("dev", "s", None, ()), PINS)  # type: ignore[arg-type]
    assert sorted(asked) == ["shop@sha256:a", "shop@sha256:b"]
    return found


async def test_images_that_the_registry_has_no_more(clients: EngineClients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is asked for once."""
    assert await ask(clients, monkeypatch, {}) == ()
    assert await ask(clients, monkeypatch, {"shop@sha256:b": ImageNotFoundError("gone")}) == ("api", "job")


@pytest.mark.parametrize("fault", [RegistryUnavailableError("away"), EngineError("unauthorized")])
async def test_without_an_answer_nothing_is_known(
    clients: EngineClients, monkeypatch: pytest.MonkeyPatch, fault: RoasError
) -> None:
    """Whoever asks for a rollback is refused; a rollback by itself goes on with what the nodes have."""
    with pytest.raises(RegistryUnavailableError):
        await ask(clients, monkeypatch, {"shop@sha256:a": fault})
