"""A write goes over what was seen just before, and over nothing older."""

from collections.abc import Mapping
from typing import Any

import pytest

from roas.errors import EngineError, EngineUnavailableError
from roas.stack.docker.labels import STACK
from roas.stack.swarm.calls import OutOfSequenceError
from roas.stack.swarm.writing import writer as module
from roas.stack.swarm.writing.update_verdict import is_of_deployment, nonce_of
from roas.stack.swarm.writing.writer import Seen, see_service
from tests.unit.stack.swarm.writing.to_manager import Json, OneServiceManager, ToManager

SPEC: Json = {
    "Name": "shop_web",
    "Labels": {},
    "TaskTemplate": {"ContainerSpec": {"Image": "web:v1"}},
    "Mode": {"Replicated": {"Replicas": 1}},
}


class Manager(OneServiceManager):
    """Keep one service as a manager does; each of `faults` is raised by one write, after it was taken if it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.faults: list[tuple[Exception, bool]] = []

    def service(self, name: str) -> Json | None:
        self.asked.append("service")
        return super().service(name)

    def tasks(self, **_filters: str) -> list[Json]:
        self.asked.append("tasks")
        return [{"ID": "t0"}]

    def network_names(self, services: Any = (), names: Any = ()) -> dict[str, str]:
        self.asked.append("networks")
        return {}

    def nodes(self) -> list[Json]:
        self.asked.append("nodes")
        return super().nodes()

    def create(self, _kind: str, spec: Mapping[str, Any], *, image: str | None = None) -> str:
        if self.there is not None:
            raise OutOfSequenceError("taken")
        self._write("create", spec)
        return "s1"

    def remove(self, _kind: str, service_id: str) -> None:
        assert self.there is not None
        assert self.there["ID"] == service_id
        self.asked.append("remove")
        self.there = None

    def update(self, _id: str, version: int, spec: Mapping[str, Any], *, image: str | None) -> None:
        assert self.there is not None
        if version != self.there["Version"]["Index"]:
            self.asked.append("refused")
            raise OutOfSequenceError("older")
        self._write("update", spec)

    def _write(self, what: str, spec: Mapping[str, Any]) -> None:
        self.asked.append(what)
        fault, taken = self.faults.pop(0) if self.faults else (None, True)
        if taken:
            self.change(spec)
        if fault is not None:
            raise fault

    def change(self, spec: Mapping[str, Any]) -> None:
        """Let the service have another spec, as another one's write would."""
        before = self.there or {}
        index = before.get("Version", {}).get("Index", 0) + 1
        self.there = {"ID": "s1", "Version": {"Index": index}, "Spec": dict(spec), "PreviousSpec": before.get("Spec")}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    monkeypatch.setattr(module, "SWARM_RETRY_SECONDS", 0.0)
    return Manager()


def seen_by(manager: Manager) -> Seen:
    found = see_service(manager, "shop_web", {})  # type: ignore[arg-type]
    manager.asked.clear()
    return found


async def test_first_write_is_over_what_was_seen(manager: Manager) -> None:
    written = await ToManager(manager).write(SPEC, deployment="D-1", seen=seen_by(manager))
    assert manager.asked == ["nodes", "create", "service"], "the quorum is seen before each write, and it is read back"
    assert written.service_id == "s1"
    assert is_of_deployment(written.nonce, "D-1")


async def test_tasks_that_were_seen_say_nothing_of_the_write(manager: Manager) -> None:
    manager.change(SPEC)
    written = await ToManager(manager).write(SPEC, seen=seen_by(manager))
    assert written.tasks_before == {"t0"}
    assert manager.asked == ["nodes", "update", "service"]


async def test_without_a_look_it_looks_itself(manager: Manager) -> None:
    await ToManager(manager).write(SPEC)
    assert manager.asked == ["service", "networks", "nodes", "create", "service"]


@pytest.mark.parametrize("existed", [False, True])
async def test_what_changed_since_it_was_seen_is_seen_again(manager: Manager, existed: bool) -> None:
    if existed:
        manager.change(SPEC)
    seen = seen_by(manager)
    manager.change({**SPEC, "Labels": {"by": "a hand"}})
    written = await ToManager(manager).write(SPEC, seen=seen)
    assert manager.asked[-3:] == ["nodes", "update", "service"]
    assert "tasks" in manager.asked, "it looked again"
    assert manager.there is not None
    assert nonce_of(manager.there["Spec"]) == written.nonce
    assert manager.there["PreviousSpec"]["Labels"] == {"by": "a hand"}


@pytest.mark.parametrize("taken", [False, True])
async def test_lost_answer_is_settled_by_another_look(manager: Manager, taken: bool) -> None:
    seen = seen_by(manager)
    manager.faults = [(EngineUnavailableError("no answer"), taken)]
    written = await ToManager(manager).write(SPEC, seen=seen)
    assert manager.asked.count("create") == (1 if taken else 2)
    assert manager.there is not None
    assert nonce_of(manager.there["Spec"]) == written.nonce


async def test_nothing_is_written_without_a_quorum(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWARM_WRITE_SECONDS", -1.0)
    manager.reachable = "unreachable"
    with pytest.raises(EngineUnavailableError, match="0 of 1 manager can be reached"):
        await ToManager(manager).write(SPEC, seen=seen_by(manager))
    assert manager.there is None


@pytest.mark.parametrize("labels", [{}, {STACK: "other"}])
async def test_service_of_somebody_else_is_not_written_over(manager: Manager, labels: dict[str, str]) -> None:
    """It has our name by chance, and nothing could bring it back."""
    manager.change({**SPEC, "Labels": labels})
    with pytest.raises(EngineError, match="does not belong to this stack"):
        await ToManager(manager).write({**SPEC, "Labels": {STACK: "shop"}}, seen=seen_by(manager))
    assert manager.asked == []


@pytest.mark.parametrize("mode", [{"Global": {}}, {"ReplicatedJob": {}}])
async def test_service_of_another_mode_is_created_anew(manager: Manager, mode: Json) -> None:
    """Swarm refuses to change it: "service mode change is not allowed"."""
    manager.change(SPEC)
    await ToManager(manager).write({**SPEC, "Mode": mode}, seen=seen_by(manager))
    assert manager.asked == ["nodes", "remove", "create", "service"]
    assert manager.there is not None
    assert manager.there["Spec"]["Mode"] == mode
