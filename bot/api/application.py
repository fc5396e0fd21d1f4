"""Answer who acts and asks on this machine: one application, served on the bot's control socket or to one command.

The other side is a user of this machine, whom the kernel names. A request that is confirmed counts as their yes.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import starmap
from typing import Any, TypeVar

from aiohttp import web
from pydantic import ValidationError

from roas.api.approval import check_approval
from roas.api.documents import (
    DecisionOrder,
    EnvironmentStatus,
    Greeting,
    SecretOrder,
    SecretVersion,
    StartOrder,
    StatusReport,
    invalid_document,
    to_document,
)
from roas.api.following import follow_journal
from roas.api.remote_documents import Offer
from roas.api.system_user import peer
from roas.candidates.coordinator import CandidateCoordinator
from roas.configuration.environments import plain_names
from roas.deploy.operations.secret_keeper import SecretKeeper
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.plan_lifecycle import PlanLifecycle
from roas.errors import (
    InvalidRequestError,
    RoasError,
    unknown_environment,
)
from roas.health.collector import MonitoringCollector
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.actor import Actor, CancelRequest
from roas.models.candidate import SourceMode
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment
from roas.models.health import WORST_FIRST, ServiceHealth, StackHealth, Verdict
from roas.models.plan import PlanRecord, PlanState
from roas.shortages import fault_of
from roas.state.documents import from_json, hidden_json
from roas.state.manager import StateManager
from roas.version import __version__

log = get_logger(__name__)

LARGEST_BODY_BYTES = 1 << 20  # a secret is the largest: 500 kB, in base64
FAULT_STATUS = 422
STREAM_TYPE = "application/x-ndjson"
HEALTH_WITHIN_SECONDS = 20.0
Document = TypeVar("Document")
# The name of no source in the settings: those have no dot.
AGENT = "agent"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlApi:
    """Plan, start, follow and stop deployments, and tell how environments are."""

    def __init__(
        self,
        *,
        state: StateManager,
        orchestrator: DeploymentOrchestrator,
        environments: Mapping[str, Environment],
        health: MonitoringCollector,
        candidates: CandidateCoordinator,
        secrets: SecretKeeper,
        notify_schedule: Callable[[], None] = lambda: None,
    ) -> None:
        self._notify_schedule = notify_schedule
        self._state = state
        self._orchestrator = orchestrator
        self._environments = environments
        self._plans = PlanLifecycle(state, orchestrator, environments, self._note_schedule, has_approvers=False)
        self._health = health
        self._candidates = candidates
        self._secrets = secrets

    def application(self) -> web.Application:
        """Return the application, to be served once."""
        application = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[_answer_faults])
        application.add_routes(
            [
                web.get("/v1/greeting", self._greet),
                web.post("/v1/plans", self._plan),
                web.post("/v1/proposals", self._propose),
                web.post("/v1/deployments", self._start_deployment),
                web.post("/v1/schedules", self._schedule_deployment),
                web.post("/v1/schedules/{id}/cancellation", self._cancel_schedule),
                web.post("/v1/deployments/{id}/cancellation", self._cancel),
                web.post("/v1/deployments/{id}/decision", self._decide),
                web.get("/v1/deployments/{id}/changes", self._follow),
                web.post("/v1/secrets", self._set_secret),
                web.get("/v1/status", self._status),
            ]
        )
        return application

    async def _greet(self, _request: web.Request) -> web.Response:
        return _answer(Greeting(self._state.instance_id, __version__))

    async def _plan(self, request: web.Request) -> web.Response:
        wanted = await _read(DeploymentRequest, request)
        return _answer(await self._orchestrator.plan(_signed(request, wanted)))

    async def _propose(self, request: web.Request) -> web.Response:
        """Propose what an agent on this machine wants: its user is named, and says yes to nothing."""
        wanted = _signed(request, await _read(DeploymentRequest, request))
        self._environment(wanted.environment)
        try:
            offer = Offer(
                environment=wanted.environment,
                version=wanted.version or "",
                services=wanted.services,
                reason=wanted.reason,
            )
        except ValidationError as error:
            raise invalid_document() from error
        candidate = await self._candidates.offer(
            f"{AGENT}.{wanted.requested_by.name}",
            offer.environment,
            offer.version,
            mode=SourceMode.PROPOSE,
            services=offer.services,
            reason=offer.reason,
            is_asked_for=True,
        )
        return _answer(candidate)

    async def _start_deployment(self, request: web.Request) -> web.Response:
        order = await _read(StartOrder, request)
        wanted = _signed(request, order.request)
        check_approval(self._environment(wanted.environment), wanted, confirmed=order.confirmed)
        deployment = await self._orchestrator.start(wanted)
        log.info("deployment requested", deployment_id=deployment.id, by=wanted.requested_by.name)
        return _answer(deployment)

    async def _schedule_deployment(self, request: web.Request) -> web.Response:
        """Keep a plan for its time: who confirms it is the user of this machine."""
        order = await _read(StartOrder, request)
        wanted = _signed(request, order.request)
        check_approval(self._environment(wanted.environment), wanted, confirmed=order.confirmed)
        return _answer(await self._plans.schedule(wanted))

    async def _cancel_schedule(self, request: web.Request) -> web.Response:
        asker, plan_id = _peer(request, await _read(Actor, request)), request.match_info["id"]
        known, done = await self._state.approvals.get(plan_id), False
        if known is not None and known.state is PlanState.SCHEDULED:
            done, known = await self._plans.withdraw(known, asker)
        if not done:
            raise InvalidRequestError(said("{plan} does not wait for its time.", plan=plan_id))
        return _answer(known)

    async def _note_schedule(self, _plan_record: PlanRecord) -> None:
        self._notify_schedule()

    async def _cancel(self, request: web.Request) -> web.Response:
        order = await _read(CancelRequest, request)
        asker = _peer(request, order.actor)
        return _answer(await self._orchestrator.cancel(request.match_info["id"], asker, order.reason))

    async def _decide(self, request: web.Request) -> web.Response:
        order = await _read(DecisionOrder, request)
        asker = _peer(request, order.actor)
        return _answer(await self._orchestrator.decide(request.match_info["id"], order.choice, asker, order.reason))

    async def _set_secret(self, request: web.Request) -> web.Response:
        order = await _read(SecretOrder, request)
        environment, asker = self._environment(order.environment), _peer(request, order.actor)
        try:
            value = base64.b64decode(order.value, validate=True)
        except ValueError:
            raise invalid_document() from None  # the cause would have the value in its text
        called = await self._secrets.set(environment, order.name, value, asker)
        return _answer(SecretVersion(environment.name, order.name, called))

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        """Write the deployment's record, a line at each change, until it has ended or the other side is gone."""
        response = web.StreamResponse(headers={"Content-Type": STREAM_TYPE})
        async with aclosing(follow_journal(self._state, request.match_info["id"])) as records:
            first = await anext(records)
            await response.prepare(request)
            with suppress(ConnectionError):
                await response.write(f"{hidden_json(first)}\n".encode())
                async for record in records:
                    await response.write(f"{hidden_json(record)}\n".encode())
                await response.write_eof()
        return response

    async def _status(self, request: web.Request) -> web.Response:
        name = request.query.get("environment")
        known = self._environments
        wanted = self._environment(name).with_hosts if name else [known[plain] for plain in plain_names(known)]
        return _answer(await read_report(wanted, self._state, self._health))

    def _environment(self, name: str) -> Environment:
        environment = self._environments.get(name)
        if environment is None:
            raise unknown_environment(name, self._environments)
        return environment


