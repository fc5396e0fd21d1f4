"""What is asked through the socket arrives, and what is answered comes back typed."""

import asyncio
import base64
import errno
import os
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

import roas.service  # noqa: F401 - every kind of fault is known once all is imported
from roas.api.application import LARGEST_BODY_BYTES, ControlApi
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.api.documents import (
    ControlUnavailableError,
    FaultDocument,
    SecretOrder,
    SecretVersion,
    from_document,
    to_document,
)
from roas.api.socket_path import SOCKET_NAME
from roas.errors import (
    EngineUnavailableError,
    ImageNotFoundError,
    InternalFaultError,
    InvalidRequestError,
    NotPermittedError,
    RequirementError,
    RoasError,
    ShortageError,
    ValidationFailedError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Outcome, PhaseResult, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.plan import ServiceAction
from roas.models.rollout import Choice, Pause
from roas.state.deployments.locks import LockHeldError
from roas.state.manager import StateManager
from tests.unit.api.conftest import (
    PERSON,
    PlayedCollector,
    PlayedSecrets,
    a_lock,
    lock_held,
    request,
)
from tests.unit.played_orchestrator import PlayedOrchestrator


async def test_plan_returned_unchanged(client: ControlClient) -> None:
    plan = await client.plan(request())
    assert plan.services[0].action is ServiceAction.RECREATE
    assert plan.services[0].changed_keys == ("environment.A",)
    assert plan.digest == "digest"


async def test_start_returns_deployment(
    client: ControlClient, state: StateManager, orchestrator: PlayedOrchestrator
) -> None:
    started = await client.start(request(services=("web",), plan_digest="digest"), confirmed=False)
    assert await state.deployments.get(started.id) == started
    assert orchestrator.requests[0].services == ("web",)
    assert orchestrator.requests[0].plan_digest == "digest"


@pytest.mark.parametrize(
    "fault",
    [
        InvalidRequestError("no such service", hint="it has web"),
        ValidationFailedError("two checks failed", hint="mend them", report="a\nb"),
        ImageNotFoundError("no image", service="web"),
        EngineUnavailableError("engine away"),
    ],
)
async def test_fault_keeps_its_type(client: ControlClient, orchestrator: PlayedOrchestrator, fault: RoasError) -> None:
    orchestrator.fault = fault
    with pytest.raises(type(fault)) as caught:
        await client.plan(request())
    assert type(caught.value) is type(fault)
    assert caught.value.problem() == fault.problem()
    assert caught.value.transient is fault.transient


async def test_lock_error_names_holder(client: ControlClient, orchestrator: PlayedOrchestrator) -> None:
    orchestrator.fault = lock_held()
    with pytest.raises(LockHeldError, match="dev is held by Ada since 2030-01-02 00:00:00 UTC: deploy v1") as caught:
        await client.start(request(), confirmed=False)
    assert caught.value.lock == a_lock()


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (KeyError("a secret"), InternalFaultError, "KeyError"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), ShortageError, "Out of processes or threads"),
        (MemoryError(), ShortageError, "Out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), ShortageError, "Out of open files"),
        (OSError(errno.ENOSPC, "No space left on device"), ShortageError, "Out of disk space"),
    ],
)
async def test_unexpected_fault_is_told_by_what_ran_out_at_most(
    client: ControlClient, orchestrator: PlayedOrchestrator, fault: Exception, kind: type[RoasError], told: str
) -> None:
    orchestrator.fault = fault
    with pytest.raises(kind, match=re.escape(told)) as caught:
        await client.plan(request())
    assert "secret" not in str(caught.value)
    assert caught.value.hint


async def test_bot_enforces_reason_and_confirmation(client: ControlClient, orchestrator: PlayedOrchestrator) -> None:
    """An environment that needs approval demands them at the bot's side too."""
    with pytest.raises(NotPermittedError, match="lacks --reason and --yes"):
        await client.start(request("prod"), confirmed=False)
    with pytest.raises(NotPermittedError, match="lacks --yes") as caught:
        await client.start(request("prod", reason="it burns"), confirmed=False)
    assert "roas deploy prod v1 --reason 'it burns' --yes" in caught.value.hint
    assert orchestrator.requests == []
    await client.start(request("prod", reason="it burns"), confirmed=True)
    assert len(orchestrator.requests) == 1


