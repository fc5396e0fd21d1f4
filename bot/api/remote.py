"""Serve CI jobs and webhooks on TCP: an allowlist of routes, by the credentials of a source.

A source is never a person: no route here confirms, approves, decides, grants or cancels. What is offered is written
into the journal, by a bot on standby too, and the leader goes on with it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import BaseModel, ValidationError

from roas.api.remote_documents import (
    LONGEST_WAIT_SECONDS,
    EnvironmentList,
    EnvironmentView,
    FaultAnswer,
    HookAnswer,
    Offer,
    OfferStatus,
    offer_status,
    openapi,
)
from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.credentials import Caller, Credentials, CredentialsError, IssuerAwayError
from roas.candidates.webhooks import SHA, Webhooks
from roas.concurrency import end_tasks, pause, wait_for
from roas.configuration.wrong_values import explain_body
from roas.errors import (
    EngineUnavailableError,
    InternalFaultError,
    InvalidRequestError,
    NotPermittedError,
    RoasError,
    StateError,
)
from roas.http.webhook import read_body
from roas.limits import SOCKET_RETRY_SECONDS
from roas.log import get_logger
from roas.models.candidate import CANDIDATE_PREFIX, FORGES, Candidate, Origin, SourceAction, SourceMode
from roas.models.environment import Environment
from roas.redaction import hide
from roas.shortages import fault_of
from roas.state.candidates import KeyReusedError
from roas.state.documents import hide_in_document
from roas.state.manager import StateManager

log = get_logger(__name__)

LARGEST_BODY_BYTES = 64 * 1024
LARGEST_HOOK_BYTES = 4 * 1024 * 1024
LONGEST_KEY = 200
SHUTDOWN_SECONDS = 1.0
# Changes by this process are seen at once; those by another one, on the same journal, by looking.
POLL_SECONDS = 1.0
BEARER = "bearer "
STATUS_OF: Mapping[type[RoasError], int] = {
    CredentialsError: 401,
    NotPermittedError: 403,
    KeyReusedError: 409,
    InvalidRequestError: 422,
    IssuerAwayError: 503,
    StateError: 503,
    EngineUnavailableError: 503,
    InternalFaultError: 503,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NotThereError(InvalidRequestError):
    """A source asked for something that is not there, or not its own."""


class RemoteApi:
    """Answer sources, each within what its settings allow."""

    def __init__(
        self,
        state: StateManager,
        candidates: CandidateCoordinator,
        credentials: Credentials,
        environments: Mapping[str, Environment],
        webhooks: Webhooks,
    ) -> None:
        self._state = state
        self._candidates = candidates
        self._credentials = credentials
        self._environments = environments
        self._webhooks = webhooks

    def application(self) -> web.Application:
        """Return the application, to be served once."""
        application = web.Application(client_max_size=LARGEST_HOOK_BYTES, middlewares=[_answer_faults])
        application.add_routes(
            [
                web.post("/v1/deployments", self._deploy),
                web.post("/v1/proposals", self._propose),
                web.get("/v1/deployments/{id}", self._status),
                web.get("/v1/environments", self._list_environments),
                web.get("/v1/openapi.json", self._describe),
                web.post("/v1/hooks/{source}", self._take_hook),
                web.post("/v1/hooks/{source}/{secret}", self._take_hook),
            ]
        )
        return application

    async def _deploy(self, request: web.Request) -> web.Response:
        return await self._offer(request, SourceAction.DEPLOY)

    async def _propose(self, request: web.Request) -> web.Response:
        return await self._offer(request, SourceAction.PROPOSE)

    async def _offer(self, request: web.Request, action: SourceAction) -> web.Response:
        caller = await self._caller(request)
        offer = await _read_offer(request)
        mode, origin = self._permit(caller, offer.environment, action), _origin(caller, offer)
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > LONGEST_KEY:
            raise InvalidRequestError(f"An Idempotency-Key has {LONGEST_KEY} characters at most.")
        candidate = await self._candidates.offer(
            caller.source,
            offer.environment,
            offer.version,
            mode=mode,
            services=tuple(sorted(set(offer.services))),
            origin=origin,
            reason=offer.reason,
            key=key,
            is_asked_for=True,
        )
        log.info("offer taken", candidate_id=candidate.id, source=caller.source, job=caller.job, action=action.value)
        return _answer(await self._status_of(candidate), status=202)

    def _permit(self, caller: Caller, environment: str, action: SourceAction) -> SourceMode:
        """Return what is to become of an offer. Raises NotPermittedError; what is off, and what is not, look alike."""
        mode = caller.settings.environments.get(environment, SourceMode.OFF)
        if environment not in self._environments or mode is SourceMode.OFF:
            raise NotPermittedError(
                f"The source {caller.source} may not offer versions to {environment}.",
                hint=f"Name it in `environments` of [sources.{caller.source}] in roas.toml.",
            )
        if action not in caller.settings.actions:
            raise NotPermittedError(
                f"The source {caller.source} may not {action.value}.",
                hint=f"Name `{action.value}` in `actions` of [sources.{caller.source}] in roas.toml.",
            )
        return SourceMode.PROPOSE if action is SourceAction.PROPOSE else mode

    async def _status(self, request: web.Request) -> web.Response:
        caller = await self._caller(request)
        seen = request.query.get("seen", "")
        try:
            wait = min(max(float(request.query.get("wait", "0")), 0.0), LONGEST_WAIT_SECONDS)
        except ValueError as error:
            raise InvalidRequestError("`wait` is a number of seconds.") from error
        return _answer(await self._once_changed(caller, request.match_info["id"], seen, wait))

    async def _once_changed(self, caller: Caller, wanted: str, seen: str, seconds: float) -> OfferStatus:
        """Return a status that is another than the one seen, or has ended, or the same after so many seconds."""
        deadline = time.monotonic() + seconds
        with self._state.watched() as changed:
            while True:
                changed.clear()
                status = await self._status_of(await self._own(caller, wanted))
                left = deadline - time.monotonic()
                seen = seen or status.revision
                if status.revision != seen or status.ended or left <= 0:
                    return status
                await wait_for(changed, min(left, POLL_SECONDS))

    async def _own(self, caller: Caller, wanted: str) -> Candidate:
        """Return a candidate by its id or its deployment's, to the source that offered it."""
        candidates = self._state.candidates
        is_candidate = wanted.startswith(f"{CANDIDATE_PREFIX}-")
        found = await (candidates.get(wanted) if is_candidate else candidates.of_deployment(wanted))
        if found is None or found.source != caller.source:
            raise NotThereError("This source has made no such offer.", hint="The answer to an offer says its id.")
        return found

    async def _status_of(self, candidate: Candidate) -> OfferStatus:
        started = candidate.deployment_id
        return offer_status(candidate, await self._state.deployments.get(started) if started else None)

    async def _list_environments(self, request: web.Request) -> web.Response:
        caller = await self._caller(request)
        allowed = [
            (name, mode)
            for name, mode in caller.settings.environments.items()
            if name in self._environments and mode is not SourceMode.OFF
        ]
        views = [await self._view(caller, name, mode) for name, mode in allowed]
        return _answer(EnvironmentList(environments=tuple(views)))

    async def _view(self, caller: Caller, name: str, mode: SourceMode) -> EnvironmentView:
        release = await self._state.releases.current(name)
        active = await self._state.deployments.active(name)
        freeze = await self._state.freezes.get(name)
        return EnvironmentView(
            name=name,
            mode=mode,
            actions=caller.settings.actions,
            release=release.number if release is not None else None,
            version=release.version if release is not None else "",
            deployment=active.id if active is not None else None,
            frozen=freeze.reason or "locked" if freeze is not None else "",
            holds=tuple(hold.version for hold in await self._state.holds.of(name) if hold.version),
            since=release.created_at if release is not None else None,
        )

    async def _take_hook(self, request: web.Request) -> web.Response:
        """Answer before any work is done: a sender waits for seconds only."""
        body = await read_body(request, LARGEST_HOOK_BYTES)
        name, path = request.match_info["source"], request.match_info.get("secret", "")
        status, delivery, note = await self._webhooks.take(name, path, request.headers, body)
        if status != 202:
            return refuse(status, CredentialsError.key, note)
        return _answer(HookAnswer(delivery=delivery, note=note), status=status)

    async def _describe(self, _request: web.Request) -> web.Response:
        return web.json_response(openapi())

    async def _caller(self, request: web.Request) -> Caller:
        header = request.headers.get("Authorization", "")
        is_bearer = header[: len(BEARER)].lower() == BEARER
        return await self._credentials.caller(header[len(BEARER) :].strip() if is_bearer else "")


