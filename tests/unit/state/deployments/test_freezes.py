"""A freeze says who, when and why, stands until somebody lifts it, and is in the audit."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.errors import InvalidRequestError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, Freeze
from roas.state.deployments.locks import FrozenError
from roas.state.manager import StateManager
from tests.unit.ui.samples import a_deployment

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ANNA = Actor(ActorKind.DISCORD, "2", "anna")
FREEZE = Freeze("prod", DORA, "the fair", datetime(2026, 3, 1, 12, 0, tzinfo=UTC))


async def test_freeze_survives_restart(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        await state.freezes.put(FREEZE)
    async with StateManager(tmp_path) as state:
        assert await state.freezes.get("prod") == FREEZE
        assert await state.freezes.get("dev") is None
        assert await state.freezes.all() == (FREEZE,)


async def test_second_freeze_refused_with_details(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        await state.freezes.put(FREEZE)
        with pytest.raises(FrozenError, match="locked by dora since 2026-03-01 12:00:00 UTC: the fair"):
            await state.freezes.put(FREEZE)


async def test_audit_names_who_lifted(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        await state.freezes.put(FREEZE)
        assert await state.freezes.lift("prod", ANNA) == FREEZE
        assert await state.freezes.get("prod") is None
        with pytest.raises(InvalidRequestError, match="prod is not locked"):
            await state.freezes.lift("prod", ANNA)
        assert [(c.new, c.metadata["by"]) for c in await state.changes("prod")] == [
            ("frozen", "dora"),
            ("unlocked", "anna"),
        ]


@pytest.mark.parametrize("kind", DeploymentKind)
async def test_frozen_environment_refuses_deployment(tmp_path: Path, kind: DeploymentKind) -> None:
    """A hotfix and a rollback pass with a reason, which is in the audit beside whose freeze it was."""
    async with StateManager(tmp_path) as state:
        await state.freezes.put(FREEZE)
        asked = a_deployment(kind, environment="prod")
        without = replace(asked, request=replace(asked.request, reason=""))
        with pytest.raises(FrozenError, match="the fair") as refused:
            await state.deployments.create(without, "v2")
        assert ("passes with a reason" in refused.value.hint) == (kind is not DeploymentKind.DEPLOY)
        assert await state.locks.get("prod") is None
        urgent = replace(asked, request=replace(asked.request, reason="it burns"))
        if kind is DeploymentKind.DEPLOY:
            with pytest.raises(FrozenError, match="the fair"):
                await state.deployments.create(urgent, "v2")
        else:
            await state.deployments.create(urgent, "v2")
            audit = (await state.changes("prod"))[-1].metadata
            assert (audit["reason"], audit["through_freeze_of"], audit["freeze_reason"]) == (
                "it burns",
                "dora",
                "the fair",
            )
        await state.deployments.create(a_deployment(kind, environment="dev"), "v2")


async def test_running_deployment_continues(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as state:
        deployment = a_deployment(environment="prod")
        fence = await state.deployments.create(deployment, "v2")
        await state.freezes.put(FREEZE)
        await state.deployments.update(deployment, fence)
