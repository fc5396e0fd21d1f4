"""`remote`: what CI jobs run: offer a version to a bot elsewhere, follow it, and end as it ends."""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import aiohttp
import typer
from pydantic import ValidationError
from yarl import URL

from roas.api.remote_documents import FaultAnswer, Offer, OfferStatus
from roas.candidates.credentials import new_token
from roas.cli.follow import ProgressLines
from roas.cli.output import Terminal, print_error
from roas.cli.running import EnvironmentName, ExitCode, Services, Version, code_of_fault
from roas.concurrency import pause
from roas.configuration.wrong_values import wrong_values
from roas.errors import InvalidRequestError, NotPermittedError, RoasError, StateError
from roas.limits import ASKED_BOT_SECONDS, FOLLOWED_BOT_SECONDS, SOON, Backoff
from roas.models.deployment import Problem, ServiceStep

POLL_WAIT_SECONDS = 50
REQUEST_SECONDS = 90.0
# So long an offer is followed that nobody waits for: until it is known what it would change.
PLANNED_WITHIN_SECONDS = 30.0
CODES: Mapping[str, ExitCode] = {
    "succeeded": ExitCode.SUCCEEDED,
    "unchanged": ExitCode.SUCCEEDED,
    "rolled_back": ExitCode.ROLLED_BACK,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.CANCELLED,
    "skipped": ExitCode.CANCELLED,
    "superseded": ExitCode.CANCELLED,
    "held": ExitCode.LOCKED,
    "refused": ExitCode.REFUSED,
}
# What is not known to be of any use yet.
UNPLANNED = frozenset({"new", "starting"})
TEXTS = {
    "new": "The bot is planning it.",
    "proposed": "It is proposed in the channel: somebody has to say yes.",
    "later": "Somebody put it off. It can still be deployed.",
    "waiting": "It waits.",
    "confirmed": "Somebody said yes.",
    "starting": "It is starting.",
    "deploying": "It is being deployed.",
    "awaiting_approval": "It is prepared: a second person has to approve it.",
    "succeeded": "It succeeded.",
    "unchanged": "Nothing has to change: this runs already.",
    "rolled_back": "It was rolled back.",
    "failed": "It failed.",
    "cancelled": "It was cancelled.",
    "skipped": "Somebody skipped this version.",
    "superseded": "A newer version has taken its place.",
    "held": "It is on hold, until there is a newer version or somebody types /deploy with it.",
    "refused": "It was refused.",
}

