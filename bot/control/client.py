"""Ask the running bot, through its control socket: the command line's side."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, ExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from roas.concurrency import begun
from roas.control.documents import DecisionOrder, FaultDocument, Greeting, StartOrder, StatusReport
from roas.control.error_documents import ControlUnavailableError, from_document, invalid_document
from roas.control.exchange import Answer, ask
from roas.control.socket_path import short_path
from roas.errors import RoasError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice
from roas.state.documents import from_json, to_json

GREETING_SECONDS = 5.0
# A plan asks registries, a status the engine; both have deadlines of their own within the bot.
ANSWER_SECONDS, STATUS_SECONDS = 120.0, 30.0
# Who is asked and says nothing for so long is greeted again: one that hangs is not waited for. A deployment may have
# nothing to say for longer.
SILENT_SECONDS, UNCHANGED_SECONDS = 1.0, 10.0
LINE_LIMIT = 16 * 1024 * 1024
Document = TypeVar("Document")
Text = TypeVar("Text", str, str | None)


class ControlClient:
    """Connect to the bot whose state folder is given, for the length of the block.

    Every method raises the typed errors of the other side, and ControlUnavailableError where no bot answers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = ExitStack()
        self._path = ""
        # Of the bot that answered; empty until it was greeted.
        self.version = ""

    async def __aenter__(self) -> "ControlClient":
        try:
            self._path = self._opened.enter_context(short_path(self._folder))
        except OSError as error:
            raise _unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    async def greet(self) -> Greeting:
        """Ask who answers."""
        greeting = _read(Greeting, await self._ask_text("GET", "/v1/greeting", seconds=GREETING_SECONDS))
        self.version = greeting.version
        return greeting

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Ask what a request would change; the bot keeps what it found where that is `to_start` at once."""
        return await self._ask(Plan, "POST", f"/v1/plans{'?to_start=1' if to_start else ''}", request)

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Ask for a deployment."""
        order = StartOrder(request, confirmed)
        return _read(Deployment, await self._ask_text("POST", "/v1/deployments", order))

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask a deployment to stop at its next safe point."""
        return await self._ask(Deployment, "POST", _target(deployment_id, "cancellation"), actor)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let a paused deployment go on, or take it back."""
        return await self._ask(Deployment, "POST", _target(deployment_id, "decision"), DecisionOrder(choice, actor))

    async def status(self, environment: str | None = None) -> StatusReport:
        """Ask how one environment is, or all of them."""
        return _read(StatusReport, await self.status_document(environment))

    async def status_document(self, environment: str | None = None) -> str:
        """Ask the same, and return the document as the bot wrote it."""
        query = f"?{urlencode({'environment': environment})}" if environment else ""
        return await self._ask_while_it_lives("GET", f"/v1/status{query}", seconds=STATUS_SECONDS)

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
                async with aclosing(answer.lines()) as lines:
                    while (line := await self._next_while_it_lives(lines)) is not None:
                        deployment = _read(Deployment, line)
                        ended = deployment.finished
                        yield deployment
        except (OSError, ValueError) as error:
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

    async def _next_while_it_lives(self, lines: AsyncGenerator[str, None]) -> str | None:
        async with begun(_next(lines)) as line:
            return await self._while_it_lives(line, UNCHANGED_SECONDS)

    async def _while_it_lives(self, answer: asyncio.Task[Text], silent_seconds: float) -> Text:
        """Wait for what a bot says; one that hangs meanwhile answers no greeting either."""
        while not (await asyncio.wait({answer}, timeout=silent_seconds))[0]:
            await self.greet()
        return await answer

    async def _ask_text(self, method: str, target: str, body: Any = None, *, seconds: float = ANSWER_SECONDS) -> str:
        try:
            async with asyncio.timeout(seconds), self._asked(method, target, body) as answer:
                text, good = await answer.text(), answer.status == 200
        except (OSError, ValueError) as error:
            raise _unavailable(error) from error
        if not good:
            raise _fault(text)
        return text

    def _asked(self, method: str, target: str, body: Any = None) -> AbstractAsyncContextManager[Answer]:
        if not self._path:
            raise RuntimeError("used outside of its block")
        return ask(self._path, method, target, None if body is None else to_json(body), line_limit=LINE_LIMIT)


async def _next(lines: AsyncGenerator[str, None]) -> str | None:
    return await anext(lines, None)


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