@web.middleware
async def _answer_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return an error as a document; an unexpected one is logged, and answered without its text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _answer(to_document(InvalidRequestError(error.reason)), status=FAULT_STATUS)
    except Exception as error:  # the other side must get an answer whatever it is
        fault = fault_of(error)
        if fault is not error:
            log.exception("the control socket could not answer", path=request.path)
        return _answer(to_document(fault), status=FAULT_STATUS)


def _answer(document: Any, *, status: int = 200) -> web.Response:
    return web.Response(text=hidden_json(document), status=status, content_type="application/json")


async def _read(kind: type[Document], request: web.Request) -> Document:
    try:
        return from_json(kind, await request.text())
    except (ValidationError, UnicodeError) as error:
        raise invalid_document() from error


def _signed(request: web.Request, wanted: DeploymentRequest) -> DeploymentRequest:
    """Replace the claimed actor by the user that the kernel reports; a client cannot claim an approval."""
    asker = _peer(request, wanted.requested_by)
    return replace(wanted, requested_by=asker, interaction_id=None, approved_by=None, part_of="")


def _peer(request: web.Request, claimed: Actor) -> Actor:
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None:
        raise ConnectionResetError("the other side has gone")
    return peer(connection, claimed)


async def read_report(
    wanted: Iterable[Environment], state: StateManager, collector: MonitoringCollector
) -> StatusReport:
    """Return how environments are, and what became of the last webhooks."""
    found = await asyncio.gather(*(read_status(environment, state, collector) for environment in wanted))
    return StatusReport(tuple(found), deliveries=await state.deliveries.latest())