async def test_unknown_environment_lists_known_ones(client: ControlClient) -> None:
    with pytest.raises(InvalidRequestError, match="no environment 'moon'") as caught:
        await client.start(request("moon"), confirmed=False)
    assert caught.value.hint == "There are dev, prod."


async def test_discord_identity_cannot_be_claimed(client: ControlClient, orchestrator: PlayedOrchestrator) -> None:
    await client.plan(request(requested_by=Actor(ActorKind.DISCORD, "7", "Ada")))
    asker = orchestrator.planned[0].requested_by
    assert asker.kind is ActorKind.SYSTEM
    assert asker.id == str(os.getuid())
    assert asker.name != "Ada"


async def test_secret_is_set_by_the_user_of_this_machine(client: ControlClient, secrets: PlayedSecrets) -> None:
    value = base64.b64encode(b"hunter2\n\xff").decode()
    order = SecretOrder("dev", "db", value, Actor(ActorKind.DISCORD, "7", "Ada"))
    assert await client.set_secret(order) == SecretVersion("dev", "db", "db_v2")
    environment, name, given, actor = secrets.asked[0]
    assert (environment, name, given, actor.kind) == ("dev", "db", b"hunter2\n\xff", ActorKind.SYSTEM)
    for wrong in (replace(order, environment="moon"), replace(order, value="no base64, but hunter2")):
        with pytest.raises(InvalidRequestError) as caught:
            await client.set_secret(wrong)
        assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
    assert len(secrets.asked) == 1
    assert "hunter2" not in repr(order)
    assert value not in repr(order)


async def test_time_is_kept_for_what_may_begin_then(
    client: ControlClient, orchestrator: PlayedOrchestrator, state: StateManager
) -> None:
    asked = request(plan_digest="digest", starts_at=datetime.now(UTC) + timedelta(hours=1))
    orchestrator.missing = ("dev takes only what was healthy in staging",)
    with pytest.raises(RequirementError, match="takes only"):
        await client.schedule(asked, confirmed=False)
    assert await state.approvals.scheduled() == ()
    orchestrator.missing = ()
    scheduled = await client.schedule(asked, confirmed=False)
    assert [record.id for record in await state.approvals.scheduled()] == [scheduled.id]


async def test_cancellation_records_requester(client: ControlClient, orchestrator: PlayedOrchestrator) -> None:
    started = await client.start(request(), confirmed=False)
    cancelled = await client.cancel(started.id, PERSON, "wrong branch")
    assert cancelled.cancel_reason == "wrong branch"
    assert cancelled.cancel_requested_by == orchestrator.cancelled[0][1]
    assert orchestrator.cancelled[0][1].name == PERSON.name


async def test_decision_reaches_bot(
    client: ControlClient, state: StateManager, orchestrator: PlayedOrchestrator
) -> None:
    started = await client.start(request(), confirmed=False)
    now = datetime.now(UTC)
    paused = replace(started, pauses=(Pause(1, "web", "it failed", now),))
    await state.deployments.set_partial(paused, orchestrator.fences[started.id], partial=True)
    decided = await client.decide(started.id, Choice.GO_ON, PERSON)
    assert decided.decision is not None
    assert decided.decision.decided_by.name == PERSON.name
    assert [(one, choice) for one, choice, _ in orchestrator.decisions] == [(started.id, Choice.GO_ON)]


async def test_unknown_deployment_not_cancelled_or_followed(client: ControlClient) -> None:
    with pytest.raises(InvalidRequestError, match="no deployment DEPLOY-0"):
        await client.cancel("DEPLOY-0", PERSON)
    with pytest.raises(InvalidRequestError, match="no deployment DEPLOY-0"):
        await anext(client.follow("DEPLOY-0"))


