"""A deployment whose bot loses its journal stops there: nothing more is changed, and nothing is rolled back."""

import asyncio
from pathlib import Path

import pytest

from roas.errors import JournalLostError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest
from testbed.waiting import wait_until

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ACTS = frozenset({"create", "create_missing", "start", "stop", "remove", "sweep"})


def acts(engine) -> list[tuple[str, str]]:
    return [call for call in engine.calls if call[0] in ACTS]


@pytest.mark.parametrize("continues", [True, False])
async def test_lost_journal_stops_a_deployment(orchestrator, engine, state, continues):
    engine.hold = asyncio.Event()
    deployment = await orchestrator.start(DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version="v1"))
    assert await asyncio.to_thread(wait_until, lambda: ("pull", "store:v1") in engine.calls, 10.0)
    done = acts(engine)
    for path in Path(state.folder).glob("journal.sqlite3*"):
        path.unlink()
    if continues:  # it finds out by itself, when it next writes
        engine.hold.set()
        with pytest.raises(JournalLostError):
            await orchestrator.wait(deployment.id)
    assert await orchestrator.abandon() == (deployment.id,)
    engine.hold.set()
    assert acts(engine) == done
    assert orchestrator.running == ()
    with pytest.raises(JournalLostError):
        await orchestrator.start(DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version="v2"))
    assert not list(state.folder.glob("journal.sqlite3*"))