async def read_status(
    environment: Environment, state: StateManager, collector: MonitoringCollector
) -> EnvironmentStatus:
    """Return how an environment is; an engine that does not answer hides its health only."""
    found, fault = await _health(environment, collector)
    lock = await state.locks.get(environment.name)
    return EnvironmentStatus(
        environment=environment.name,
        project=environment.project,
        release=await state.releases.current(environment.name),
        active=await state.deployments.active(environment.name),
        lock=lock,
        health=found,
        fault=fault,
        freeze=await state.freezes.get(environment.name),
        drafted=next(iter(await state.drafts.waiting(environment.name)), None),
        holds=await state.holds.of(environment.name),
        scheduled=await state.approvals.scheduled(environment.name),
        next_window=_next_window(environment),
        requires=environment.requires,
        soak_seconds=environment.soak.total_seconds(),
        abandoned=lock is not None and not state.instance.is_alive(lock.instance_id),
    )


def _next_window(environment: Environment) -> datetime | None:
    """Return when an environment may be deployed to again; None where it may be now."""
    now = datetime.now(UTC)
    opens_at = environment.windows.next_open(now)
    return None if opens_at == now else opens_at


async def _health(environment: Environment, collector: MonitoringCollector) -> tuple[StackHealth | None, str]:
    """Return how a stack is, or why nothing is known of it; of one on many hosts, how each of these is."""
    if environment.hosts:
        seen = await asyncio.gather(*(_health(host, collector) for host in environment.hosts))
        hosts = tuple(starmap(_health_of_host, zip(environment.hosts, seen, strict=True)))
        worst = min((host.verdict for host in hosts), key=WORST_FIRST.index)
        is_known = any(not unknown for _found, unknown in seen)
        fault = "" if is_known else said("No host of {environment} answers.", environment=environment.name)
        return StackHealth(environment.name, worst, hosts, datetime.now(UTC)), fault
    try:
        async with asyncio.timeout(HEALTH_WITHIN_SECONDS):
            found = await collector.collect_all_metrics(environment)
    except RoasError as error:
        return None, error.whole
    except TimeoutError:
        return None, said(
            "The engine did not answer within {seconds} s.",
            seconds=f"{HEALTH_WITHIN_SECONDS:g}",
        )
    return (found if found.remembered else None, found.fault) if found.fault else (found, "")


def _health_of_host(host: Environment, found: tuple[StackHealth | None, str]) -> ServiceHealth:
    """Return how a host is, as of a service: as its worst service, which is named."""
    health, fault = found
    if health is None or fault:
        return ServiceHealth(host.name, Verdict.UNKNOWN, fault)
    ill = (service for service in health.services if service.verdict not in {Verdict.HEALTHY, Verdict.UNVERIFIED})
    reasons = (said("{service}: {text}", service=service.service, text=service.reason) for service in ill)
    return ServiceHealth(host.name, health.verdict, joined("; ", reasons) if health.services else said("nothing runs"))