async def test_deployment_followed_to_end(
    client: ControlClient, state: StateManager, orchestrator: PlayedOrchestrator
) -> None:
    started = await client.start(request(), confirmed=False)
    fence = orchestrator.fences[started.id]
    async with aclosing(client.follow(started.id)) as records, asyncio.timeout(5):
        assert await anext(records) == started
        await state.deployments.save_phases(
            started, (PhaseResult(PhaseName.VALIDATION, PhaseStatus.IN_PROGRESS, attempts=1),), fence
        )
        changed = await anext(records)
        assert [(phase.name, phase.status) for phase in changed.phases] == [("validation", "in_progress")]
        ended = replace(started, outcome=Outcome.SUCCEEDED, ended_at=datetime.now(UTC))
        await state.deployments.finish(ended, fence)
        assert [record.outcome async for record in records] == [Outcome.SUCCEEDED]


async def test_foreign_deployment_followed(client: ControlClient, state: StateManager) -> None:
    """A deployment that another process carries out is followed too."""
    async with StateManager(state.folder, instance_prefix="CLI") as other:
        carrying = PlayedOrchestrator(other)
        started = await carrying.start(request())
        async with aclosing(client.follow(started.id)) as records, asyncio.timeout(10):
            assert await anext(records) == started
            await other.deployments.finish(replace(started, outcome=Outcome.FAILED), carrying.fences[started.id])
            assert [record.outcome async for record in records] == [Outcome.FAILED]


@pytest.mark.usefixtures("hurried_time")
async def test_follower_notices_lost_bot(state: StateManager, api: ControlApi) -> None:
    async with AsyncExitStack() as bot, ControlClient(state.folder) as client, asyncio.timeout(5):
        await bot.enter_async_context(serve_control_socket(api, state.folder))
        started = await client.start(request(), confirmed=False)
        async with aclosing(client.follow(started.id)) as records:
            await anext(records)
            await bot.aclose()
            with pytest.raises(ControlUnavailableError):
                await anext(records)


async def test_status_has_release_deployment_lock_and_health(client: ControlClient) -> None:
    started = await client.start(request(), confirmed=False)
    report = await client.status()
    assert [status.environment for status in report.environments] == ["dev", "prod"]
    dev = report.environments[0]
    assert dev.active == started
    assert dev.lock is not None
    assert dev.lock.purpose == "deploy v1"
    assert dev.health is not None
    assert dev.health.verdict == "healthy"
    assert [status.environment for status in (await client.status("prod")).environments] == ["prod"]


async def test_unreachable_engine_hides_only_health(client: ControlClient, collector: PlayedCollector) -> None:
    collector.fault = EngineUnavailableError("The engine does not answer.", hint="Start it.")
    status = (await client.status("dev")).environments[0]
    assert status.health is None
    assert status.fault == "The engine does not answer. Start it."


@pytest.mark.parametrize("body", [b"", b"{", b'{"environment": 1}', b"\xff\xfe", b"[" * 5000])
async def test_malformed_body_refused(client: ControlClient, state: StateManager, body: bytes) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(state.folder / SOCKET_NAME))) as session,
        session.post("http://bot/v1/plans", data=body) as response,
    ):
        answer = await response.json()
    assert (response.status, answer["key"]) == (422, "invalid_request")


async def test_oversized_body_refused(client: ControlClient) -> None:
    with pytest.raises(InvalidRequestError, match="Large"):
        await client.plan(request(reason="x" * LARGEST_BODY_BYTES))


def _kinds(kind: type[RoasError]) -> Iterator[type[RoasError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


@pytest.mark.parametrize("kind", sorted(set(_kinds(RoasError)), key=lambda kind: kind.__name__))
def test_every_fault_reaches_the_other_side(kind: type[RoasError]) -> None:
    document = FaultDocument(kind.key, "what is wrong", "what to do", "web", "its last line")
    error = from_document(document)
    assert to_document(error) == document
