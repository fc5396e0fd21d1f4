"""A commit of the repository that a stack's files come from is a candidate; a ref that has moved is another."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.inspection import SourceInspector
from roas.configuration.tables import SourceSettings
from roas.errors import RefMovedError, RegistryUnavailableError
from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState, Delivery, SourceMode
from roas.models.deployment import DeploymentRequest, Outcome
from roas.models.environment import Environment, Repository
from roas.models.plan import Plan
from roas.stack.images.registry import RegistryClient
from roas.stack.resolution.repository import Repositories
from roas.state.manager import StateManager
from roas.web_client import WebClient
from testbed.git_server import GitServer, git_server
from testbed.ports import free_port
from tests.unit.played_orchestrator import PlayedOrchestrator

COMPOSE = "services: {web: {image: nginx}}\n"


class GitOrchestrator(PlayedOrchestrator):
    """Plan as the real one does where the files come from a repository: at the ref's commit, or not at all."""

    def __init__(self, state: StateManager, bus: EventBus, repositories: Repositories, environment: Environment):
        super().__init__(state, bus)
        self.repositories, self.environment = repositories, environment

    async def plan(self, request: DeploymentRequest, *, keep: bool = True) -> Plan:
        async with self.repositories.hold(self.environment, request.stack_commit):
            return await super().plan(request, keep=keep)


class Scene:
    """Look at one repository for one environment, as a source that says so."""

    def __init__(self, state: StateManager, client: WebClient, server: GitServer, folder: Path, **source) -> None:
        self.state, bus, self.server = state, EventBus(), server
        self.repositories = Repositories(folder / "state", [].extend, client)
        environment = Environment("dev", "shop-dev", folder / "stack", (), repository=Repository(server.url))
        known = {"dev": environment}
        self.orchestrator = GitOrchestrator(state, bus, self.repositories, environment)
        self.coordinator = CandidateCoordinator(state, self.orchestrator, bus, known)
        settings = {"kind": "git", "environments": {"dev": SourceMode.PROPOSE}} | source
        registry = RegistryClient(client, lambda: folder / "none", [].extend)
        self.source = SourceSettings(**settings)
        self.inspector = SourceInspector(
            {"code": self.source}, registry, self.coordinator, {}, known, self.repositories
        )

    async def candidates(self) -> tuple[Candidate, ...]:
        """Sweep, and return what was offered so far, the newest first."""
        await self.inspector.sweep()
        return await self.state.candidates.of_environment("dev")

    async def deploy(self, candidate: Candidate) -> None:
        await self.coordinator._advance(candidate)
        if (planned := await self.state.candidates.get(candidate.id)).state is CandidateState.PROPOSED:
            await self.state.candidates.move(planned.id, CandidateState.STARTING, from_states=[planned.state])
            await self.coordinator._start(await self.state.candidates.get(candidate.id), "digest")
        await self.orchestrator.finish(Outcome.SUCCEEDED)


@pytest.fixture
async def make_scene(tmp_path: Path) -> AsyncIterator:
    client = WebClient()
    async with StateManager(tmp_path / "journal") as state, git_server(tmp_path / "server") as server:
        yield lambda **source: Scene(state, client, server, tmp_path, **source)
        await client.close()


async def test_each_commit_is_offered_once_with_what_is_between(make_scene):
    scene = make_scene(version="c-{short_sha}")
    first = scene.server.commit({"compose.yaml": COMPOSE}, "Begin")
    (offered,) = await scene.candidates()
    assert (offered.version, offered.origin.stack_commit) == (f"c-{first[:7]}", first)
    assert [commit.title for commit in offered.origin.commits] == ["Begin"]
    assert await scene.candidates() == (offered,)
    await scene.deploy(offered)
    scene.server.commit({"a": "1"}, "Fix the cart")
    third = scene.server.commit({"a": "2"}, "Add a button")
    newest, *_before = await scene.candidates()
    assert newest.origin.commit == third
    assert [(commit.title, commit.author) for commit in newest.origin.commits] == [
        ("Add a button", "Ada"),
        ("Fix the cart", "Ada"),
    ]
    assert newest.reason == ""
    scene.server.git("reset", "-q", "--hard", "HEAD~2")
    scene.server.git("commit", "-q", "--amend", "-m", "Begin again")
    scene.server.push()
    forced, *_before = await scene.candidates()
    assert (forced.reason, forced.proposal) == ("The branch was force-pushed.", newest.proposal)


async def test_ref_that_moves_after_the_offer_is_another_candidate_in_the_same_message(make_scene):
    scene = make_scene()
    scene.server.commit({"compose.yaml": COMPOSE})
    (offered,) = await scene.candidates()
    moved = scene.server.commit({"compose.yaml": COMPOSE * 2})
    await scene.coordinator._advance(offered)
    refused = await scene.state.candidates.get(offered.id)
    assert refused.state is CandidateState.REFUSED
    assert "is not" in refused.note
    newer, *_before = await scene.candidates()
    assert (newer.origin.stack_commit, newer.proposal) == (moved, offered.proposal)
    with pytest.raises(RefMovedError):
        await scene.orchestrator.plan(DeploymentRequest("dev", "DEPLOY", None, "v1", stack_commit="a" * 40))


async def test_registry_of_a_commit_that_is_away_is_waited_for(make_scene):
    """For a day, as the coordinator has it: what may come within a quarter of an hour is an image."""
    scene = make_scene(images=[f"127.0.0.1:{free_port()}/shop/web"], kind="github")
    scene.server.commit({"compose.yaml": COMPOSE})
    assert await scene.candidates() == ()
    for hours in (0, 1):
        with pytest.raises(RegistryUnavailableError):
            await scene.inspector.inspect(Delivery("code", "1", "push", datetime.now(UTC) - timedelta(hours=hours)))


async def test_webhook_only_says_where_to_look(make_scene):
    scene = make_scene(kind="github")
    commit = scene.server.commit({"compose.yaml": COMPOSE})
    hint = {"commit": "f" * 40, "ref": "refs/heads/main"}
    await scene.inspector.inspect(Delivery("code", "1", "push", datetime.now(UTC), hint=hint))
    (offered,) = await scene.candidates()
    assert offered.origin.commit == commit
    assert "nothing new" in await scene.inspector.inspect(Delivery("code", "2", "push", datetime.now(UTC), hint=hint))


async def test_server_that_is_away_is_asked_again(make_scene):
    scene = make_scene()
    scene.server.commit({"compose.yaml": COMPOSE})
    scene.server.is_away = True
    assert await scene.candidates() == ()
    scene.server.is_away = False
    assert len(await scene.candidates()) == 1
