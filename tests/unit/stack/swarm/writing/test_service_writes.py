"""What somebody removed in the middle (`docker stack rm`) is made again, and the service is written with that."""

from collections.abc import Mapping
from typing import Any

import pytest

from roas.stack.docker.api_errors import ApiError
from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.calls import OutOfSequenceError, SharedGoneError, SwarmCalls
from roas.stack.swarm.writing import service_writes
from roas.stack.swarm.writing.service_writes import write_service
from tests.unit.stack.swarm.writing.to_manager import Json, OneServiceManager, ToManager

MODEL: Json = {"name": "shop", "services": {"web": {"image": "web:v1"}}}


class Manager(OneServiceManager):
    """Keep networks and services; a network of `shown` is gone already, and not taken."""

    def __init__(self, shown: dict[str, str]) -> None:
        super().__init__()
        self.shown, self.networks = shown, dict[str, str]()
        self.refused = 0

    def network_names(self, services: Any = (), names: Any = ()) -> dict[str, str]:
        return self.shown | self.networks

    def create(self, kind: str, spec: Mapping[str, Any], *, image: str | None = None) -> str:
        if kind == "networks":
            self.networks["new"] = spec["Name"]
            return "new"
        target = spec["TaskTemplate"]["Networks"][0]["Target"]
        if target not in self.networks:
            self.refused += 1
            self.shown = {}  # by the next look the manager shows it no more
            raise SharedGoneError(f"The engine refused: network {target} not found")
        self.there = {"ID": "s1", "Version": {"Index": 1}, "Spec": spec}
        return "s1"


async def write(manager: Manager) -> None:
    definition = read_definitions(MODEL)["web"]
    await write_service(ToManager(manager), MODEL, definition, recreate=False, deployment="D-1")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_writes, "SWARM_RETRY_SECONDS", 0.0)


async def test_network_that_is_being_removed_is_not_taken_for_one() -> None:
    manager = Manager({"old": "shop_default"})
    await write(manager)
    assert (manager.refused, manager.networks) == (1, {"new": "shop_default"})
    assert manager.there is not None


async def test_network_that_stays_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_writes, "SWARM_SHARED_SECONDS", -1.0)
    with pytest.raises(SharedGoneError, match="network old not found"):
        await write(Manager({"old": "shop_default"}))


class Refusing(SwarmCalls):
    """A manager that refuses every write with the same words."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _post(self, _path: str, _body: Mapping[str, Any], _image: str | None) -> Json:
        raise ApiError(500, self.text)


@pytest.mark.parametrize("text", ["network n1 not found", "rpc error: code = NotFound desc = secret s1 not found"])
def test_what_the_manager_says_of_what_is_gone_is_understood(text: str) -> None:
    with pytest.raises(SharedGoneError, match="not found"):
        Refusing(text).create("services", {})
    with pytest.raises(SharedGoneError, match="not found"):
        Refusing(text).update("s1", 1, {}, image=None)


def test_name_that_another_took_at_the_same_time_is_taken() -> None:
    """Two services of a stack whose network was removed make it again at once."""
    with pytest.raises(OutOfSequenceError):
        Refusing("rpc error: code = Unknown desc = name conflicts with an existing object").create("networks", {})
