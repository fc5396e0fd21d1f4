"""Sources ask over HTTP for what their settings allow, and get no more; what is sent to a hook brings nothing down."""

import asyncio
import errno
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import example, given, settings
from typer.testing import CliRunner

from roas.api.remote import LARGEST_HOOK_BYTES, RemoteApi
from roas.api.remote_documents import offer_status
from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.credentials import Credentials, new_token
from roas.cli.output import Terminal
from roas.cli.remote import Access, make_offer, remote
from roas.cli.remote import _offer as offer_and_follow
from roas.configuration.tables import SourceSettings
from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState, Delivery, SourceKind, SourceMode
from roas.models.deployment import Outcome
from roas.models.environment import Environment
from roas.state.manager import StateManager
from testbed.ports import free_port
from tests.unit.candidates.test_webhooks import BODIES, DEEP, EVENTS, FIXTURE_KEPT, HUGE_NUMBER, SECRET, SHA, Hooks
from tests.unit.played_orchestrator import PlayedOrchestrator
from tests.unit.ui.story import until

MODES = {"dev": SourceMode.AUTO, "staging": SourceMode.PROPOSE, "prod": SourceMode.OFF}
SOURCES = {"both": ("propose", "deploy"), "proposes": ("propose",), "deploys": ("deploy",)}


class Scene:
    """Ask as the job of a source; nothing but the orchestrator is played."""

    def __init__(self, state: StateManager, orchestrator: PlayedOrchestrator, client: Any, hooks: Hooks) -> None:
        self.state, self.orchestrator, self.client, self.hooks = state, orchestrator, client, hooks
        self.tokens: dict[str, str] = {}
        self.coordinator: Any = None
        self.next: Any = None  # the coordinator of the bot after this one

    async def ask(self, source: str, path: str, environment: str, **more: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.tokens[source]}"}
        offer = {"environment": environment, "version": "v1"} | more
        async with self.client.post(path, json=offer, headers=sent) as answer:
            return answer.status, await answer.json()

    async def hook(self, source: str, body: bytes, event: str) -> int:
        signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
        sent = {"X-GitHub-Event": event, "X-GitHub-Delivery": "1", "X-Hub-Signature-256": f"sha256={signature}"}
        sent |= {"X-Gitlab-Event": event, "X-Gitlab-Token": SECRET, "Authorization": SECRET}
        sent |= {f"X-{kind}-{name}": event for kind in ("Gitea", "Forgejo") for name in ("Event", "Delivery")}
        sent |= {"X-Gitea-Signature": signature, "X-Forgejo-Signature": signature}
        async with self.client.post(f"/v1/hooks/{source}/{SECRET}", data=body, headers=sent) as answer:
            return answer.status


@pytest.fixture
async def scene(tmp_path) -> AsyncIterator[Scene]:
    async with StateManager(tmp_path / "state") as state:
        bus, hooks = EventBus(), Hooks(tmp_path)
        orchestrator = PlayedOrchestrator(state, bus)
        environments = {name: Environment(name, f"shop-{name}", tmp_path, ()) for name in MODES}
        coordinator = CandidateCoordinator(state, orchestrator, bus, environments)
        tokens = {name: new_token() for name in (*SOURCES, "forge")}
        sources = {
            name: SourceSettings(environments=MODES, actions=actions, token_hash=tokens[name][1])
            for name, actions in SOURCES.items()
        }
        sources["forge"] = SourceSettings(
            kind=SourceKind.GITHUB, repository="acme/shop", environments=MODES, token_hash=tokens["forge"][1]
        )

        async def nowhere(address: str) -> Any:
            raise AssertionError(address)

        credentials = Credentials(sources, nowhere)
        api = RemoteApi(state, coordinator, credentials, environments, hooks.webhooks)
        async with TestClient[web.Request, web.Application](TestServer(api.application())) as client:
            scene = Scene(state, orchestrator, client, hooks)
            scene.coordinator = coordinator
            scene.next = lambda: CandidateCoordinator(state, orchestrator, bus, environments)
            scene.tokens = {name: token for name, (token, _hash) in tokens.items()}
            await coordinator.start()
            yield scene
            await coordinator.stop()
        await bus.close()