def _origin(caller: Caller, offer: Offer) -> Origin:
    """Return where an offer comes from: of a source of a forge, its own repository, which the bot's token writes to.

    Raises NotPermittedError, InvalidRequestError.
    """
    settings, repository = caller.settings, offer.repository
    if settings.kind in FORGES and settings.repository is not None:
        if repository and repository.lower() != settings.repository.lower():
            raise NotPermittedError(
                f"The source {caller.source} may not offer versions of the repository {repository}.",
                hint=f"Its `repository` in [sources.{caller.source}] of roas.toml is {settings.repository}.",
            )
        if offer.commit and SHA.match(offer.commit) is None:
            raise InvalidRequestError(
                f"{offer.commit} is no whole commit.", hint="Send all 40 (or 64) characters: its status is told there."
            )
        repository = settings.repository
    return Origin(repository=repository, commit=offer.commit, ref=offer.ref, url=offer.url)


async def _read_offer(request: web.Request) -> Offer:
    body = await read_body(request, LARGEST_BODY_BYTES)
    try:
        return Offer.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequestError(f"The body is not what is asked for: {explain_body(error)}") from error


@web.middleware
async def _answer_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a fault with its status and its text; an unexpected one is logged, and answered without its text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return refuse(error.status, "invalid_request", error.reason)
    except Exception as error:  # the other side gets an answer whatever it is
        fault = fault_of(error)
        if fault is not error:
            log.exception("the API could not answer", path=request.path)
        status = next((code for kind, code in STATUS_OF.items() if isinstance(fault, kind)), 422)
        status = 404 if isinstance(fault, NotThereError) else status
        return refuse(status, fault.key, fault.message, fault.hint)


