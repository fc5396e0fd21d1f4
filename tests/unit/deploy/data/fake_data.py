"""Services that hold data: saved, restored, and half restored in between, for tests of logic."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from roas.errors import BackupError, JournalUnusableError
from roas.models.backup import DataBackup, VolumeUser
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import BackupRule
from roas.stack.backups.service_data import SavedData
from tests.unit.deploy.fake_engine import FakeEngine

RULE = BackupRule(("dump",), ("load",), 2)
HALF = "half"


@dataclass
class Deaths:
    """Let the process die at one of the steps that are counted; it does nothing more until `at` is 0."""

    at: int = 0
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if 0 < self.at <= self.steps:
            raise JournalUnusableError("died")

    def strike(self, journal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let each write of a journal be such a step."""
        write = journal.write

        async def dying(work: Any, *, fence: Any = None) -> Any:
            self.step()
            return await write(work, fence=fence)

        monkeypatch.setattr(journal, "write", dying)


@dataclass
class FakeData:
    """Be what services hold: one text for the store. A restore has a middle, in which that text is half of one.

    Where it is in a volume, its `holders` mount that: none of their `containers` may run while it is copied.
    """

    rows: str = "rows"
    saved: dict[str, str] = field(default_factory=dict)
    damaged: bool = False
    refuses: bool = False
    breaks: bool = False
    down: bool = False
    gone: bool = False
    absent: frozenset[str] = frozenset()
    hold: asyncio.Event | None = None
    rules: list[BackupRule] = field(default_factory=list)
    deaths: Deaths = field(default_factory=Deaths)
    cleared: tuple[frozenset[str], str] = (frozenset(), "")
    holders: frozenset[str] = frozenset()
    containers: Mapping[str, ContainerSnapshot] = field(default_factory=dict)
    made_by: dict[str, BackupRule] = field(default_factory=dict)
    files = SimpleNamespace(free_bytes=lambda: 10)
    sizes: Mapping[str, int] = field(default_factory=dict)
    helpers: int = 0
    others: tuple[VolumeUser, ...] = ()

    async def find_container(self, name: str, rule: BackupRule, hint: str) -> str | None:
        if self.down:
            raise BackupError("it does not run", hint=hint, service=name)
        return None if self.gone else "c1"

    async def clear_unfinished(self) -> None:
        self.helpers = 0

    async def existing(self, rule: BackupRule) -> BackupRule:
        return replace(rule, volumes=tuple(name for name in rule.volumes if name not in self.absent))

    async def users(self, name: str, volumes: Collection[str]) -> tuple[VolumeUser, ...]:
        held = [container for container in self.containers.values() if container.service in self.holders]
        if running := [other.name for other in self.others if other.runs]:
            raise BackupError(f"{running} use the volume", service=name)
        return (
            *(VolumeUser(container.id, container.service, container.state, True) for container in held),
            *self.others,
        )

    async def volume_sizes(self, volumes: Collection[str]) -> Mapping[str, int]:
        return {name: size for name, size in self.sizes.items() if name in volumes}

    def _require_stillness(self) -> None:
        held = [container for container in self.containers.values() if container.service in self.holders]
        assert ContainerState.RUNNING not in {container.state for container in held}

    async def save(self, backup_id: str, name: str, rule: BackupRule, container_id: str, still=None) -> SavedData:
        async with still or nullcontext():
            self._require_stillness()
            if self.hold is not None:
                await self.hold.wait()
            if self.refuses:
                raise BackupError("the disk is full", service=name)
            self.deaths.step()
            self.rules.append(rule)
            self.saved[backup_id] = self.rows
            self.made_by[backup_id] = rule
        return SavedData(len(self.rows), "hash", 0.1)

    async def rule_of(self, backup: DataBackup) -> BackupRule:
        return self.made_by[backup.id]

    async def verify(self, backup: DataBackup) -> None:
        if self.damaged:
            raise BackupError(f"{backup.id} is damaged")

    async def restore(self, backup: DataBackup, container_id: str) -> None:
        self._require_stillness()
        self.deaths.step()
        self.rows = HALF
        if self.breaks:
            raise BackupError("it broke", service=backup.service)
        self.deaths.step()
        self._require_stillness()
        self.rows = self.saved[backup.id]
        self.deaths.step()

    async def clear(self, kept: frozenset[str], dropped: frozenset[str], chosen_at: str) -> None:
        assert not kept & dropped
        self.cleared = (dropped, chosen_at)
        self.saved = {name: text for name, text in self.saved.items() if name in kept}


@dataclass
class WithData(FakeEngine):
    """Keep data, too, and see that nothing runs on half of it."""

    data: FakeData = field(default_factory=FakeData)
    kept_stopped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.data.containers = self.running

    async def keep_stopped(self, container_id: str) -> None:
        assert self.running[container_id].state is ContainerState.RUNNING or container_id in self.kept_stopped
        self.kept_stopped.add(container_id)

    async def restart_always(self, container_id: str) -> None:
        self.kept_stopped.discard(container_id)

    async def start(self, container_id: str) -> None:
        self.data.deaths.step()
        assert self.data.rows != HALF
        await super().start(container_id)
        if self.stack[self.running[container_id].service].one_shot:
            await self.stop(container_id)
            self.tell(self.running[container_id].service)

    async def stop(self, container_id: str) -> None:
        self.data.deaths.step()
        await super().stop(container_id)

    async def pause(self, container_id: str) -> None:
        self.data.deaths.step()
        self.running[container_id] = replace(self.running[container_id], state=ContainerState.PAUSED)

    async def create_service(self, model_hash: str, service: str, **how: object) -> tuple[str, ...]:
        image = self.models[model_hash]["services"][service]["image"]
        own = [c for c in self.running.values() if c.service == service]
        if own and all((c.config_hash, c.state) == (image, ContainerState.EXITED) for c in own):
            return tuple(c.id for c in own)
        return await super().create_service(model_hash, service, **how)

    def is_used(self) -> bool:
        return self.runs("web")

    def runs(self, *services: str) -> bool:
        at_work = {c.service for c in self.running.values() if c.state is ContainerState.RUNNING}
        return at_work.issuperset(services)