@pytest.mark.parametrize("environment", [*MODES, "moon"])
@pytest.mark.parametrize("action", ["propose", "deploy"])
@pytest.mark.parametrize("source", SOURCES)
async def test_source_gets_what_its_settings_allow(scene, source, action, environment):
    """Each source, action and mode: only `auto` starts anything, and only where a deployment is asked for."""
    path = {"propose": "/v1/proposals", "deploy": "/v1/deployments"}[action]
    status, answer = await scene.ask(source, path, environment)
    mode = MODES.get(environment, SourceMode.OFF)
    if mode is SourceMode.OFF or action not in SOURCES[source]:
        assert (status, answer["key"]) == (403, "not_permitted")
        named = environment if mode is SourceMode.OFF else action
        assert named in answer["message"]
        assert await scene.state.candidates.of_environment(environment) == ()
        return
    assert status == 202
    expected = CandidateState.PROPOSED
    if (mode, action) == (SourceMode.AUTO, "deploy"):
        expected = CandidateState.STARTED
    seen = answer
    while seen["state"] in {CandidateState.NEW, CandidateState.STARTING}:
        sent = {"Authorization": f"Bearer {scene.tokens[source]}"}
        url = f"/v1/deployments/{answer['id']}?wait=5&seen={seen['revision']}"
        async with scene.client.get(url, headers=sent) as found:
            seen = await found.json()
    candidate = await scene.state.candidates.get(answer["id"])
    assert candidate.state is expected, candidate.note
    assert len(scene.orchestrator.requests) == (expected is CandidateState.STARTED)


@pytest.mark.parametrize("action", ["propose", "deploy"])
async def test_what_a_stopping_bot_takes_is_carried_out_by_the_next(scene, action):
    """It listens until the last: what it says that it has taken is in the journal, whoever goes on with that."""
    await scene.coordinator.stop()
    path = {"propose": "/v1/proposals", "deploy": "/v1/deployments"}[action]
    status, answer = await scene.ask("both", path, "dev")
    assert (status, answer["state"]) == (202, CandidateState.NEW)
    await scene.state.deliveries.add(Delivery("forge", "1", "push", datetime.now(UTC), hint={"sha": SHA}))
    inspected, again = asyncio.Queue(), scene.next()

    async def inspect(delivery: Delivery) -> str:
        inspected.put_nowait(delivery.id)
        return ""

    again.inspect_with(inspect)
    await again.start()
    expected = {"propose": CandidateState.PROPOSED, "deploy": CandidateState.STARTED}[action]
    assert await asyncio.wait_for(inspected.get(), 5) == "1"

    async def is_there() -> bool:
        return (await scene.state.candidates.get(answer["id"])).state is expected

    await until(is_there)
    await again.stop()
    assert len(scene.orchestrator.requests) == (action == "deploy")