def refuse(status: int, key: str, message: str, hint: str = "") -> web.Response:
    """Return a fault as an answer."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    headers |= {"Retry-After": "5"} if status == 503 else {}
    answer = _answer(FaultAnswer(key=key, message=message, hint=hint), status=status, headers=headers)
    if status in {400, 408, 413}:  # what was not read to its end cannot be followed by another request
        answer.force_close()
    return answer


def _answer(document: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    text = hide_in_document(json.dumps(document.model_dump(mode="json")), hide)
    return web.Response(text=str(text), status=status, content_type="application/json", headers=headers)


@asynccontextmanager
async def serve_remote_api(api: RemoteApi, host: str, port: int) -> AsyncIterator[int]:
    """Serve the API, and provide the port. Raises OSError where the address cannot be had."""
    runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        taken = int(runner.addresses[0][1])
        log.info("the API listens", host=host, port=taken)
        yield taken
    finally:
        await runner.cleanup()


class RemoteServer:
    """Serve the API for as long as the bot runs, on standby too: what comes meanwhile is stored.

    A bot without a network of its own waits until its predecessor gives the address away.
    """

    def __init__(self, api: RemoteApi, host: str, port: int | None) -> None:
        """Take the address; without a port nothing is served."""
        self._api = api
        self._host = host
        self._port = port
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, or to wait for the address."""
        if self._port is not None:
            self._task = asyncio.create_task(self._serve(self._port), name="API")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _serve(self, port: int) -> None:
        logged = False
        while True:
            try:
                async with serve_remote_api(self._api, self._host, port):
                    await asyncio.get_running_loop().create_future()
            except OSError as error:
                if not logged:
                    log.error("the API cannot listen yet", error=error.strerror, port=port)
                logged = True
            await pause(SOCKET_RETRY_SECONDS)
