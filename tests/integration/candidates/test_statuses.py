"""The forge hears what became of a commit: in order, once, whoever dies and whoever is away."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.statuses import DESCRIPTION_LENGTH, FORGE_STATUS, StatusReporter, forges_of, status_of
from roas.configuration.tables import AppSettings, SourceSettings
from roas.errors import SettingsError
from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState, Origin, SourceKind, SourceMode
from roas.models.deployment import Outcome
from roas.models.environment import Environment
from roas.state.manager import StateManager
from roas.web_client import WebClient
from tests.integration.candidates.forge import TOKEN, FakeForge, fake_forge
from tests.unit.played_orchestrator import PlayedOrchestrator

SHA = "a" * 40
MESSAGE = "https://discord.com/channels/1/2/3"


@pytest.fixture
async def forge() -> AsyncIterator[FakeForge]:
    async with fake_forge() as forge:
        yield forge


class Scene:
    """Tell a forge of what one source offers; no time passes but what the test lets pass."""

    def __init__(self, state: StateManager, folder: Path, forge: FakeForge, kind: SourceKind) -> None:
        self.state, self.bus, self.client = state, EventBus(), WebClient()
        self.secrets: list[str] = []
        (folder / "token").write_text(TOKEN)
        self.orchestrator = PlayedOrchestrator(state, self.bus)
        known = {name: Environment(name, f"shop-{name}", folder, ()) for name in ("dev", "prod")}
        self.coordinator = CandidateCoordinator(state, self.orchestrator, self.bus, known)
        self.source = SourceSettings(
            kind=kind, repository="acme/shop", forge_url=forge.url, forge_token_file=folder / "token"
        )

    def reporter(self) -> StatusReporter:
        """Return that of a bot that has just begun to lead."""

        async def link(_candidate: Candidate) -> str:
            return MESSAGE

        return StatusReporter(
            forges_of({"shop": self.source}, self.client, self.secrets.extend), self.state, self.bus, link
        )

    async def offer(
        self, version: str = "v1", environment: str = "dev", commit: str = SHA, repository: str = "acme/shop"
    ) -> Candidate:
        origin = Origin(repository=repository, commit=commit)
        return await self.coordinator.offer("shop", environment, version, mode=SourceMode.AUTO, origin=origin)

    async def deploy(self, candidate: Candidate) -> None:
        await self.coordinator._advance(candidate)


@pytest.fixture
async def make_scene(tmp_path: Path, forge: FakeForge):
    scenes = []
    async with StateManager(tmp_path / "state") as state:

        def make(kind: SourceKind) -> Scene:
            scenes.append(Scene(state, tmp_path, forge, kind))
            return scenes[-1]

        yield make
        for scene in scenes:
            await scene.client.close()
            await scene.bus.close()


CONTEXT = "roas/dev"
TOLD = {
    SourceKind.GITHUB: [
        *[("deployment", "1", "dev", "queued"), ("commit", "aaaa", CONTEXT, "pending")],
        *[("deployment", "1", "dev", "in_progress"), ("commit", "aaaa", CONTEXT, "pending")],
        *[("deployment", "1", "dev", "failure"), ("commit", "aaaa", CONTEXT, "failure")],
    ],
    SourceKind.GITLAB: [("gitlab", "acme/shop", CONTEXT, state) for state in ("pending", "running", "failed")],
    SourceKind.FORGEJO: [("commit", "aaaa", CONTEXT, state) for state in ("pending", "pending", "failure")],
}


@pytest.mark.parametrize("kind", TOLD)
async def test_each_step_is_told_once_and_in_order(make_scene, forge, kind):
    scene = make_scene(kind)
    candidate = await scene.offer()
    for _time in range(2):
        await scene.reporter().report()
    await scene.deploy(candidate)
    for _time in range(2):
        await scene.reporter().report()
    await scene.orchestrator.finish(Outcome.ROLLED_BACK, "service_failed")
    for _time in range(2):
        await scene.reporter().report()
    assert forge.told == TOLD[kind]
    assert forge.links == {MESSAGE}, "whoever reads it there finds the channel's message"


async def test_forge_that_is_away_is_told_later_and_holds_up_nothing(make_scene, forge):
    scene = make_scene(SourceKind.GITHUB)
    forge.is_away = True
    candidate = await scene.offer()
    reporter = scene.reporter()
    await reporter.report()
    await scene.deploy(candidate)
    await scene.orchestrator.finish(Outcome.SUCCEEDED)
    assert (await scene.state.candidates.get(candidate.id)).state is CandidateState.STARTED
    forge.is_away = False
    await reporter.report()
    assert forge.told == [], "it is left alone for a moment"
    await scene.reporter().report()
    assert forge.told == [("deployment", "1", "dev", "success"), ("commit", "aaaa", CONTEXT, "success")]


@pytest.mark.parametrize("kind", TOLD)
async def test_other_repository_and_part_of_a_commit_are_not_told(make_scene, forge, kind):
    """The token writes to the repository of its source, whatever the journal has of the release before."""
    scene = make_scene(kind)
    await scene.offer("v1", repository="acme/other")
    await scene.offer("v2", repository="acme/shop/../other")
    await scene.offer("v3", environment="prod", commit=SHA[:12])
    await scene.reporter().report()
    assert forge.told == []


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize(
    ("status", "is_final"), [(404, True), (410, True), (422, True), (401, False), (403, False), (429, False)]
)
async def test_status_that_is_refused_for_good_stops_no_other(make_scene, forge, kind, status, is_final):
    """A commit that is gone is given up; a limit of requests or an old token holds all of them, in order."""
    scene = make_scene(kind)
    gone = await scene.offer("v1", environment="prod", commit="b" * 40)
    await scene.offer("v2")
    forge.refused["b" * 40] = status
    for _time in range(2):
        await scene.reporter().report()
    assert bool(forge.told) is is_final
    known = await scene.state.posts.get(gone.id, FORGE_STATUS)
    assert (known is not None and known.finished) is is_final
    forge.refused.clear()
    forge.told.clear()
    await scene.reporter().report()
    assert bool(forge.told) is not is_final


async def test_bot_that_died_after_telling_does_not_open_a_second_deployment(make_scene, forge):
    scene = make_scene(SourceKind.GITHUB)
    await scene.offer()
    reporter = scene.reporter()
    kept, scene.state.posts.save = scene.state.posts.save, _die
    with pytest.raises(KeyboardInterrupt):
        await reporter.report()
    scene.state.posts.save = kept
    await scene.reporter().report()
    assert len(forge.deployments) == 1


async def _die(_post):
    raise KeyboardInterrupt


async def test_replaced_version_becomes_inactive(make_scene, forge):
    scene = make_scene(SourceKind.GITHUB)
    await scene.offer("v1", commit="b" * 40)
    await scene.reporter().report()
    await scene.offer("v2")
    await scene.reporter().report()
    assert [item for item in forge.told if item[0] == "deployment"] == [
        ("deployment", "1", "dev", "queued"),
        ("deployment", "1", "dev", "inactive"),
        ("deployment", "2", "dev", "queued"),
    ]


async def test_commits_since_what_runs_are_asked_of_the_forge(make_scene, forge):
    scene = make_scene(SourceKind.GITHUB)
    forge.history = {"b" * 40: "First", "c" * 40: "Fix the cart", SHA: "Add a button"}
    speaks = forges_of({"shop": scene.source}, scene.client, scene.secrets.extend)["shop"]
    address, commits = await speaks.commits("b" * 40, SHA)
    assert address == "https://forge.example.org/compare"
    assert [(one.title, one.author) for one in commits] == [("Add a button", "Ada"), ("Fix the cart", "Ada")]
    rewritten = await speaks.commits("d" * 40, SHA)
    assert [one.title for one in rewritten[1]] == ["Add a button"], "what ran is gone from the history"
    assert await speaks.commits("", "e" * 40) is None


async def test_app_tells_by_tokens_of_its_own(make_scene, forge, tmp_path):
    """It signs with its key, gets a token for the repository, and asks for another only when that is old."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forge.app_key = key.public_key()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "app.pem").write_bytes(text)
    scene = make_scene(SourceKind.GITHUB)
    app = {"id": 7, "key_file": tmp_path / "app.pem"}
    scene.source = scene.source.model_copy(update={"forge_token_file": None, "app": AppSettings(**app)})
    await scene.offer()
    reporter = scene.reporter()
    await reporter.report()
    assert [item[-1] for item in forge.told] == ["queued", "pending"]
    await scene.offer(environment="prod")
    await reporter.report()
    assert (len(forge.told), forge.tokens_made) == (4, 1)
    assert {text.decode().strip(), TOKEN} <= set(scene.secrets)
    (tmp_path / "app.pem").write_text("no key")
    with pytest.raises(SettingsError, match="cannot be used"):
        scene.reporter()


@pytest.mark.parametrize("state", CandidateState)
def test_every_state_has_a_short_text(state):
    candidate = Candidate("CAND-1", "shop", "e" * 32, "v" * 128, datetime.now(UTC), state=state)
    status = status_of(candidate, None)
    assert 0 < len(status.description) <= DESCRIPTION_LENGTH