@pytest.mark.parametrize(
    ("source", "repository", "commit", "status", "told"),
    [
        ("forge", "acme/other", SHA, 403, "may not offer versions of the repository acme/other"),
        ("forge", "../orgs/acme", SHA, 403, "may not offer versions of the repository"),
        ("forge", "acme/shop", SHA[:12], 422, "is no whole commit"),
        ("forge", "Acme/Shop", SHA, 202, "acme/shop"),
        ("forge", "", SHA, 202, "acme/shop"),
        ("proposes", "acme/other", SHA[:12], 202, "acme/other"),
    ],
)
async def test_job_does_not_choose_where_a_forge_is_told(scene, source, repository, commit, status, told):
    """The bot's token of a forge writes to the repository of the source alone; of another kind nothing is told."""
    answered, answer = await scene.ask(source, "/v1/proposals", "dev", repository=repository, commit=commit)
    assert answered == status
    offered = await scene.state.candidates.of_environment("dev")
    assert [item.origin.repository for item in offered] == ([told] if status == 202 else [])
    assert status == 202 or told in answer["message"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "Out of processes or threads"),
        (RuntimeError("can't start new thread"), "Out of processes or threads"),
        (MemoryError(), "Out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Out of open files"),
        (OSError(errno.ENOSPC, "No space left on device"), "Out of disk space"),
        (ValueError("a secret"), "Unexpected internal error (ValueError)"),
    ],
)
async def test_shortage_is_told_to_jobs_and_hooks(scene, monkeypatch, fault, told):
    """They ask again later, and whoever reads their log knows what ran out."""

    async def refuse(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(scene.state.candidates, "add", refuse)
    monkeypatch.setattr(scene.hooks.webhooks, "take", refuse)
    status, answer = await scene.ask("deploys", "/v1/deployments", "dev")
    assert (status, told in answer["message"], bool(answer["hint"])) == (503, True, True), answer
    assert "secret" not in str(answer)
    assert await scene.hook("github", b"{}", "push") == 503


async def test_hook_that_is_too_large_is_refused(scene):
    assert await scene.hook("github", b" " * LARGEST_HOOK_BYTES, "push") == 202
    assert await scene.hook("github", b" " * (LARGEST_HOOK_BYTES + 1), "push") == 413
    assert await scene.hook("github", b"{}", "ping") == 202, "the next one is taken"


@settings(max_examples=20, **FIXTURE_KEPT)
@given(body=BODIES, event=EVENTS)
@example(body=DEEP, event="push")
@example(body=b"[" * 100_000, event="push")
@example(body=HUGE_NUMBER, event="push")
async def test_server_answers_whatever_is_sent(scene, body, event):
    """No 500, for any kind of source, and nothing is started."""
    for kind in SourceKind:
        assert await scene.hook(kind.value, body, event) in {202, 401, 404}, kind
    assert scene.orchestrator.requests == []


async def test_offer_is_made_again_by_the_same_key_while_the_bot_restarts(monkeypatch, capsys):
    taken, keys = Candidate("CAND-1", "ci", "dev", "v1", datetime.now(UTC), state=CandidateState.UNCHANGED), []

    async def take(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            request.transport.abort()
        return web.Response(text=offer_status(taken, None).model_dump_json(), status=202)

    monkeypatch.setenv("ROAS_TOKEN", "roas_x")
    application = web.Application()
    application.add_routes([web.post("/v1/deployments", take)])
    async with TestServer(application) as server:
        access = Access(str(server.make_url("/")), None, "")
        assert await offer_and_follow(access, "deployments", make_offer("dev", "v1", None, ""), "", 1, Terminal()) == 0
    assert (len(keys), len(set(keys)), bool(keys[0])) == (2, 1, True)
    said = capsys.readouterr()
    assert "It is asked again" in said.out + said.err


@pytest.mark.parametrize(
    ("end", "code"),
    [(Outcome.FAILED, 1), (Outcome.ROLLED_BACK, 3), (Outcome.CANCELLED, 4), ("skipped", 4), ("out of time", 69)],
)
async def test_job_ends_as_its_offer_ends(scene, monkeypatch, end, code):
    monkeypatch.setenv("ROAS_TOKEN", scene.tokens["both"])
    environment = "staging" if end == "skipped" else "dev"
    access = Access(str(scene.client.make_url("/")), None, "")
    offer, minutes = make_offer(environment, "v1", None, ""), 1e-4 if end == "out of time" else 1
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        job = group.create_task(offer_and_follow(access, "deployments", offer, "", minutes, Terminal()))
        if isinstance(end, Outcome):
            await scene.orchestrator.started.wait()
            await scene.orchestrator.finish(end)
        elif end == "skipped":
            await until(lambda: skipped(scene.state))
    assert job.result() == code


async def skipped(state: StateManager) -> bool:
    """Skip what is proposed, once it is."""
    states = [CandidateState.PROPOSED]
    proposed = [known for known in await state.candidates.open() if known.state in states]
    return any(
        [await state.candidates.move(known.id, CandidateState.SKIPPED, from_states=states) for known in proposed]
    )


def test_job_that_reaches_no_bot_ends_with_69(monkeypatch):
    """After it has asked for a while."""
    monkeypatch.setenv("ROAS_TOKEN", "roas_x")
    monkeypatch.setattr("roas.cli.remote.ASKED_BOT_SECONDS", 0.0)
    ended = CliRunner().invoke(remote(), ["deploy", "dev", "v1", "--url", f"http://127.0.0.1:{free_port()}"])
    assert (ended.exit_code, "cannot be reached" in ended.output) == (69, True), ended.output
