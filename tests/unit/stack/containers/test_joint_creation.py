"""What Compose names as created is reported while it creates others."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.containers import joint_creation
from roas.stack.containers.joint_creation import JointCreator

ENVIRONMENT = Environment("dev", "shop-dev", Path(), ())
MODEL = {"services": {name: {"image": name} for name in ("a", "b", "c")}}


def container(name: str) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, name, ContainerState.CREATED, HealthStatus.NONE, "i", "i", "h")


async def test_created_containers_are_reported_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    told: asyncio.Queue[tuple[ContainerSnapshot, ...]] = asyncio.Queue()
    there: list[ContainerSnapshot] = []
    faults, failed = [EngineUnavailableError("busy")], asyncio.Event()

    async def look(*_: object) -> tuple[ContainerSnapshot, ...]:
        if there and faults:
            failed.set()
            raise faults.pop()
        return tuple(there)

    async def none(*_: object) -> frozenset[str]:
        return frozenset()

    async def create(*_: object, on_line: Any, **_named: object) -> None:
        async with asyncio.timeout(5):
            there.extend(map(container, "ab"))
            for line in (" Container z  Creating", "Network n  Created", " Container a  Created "):
                await on_line(line)
            await failed.wait()  # what that look was to report is reported in the end
            await on_line(" Container b  Created")
            assert await told.get() == (container("b"),)
            there.append(container("c"))

    async def model(*_: object) -> object:
        return MODEL

    async def wanted(*_: object, as_it_is: bool) -> object:
        return {name: SimpleNamespace(config_hash="h") for name in MODEL["services"]}

    monkeypatch.setattr(joint_creation, "take_outlines", look)
    monkeypatch.setattr(joint_creation, "missing_networks", none)
    monkeypatch.setattr(joint_creation, "unpause", none)
    monkeypatch.setattr(joint_creation, "REPORT_SECONDS", 0.001)
    creation: Any = SimpleNamespace(
        engine=None, pinned=SimpleNamespace(model_to_apply=model, wanted=wanted), create=create
    )
    made = await JointCreator(creation).create_missing("m", None, told.put_nowait)
    assert [item.name for item in made] == ["a", "b", "c"]