Address = Annotated[
    str,
    typer.Option("--url", envvar="ROAS_URL", help="The address of the bot's API, such as https://roas.example.org."),
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="The file with the token; by default ROAS_TOKEN holds it.")
]
Audience = Annotated[
    str, typer.Option("--audience", help="The audience of the job's signed token; by default the address.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; the channel shows it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end, and exit by its outcome.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="How many minutes to follow it at most.")]
Key = Annotated[
    str, typer.Option("--key", help="What is asked for by the same key is asked for once; by default the job's own.")
]


def remote() -> typer.Typer:
    """Gather the commands."""
    commands = typer.Typer(
        help="Offer versions to a bot elsewhere, from a CI job.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    commands.command(
        "deploy",
        help="Deploy a version. Where the environment asks for a person's yes, it becomes a proposal.",
        short_help="Deploy a version; where a person has to decide, propose it.",
    )(_offering("deployments"))
    commands.command(
        "propose",
        help="Propose a version in the channel, where somebody says yes.",
        short_help="Propose a version to the people in the channel.",
    )(_offering("proposals"))
    commands.command("status", short_help="Say what has become of an offer.")(status)
    commands.command("token", short_help="Make a token for a source.")(token)
    return commands


def _offering(road: str) -> Callable[..., None]:
    """Return the command that offers a version by one of the API's two roads."""

    def offer(
        environment: EnvironmentName,
        version: Version,
        url: Address,
        service: Services = None,
        reason: Reason = "",
        wait: Wait = False,
        timeout: Timeout = 60,
        key: Key = "",
        token_file: TokenFile = None,
        audience: Audience = "",
    ) -> None:
        wanted = make_offer(environment, version, service, reason)
        _run(partial(_offer, Access(url, token_file, audience), road, wanted, key, timeout if wait else 0))

    return offer


def status(
    offer_id: Annotated[str, typer.Argument(metavar="ID", help="The id that an offer was answered with.")],
    url: Address,
    wait: Wait = False,
    timeout: Timeout = 60,
    token_file: TokenFile = None,
    audience: Audience = "",
) -> None:
    """Say what has become of an offer; exits by its outcome, where it has one."""
    _run(partial(_status, Access(url, token_file, audience), offer_id, timeout if wait else 0))


def token() -> None:
    """Print a new token, which the CI keeps, and the hash of it, which roas.toml has."""
    secret, hashed = new_token()
    print(f"token:      {secret}\ntoken_hash: {hashed}")  # noqa: T201 - the only time that it is ever shown


@dataclass(frozen=True, slots=True)
class Access:
    """Know where the bot is, and by what it knows this job."""

    url: str
    token_file: Path | None
    audience: str

    async def bearer(self, session: aiohttp.ClientSession) -> str:
        """Return the token: that of the settings, or a new one that the CI signs. Raises RoasError."""
        if self.token_file is not None:
            try:
                return self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidRequestError(f"The token cannot be read: {error}") from error
        if given := os.environ.get("ROAS_TOKEN", "").strip():
            return given
        address, request_token = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
        if not address or not request_token:
            raise InvalidRequestError(
                "There is no token.",
                hint="Set ROAS_TOKEN, or give a GitHub job the permission `write` of `id-token`.",
            )
        target = URL(address).update_query(audience=self.audience or self.url)
        async with session.get(target, headers={"Authorization": f"Bearer {request_token}"}) as answer:
            if answer.status != 200:
                raise InvalidRequestError(f"The CI gave no signed token: it answered {answer.status}.")
            return str((await answer.json(content_type=None))["value"])


def make_offer(environment: str, version: str, services: list[str] | None, reason: str) -> Offer:
    """Return the offer, with what the CI says of the job. Raises InvalidRequestError."""
    known = os.environ
    server = known.get("GITHUB_SERVER_URL", "")
    run = f"{server}/{known.get('GITHUB_REPOSITORY', '')}/actions/runs/{known.get('GITHUB_RUN_ID', '')}"
    try:
        return Offer(
            environment=environment,
            version=version,
            services=tuple(services or ()),
            reason=reason,
            repository=known.get("GITHUB_REPOSITORY") or known.get("CI_PROJECT_PATH", ""),
            commit=known.get("GITHUB_SHA") or known.get("CI_COMMIT_SHA", ""),
            ref=known.get("GITHUB_REF") or known.get("CI_COMMIT_REF_NAME", ""),
            url=run if server else known.get("CI_JOB_URL", ""),
        )
    except ValidationError as error:
        texts = "; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in wrong_values(error))
        raise InvalidRequestError(f"This cannot be offered: {texts}") from error


def job_key(offer: Offer, road: str) -> str:
    """Return a key by which a job that runs again asks for the same; empty outside of a CI."""
    known = os.environ
    github = [known.get(f"GITHUB_{name}", "") for name in ("REPOSITORY", "RUN_ID", "RUN_ATTEMPT", "JOB")]
    parts = github if all(github) else [known.get("CI_PROJECT_ID", ""), known.get("CI_JOB_ID", "")]
    return "/".join([*parts, road, offer.environment, offer.version])[:200] if all(parts) else ""


def _run(work: Callable[[Terminal], Coroutine[None, None, int]]) -> None:
    """Run a command to its exit code; every error is printed once."""
    terminal = Terminal()

    async def guarded() -> int:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is not None:  # as the first process of a container, it would not end by itself
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await work(terminal)
        except asyncio.CancelledError:
            return ExitCode.INTERRUPTED
        except RoasError as error:
            print_error(terminal, error.problem())
            return code_of_fault(error.key)

    try:
        code = asyncio.run(guarded())
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    sys.exit(code)


async def _offer(access: Access, road: str, offer: Offer, key: str, minutes: float, terminal: Terminal) -> int:
    async with _connected(access, terminal) as connection:
        headers = {"Idempotency-Key": key or job_key(offer, road) or secrets.token_hex()}
        answer = await connection.ask("POST", f"/v1/{road}", offer.model_dump_json(), headers)
        terminal.say(f"{answer.id}: {answer.version} → {answer.environment}")
        return await _follow(connection, terminal, answer, minutes)


async def _status(access: Access, offer_id: str, minutes: float, terminal: Terminal) -> int:
    async with _connected(access, terminal) as connection:
        answer = await connection.ask("GET", f"/v1/deployments/{quote(offer_id, safe='')}")
        return await _follow(connection, terminal, answer, minutes)


async def _follow(connection: "RemoteConnection", terminal: Terminal, answer: OfferStatus, minutes: float) -> int:
    """Write a line for whatever is new until it has ended, or the time is over; at least until it is planned."""
    lines, deadline = OfferLines(terminal), time.monotonic() + (minutes * 60 or PLANNED_WITHIN_SECONDS)
    while True:
        lines.answer(answer)
        left = deadline - time.monotonic()
        if answer.ended:
            return CODES.get(answer.state, ExitCode.FAILED)
        if not minutes and (answer.state not in UNPLANNED or left <= 0):
            return ExitCode.SUCCEEDED
        if left <= 0:
            terminal.say(f"It is followed no longer; it goes on. See it by: roas remote status {answer.id} --wait")
            return ExitCode.UNAVAILABLE
        wait = int(min(left, POLL_WAIT_SECONDS)) + 1
        answer = await connection.ask("GET", f"/v1/deployments/{answer.id}?wait={wait}&seen={answer.revision}")


class OfferLines(ProgressLines):
    """Write what is new in each answer."""

    def answer(self, answer: OfferStatus) -> None:
        """Write what is new: phases and services first, then what that makes of the whole."""
        deployment = answer.deployment
        for phase in deployment.phases if deployment is not None else ():
            self.phase(phase.name, phase.status, phase.attempts, phase.duration_seconds, phase.summary)
        for service in deployment.services if deployment is not None else ():
            if service.step != ServiceStep.PENDING:
                self.service(service.service, service.step, service.detail)
        text = TEXTS.get(answer.state, answer.state) + (f" {answer.note}" if answer.note else "")
        if answer.state == "new" and answer.note:
            text = f"It cannot be planned yet, and the bot tries again: {answer.note}"
        if self._write("", text, text) and deployment is not None and answer.ended and deployment.message:
            print_error(self._terminal, Problem("", deployment.message, deployment.hint))
            self._terminal.say(f"The report is in the bot's channel: {deployment.id}")


class RemoteConnection:
    """Ask one bot, again where it is away for a moment: it may be replacing itself."""

    def __init__(self, access: Access, session: aiohttp.ClientSession, terminal: Terminal) -> None:
        self._access = access
        self._session = session
        self._terminal = terminal
        self._bearer = ""

    async def ask(
        self, method: str, target: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> OfferStatus:
        """Return what has become of an offer. Raises RoasError."""
        patience = ASKED_BOT_SECONDS if method == "POST" else FOLLOWED_BOT_SECONDS
        backoff, deadline, renewed, told = Backoff(SOON), time.monotonic() + patience, not self._bearer, False
        while True:
            self._bearer = self._bearer or await self._access.bearer(self._session)
            status, text = await self._ask_once(method, target, body, headers)
            if status in {200, 202}:
                return _read(OfferStatus, text)
            if status == 401 and not renewed:  # a job's signed token lives for minutes
                renewed, self._bearer = True, ""
                continue
            may_come = status in {0, 429, 502, 503, 504}
            if not may_come or time.monotonic() > deadline:
                raise _fault(status, text)
            if status == 0 and not told:
                told = True
                self._terminal.say(f"The bot cannot be reached: {text}. It is asked again for {patience:g} s.")
            await pause(backoff.failed())

    async def _ask_once(
        self, method: str, target: str, body: str | None, headers: Mapping[str, str] | None
    ) -> tuple[int, str]:
        sent = {"Authorization": f"Bearer {self._bearer}", "Content-Type": "application/json", **(headers or {})}
        try:
            async with self._session.request(
                method, f"{self._access.url.rstrip('/')}{target}", data=body, headers=sent, allow_redirects=False
            ) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return 0, str(error) or type(error).__name__


@asynccontextmanager
async def _connected(access: Access, terminal: Terminal) -> AsyncIterator[RemoteConnection]:
    if not access.url.startswith(("https://", "http://")):
        raise InvalidRequestError("The address begins with https://.", hint="Set ROAS_URL, or give --url.")
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        yield RemoteConnection(access, session, terminal)


def _read(kind: type[OfferStatus], text: str) -> OfferStatus:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise StateError("The bot answered what this version does not understand.") from error


def _fault(status: int, text: str) -> RoasError:
    if status == 0:
        return StateError(f"The bot cannot be reached: {text}", hint="See whether ROAS_URL leads to it.")
    try:
        fault = FaultAnswer.model_validate_json(text)
    except ValidationError:
        return StateError(f"{status} was answered, and not by the bot.", hint="See whether ROAS_URL leads to it.")
    kind = {401: NotPermittedError, 403: NotPermittedError, 503: StateError}.get(status, InvalidRequestError)
    return kind(fault.message, hint=fault.hint)
