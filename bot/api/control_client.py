"""Ask the control API through its unix socket: the command line's side."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from pydantic import ValidationError

from roas.api.documents import (
    ControlUnavailableError,
    DecisionOrder,
    FaultDocument,
    Greeting,
    SecretOrder,
    SecretVersion,
    StartOrder,
    StatusReport,
    from_document,
    invalid_document,
)
from roas.api.socket_path import short_path
from roas.concurrency import begun
from roas.errors import RoasError
from roas.messages.message import said
from roas.models.actor import Actor, CancelRequest
from roas.models.candidate import Candidate
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan, PlanRecord
from roas.models.rollout import Choice
from roas.state.documents import from_json, to_json

GREETING_SECONDS = 5.0
# A plan asks registries, a status the engine; both have deadlines of their own within the bot.
ANSWER_SECONDS, STATUS_SECONDS = 120.0, 30.0
# Who is asked and says nothing for so long is greeted again: one that hangs is not waited for. A deployment may have
# nothing to say for longer.
SILENT_SECONDS, UNCHANGED_SECONDS = 1.0, 10.0
LINE_LIMIT = 16 * 1024 * 1024
# What aiohttp raises where no bot answers, or something else does.
NO_ANSWER = (OSError, ValueError, aiohttp.ClientError)
Document = TypeVar("Document")
Text = TypeVar("Text", str, bytes)


class ControlClient:
    """Connect to what serves the API in a folder, for the length of the block.

    Every method raises the typed errors of the other side, and ControlUnavailableError where nobody answers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ControlClient":
        try:
            path = self._opened.enter_context(short_path(self._folder))
        except OSError as error:
            raise _unavailable(error) from error
        # A connection for each question: one that is kept may be of a bot that has gone.
        connector = aiohttp.UnixConnector(path, force_close=True)
        self._session = await self._opened.enter_async_context(
            aiohttp.ClientSession(
                "http://bot", connector=connector, timeout=aiohttp.ClientTimeout(), read_bufsize=LINE_LIMIT
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        await self._opened.aclose()

    async def greet(self) -> Greeting:
        """Ask who answers."""
        return _read(Greeting, await self._ask_text("GET", "/v1/greeting", seconds=GREETING_SECONDS))

    async def plan(self, request: DeploymentRequest) -> Plan:
        """Ask what a request would change."""
        return await self._ask(Plan, "POST", "/v1/plans", request)

    async def propose(self, request: DeploymentRequest) -> Candidate:
        """Offer a version to the people in the channel."""
        return await self._ask(Candidate, "POST", "/v1/proposals", request)

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Ask for a deployment."""
        order = StartOrder(request, confirmed)
        return _read(Deployment, await self._ask_text("POST", "/v1/deployments", order))

    async def schedule(self, request: DeploymentRequest, *, confirmed: bool) -> PlanRecord:
        """Let a deployment begin at its time."""
        return _read(PlanRecord, await self._ask_text("POST", "/v1/schedules", StartOrder(request, confirmed)))

    async def cancel_schedule(self, plan_id: str, actor: Actor) -> PlanRecord:
        """Let a scheduled deployment not begin."""
        return await self._ask(PlanRecord, "POST", f"/v1/schedules/{quote(plan_id, safe='')}/cancellation", actor)

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask a deployment to stop at its next safe point."""
        order = CancelRequest(actor.kind, actor.id, actor.name, reason)
        return await self._ask(Deployment, "POST", _target(deployment_id, "cancellation"), order)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "") -> Deployment:
        """Resume a paused deployment, or take it back."""
        order = DecisionOrder(choice, actor, reason)
        return await self._ask(Deployment, "POST", _target(deployment_id, "decision"), order)

    async def set_secret(self, order: SecretOrder) -> SecretVersion:
        """Give a Swarm the next version of a secret: once, since another try would make another version."""
        return _read(SecretVersion, await self._ask_text("POST", "/v1/secrets", order))

    async def status(self, environment: str | None = None) -> StatusReport:
        """Ask how one environment is, or all of them."""
        query = f"?{urlencode({'environment': environment})}" if environment else ""
        return _read(StatusReport, await self._ask_while_it_lives("GET", f"/v1/status{query}", seconds=STATUS_SECONDS))

    async def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Yield a deployment's record at each change until it has ended.

        Raises ControlUnavailableError where the bot stops before that, or hangs.
        """
        ended = False
        try:
            async with (
                asyncio.timeout(GREETING_SECONDS) as connecting,
                self._asked("GET", _target(deployment_id, "changes")) as answer,
            ):
                connecting.reschedule(None)
                if answer.status != 200:
                    raise _fault(await answer.text())
                while line := await self._next_while_it_lives(answer.content):
                    deployment = _read(Deployment, line)
                    ended = deployment.finished
                    yield deployment
        except NO_ANSWER as error:
            raise _unavailable(error) from error
        if not ended:
            raise ControlUnavailableError(said("The bot went away before the deployment had ended."))

    async def _ask(self, kind: type[Document], method: str, target: str, body: Any = None) -> Document:
        return _read(kind, await self._ask_while_it_lives(method, target, body))

    async def _ask_while_it_lives(
        self, method: str, target: str, body: Any = None, *, seconds: float = ANSWER_SECONDS
    ) -> str:
        """Ask what may be asked again or otherwise."""
        async with begun(self._ask_text(method, target, body, seconds=seconds)) as answer:
            return await self._while_it_lives(answer, SILENT_SECONDS)

    async def _next_while_it_lives(self, content: aiohttp.StreamReader) -> str:
        """Return the next line, empty at the end."""
        async with begun(content.readline()) as line:
            return (await self._while_it_lives(line, UNCHANGED_SECONDS)).decode()

    async def _while_it_lives(self, answer: asyncio.Task[Text], unanswered_seconds: float) -> Text:
        """Wait for what a bot says; one that hangs meanwhile answers no greeting either."""
        while not (await asyncio.wait({answer}, timeout=unanswered_seconds))[0]:
            await self.greet()
        return await answer

    async def _ask_text(self, method: str, target: str, body: Any = None, *, seconds: float = ANSWER_SECONDS) -> str:
        try:
            async with asyncio.timeout(seconds), self._asked(method, target, body) as answer:
                text, good = await answer.text(), answer.status == 200
        except NO_ANSWER as error:
            raise _unavailable(error) from error
        if not good:
            raise _fault(text)
        return text

    @asynccontextmanager
    async def _asked(self, method: str, target: str, body: Any = None) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("used outside of its block")
        async with self._session.request(method, target, data=None if body is None else to_json(body)) as answer:
            yield answer


def _target(deployment_id: str, what: str) -> str:
    return f"/v1/deployments/{quote(deployment_id, safe='')}/{what}"


def _read(kind: type[Document], text: str) -> Document:
    try:
        return from_json(kind, text)
    except ValidationError as error:
        raise invalid_document() from error


def _fault(text: str) -> RoasError:
    return from_document(_read(FaultDocument, text))


def _unavailable(error: Exception) -> ControlUnavailableError:
    reason: str = said("it does not answer in time")
    if not isinstance(error, TimeoutError):
        reason = str(error) or type(error).__name__
    return ControlUnavailableError(
        said("The bot cannot be reached through its control socket: {reason}", reason=reason),
        hint=said("See whether the bot runs and what its log says; stop it if it hangs, then try again."),
    )
