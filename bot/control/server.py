"""Answer other programs of this machine on a unix socket: the running bot's side."""

import asyncio
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from aiohttp import web
from pydantic import ValidationError

from roas.control.approval import check_approval
from roas.control.documents import DecisionOrder, Greeting, StartOrder, StatusReport
from roas.control.environment_status import Collector, read_status
from roas.control.error_documents import ControlSocketHeldError, invalid_document, to_document
from roas.control.journal_follower import follow_journal
from roas.control.socket_path import SOCKET_NAME, short_path
from roas.control.system_user import peer
from roas.errors import InternalFaultError, InvalidRequestError, RoasError, StateError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.environment import Environment
from roas.models.plan import Plan
from roas.models.rollout import Choice
from roas.state.document_texts import hidden_json
from roas.state.documents import from_json
from roas.state.manager import StateManager
from roas.version import __version__

log = get_logger(__name__)

LOCK_NAME = f"{SOCKET_NAME}.lock"
LARGEST_BODY_BYTES = 64 * 1024
SHUTDOWN_SECONDS = 0.5
FAULT_STATUS = 422
STREAM_TYPE = "application/x-ndjson"
Document = TypeVar("Document")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Orchestrator(Protocol):
    """Plan, start and cancel deployments."""

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Describe what a request would change; `to_start` it at once."""
        ...

    async def start(self, request: DeploymentRequest) -> Deployment:
        """Start a deployment."""
        ...

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask a deployment to stop."""
        ...

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let a paused deployment go on, or take it back."""
        ...


class ControlServer:
    """Serve the control socket for as long as the block lasts. Raises ControlSocketHeldError at its start."""

    def __init__(
        self,
        *,
        state: StateManager,
        orchestrator: Orchestrator,
        environments: Mapping[str, Environment],
        health: Collector,
    ) -> None:
        self._state = state
        self._orchestrator = orchestrator
        self._environments = environments
        self._health = health
        self._runner: web.AppRunner | None = None
        self._lock: int | None = None

    @property
    def path(self) -> Path:
        """Return the path of the socket."""
        return self._state.folder / SOCKET_NAME

    async def start(self) -> None:
        """Listen. A socket that a dead bot left is replaced. Raises ControlSocketHeldError where its bot lives."""
        self._lock = _take_lock(self._state.folder)
        try:
            listening = _bind(self._state.folder)
            self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            await self._runner.setup()
            await web.SockSite(self._runner, listening).start()
        except OSError as error:
            await self.close()
            raise StateError(
                said(
                    "The control socket {path} cannot be made: {strerror}",
                    path=self.path,
                    strerror=error.strerror or error,
                ),
                hint=said("STATE_DIR must be a folder on a local file system that this user may write."),
            ) from error
        log.info("listening for the command line", path=str(self.path))

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._lock is not None:
            lock, self._lock = self._lock, None
            with suppress(OSError):  # a folder that cannot be used now; whoever listens next replaces the socket
                self.path.unlink()
            os.close(lock)

    async def __aenter__(self) -> "ControlServer":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[_answer_faults])
        application.add_routes(
            [
                web.get("/v1/greeting", self._greet),
                web.post("/v1/plans", self._plan),
                web.post("/v1/deployments", self._start_deployment),
                web.post("/v1/deployments/{id}/cancellation", self._cancel),
                web.post("/v1/deployments/{id}/decision", self._decide),
                web.get("/v1/deployments/{id}/changes", self._follow),
                web.get("/v1/status", self._status),
            ]
        )
        return application

    async def _greet(self, _request: web.Request) -> web.Response:
        return _answer(Greeting(self._state.instance_id, __version__))

    async def _plan(self, request: web.Request) -> web.Response:
        wanted = await _read(DeploymentRequest, request)
        to_start = request.query.get("to_start") == "1"
        return _answer(await self._orchestrator.plan(_signed(request, wanted), to_start=to_start))

    async def _start_deployment(self, request: web.Request) -> web.Response:
        order = await _read(StartOrder, request)
        wanted = _signed(request, order.request)
        check_approval(self._environment(wanted.environment), wanted, confirmed=order.confirmed)
        deployment = await self._orchestrator.start(wanted)
        log.info("deployment requested", deployment_id=deployment.id, by=wanted.requested_by.name)
        return _answer(deployment)

    async def _cancel(self, request: web.Request) -> web.Response:
        asker = _peer(request, await _read(Actor, request))
        return _answer(await self._orchestrator.cancel(request.match_info["id"], asker))

    async def _decide(self, request: web.Request) -> web.Response:
        order = await _read(DecisionOrder, request)
        asker = _peer(request, order.actor)
        return _answer(await self._orchestrator.decide(request.match_info["id"], order.choice, asker))

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
        wanted = [self._environment(name)] if name else list(self._environments.values())
        found = await asyncio.gather(*(read_status(one, self._state, self._health) for one in wanted))
        return _answer(StatusReport(tuple(found)))

    def _environment(self, name: str) -> Environment:
        environment = self._environments.get(name)
        if environment is None:
            raise InvalidRequestError(
                said("There is no environment {name}.", name=repr(name)),
                hint=said("There are {known}.", known=", ".join(self._environments)),
            )
        return environment


@web.middleware
async def _answer_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return an error as a document; an unexpected one is logged, and answered without its text."""
    try:
        return await handler(request)
    except RoasError as error:
        return _answer(to_document(error), status=FAULT_STATUS)
    except web.HTTPException as error:
        return _answer(to_document(InvalidRequestError(error.reason)), status=FAULT_STATUS)
    except Exception as error:  # the other side must get an answer whatever it is
        log.exception("the control socket could not answer", path=request.path)
        fault = InternalFaultError(
            said("Something broke ({name}).", name=type(error).__name__), hint=said("See the bot's log.")
        )
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
    return replace(wanted, requested_by=_peer(request, wanted.requested_by), interaction_id=None, approved_by=None)


def _peer(request: web.Request, claimed: Actor) -> Actor:
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None:
        raise ConnectionResetError("the other side has gone")
    return peer(connection, claimed)


def _take_lock(folder: Path) -> int:
    """Acquire the lock that shows whose socket it is; the kernel releases it however the bot ends."""
    descriptor = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ControlSocketHeldError(
            said("Another bot answers on {folder} already.", folder=folder / SOCKET_NAME),
            hint=said("Stop the other bot, or give this one a STATE_DIR of its own."),
        ) from error
    return descriptor


def _bind(folder: Path) -> socket.socket:
    """Bind the socket; the folder is private (0700), so that no other user connects before the mode is set."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        (folder / SOCKET_NAME).unlink(missing_ok=True)
        with short_path(folder) as path:
            listening.bind(path)
        (folder / SOCKET_NAME).chmod(0o600)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
