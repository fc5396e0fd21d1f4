"""No release without the bot is deployed, and whoever planned one nevertheless does not remove it."""

from dataclasses import replace

import pytest

from roas.deploy.own_service import refuse_moved_bot
from roas.errors import BotRemovalError
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.facts import BotPlace, Mount, OwnContainer
from roas.models.health import ContainerState
from roas.models.phases import PhaseName
from roas.state.documents import to_json
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.handover.two_bots import BOT, Bot, Scene
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA
from tests.unit.deploy.requested import deploy_home as deploy


def leave(scene: Scene, how: str) -> None:
    """Let the bot's service leave the model."""
    match how:
        case "deleted":
            scene.home.left_out = frozenset({BOT})
        case "renamed":
            scene.home.left_out = frozenset({BOT})
            scene.home.stack["ops-bot"] = service("ops-bot")
        case "no replicas":
            scene.home.stack[BOT] = service(BOT, replicas=0)


@pytest.mark.parametrize("how", ["deleted", "renamed", "no replicas"])
async def test_a_plan_without_the_bot_is_refused(scene, old, how):
    leave(scene, how)
    scene.home.calls.clear()
    with pytest.raises(BotRemovalError, match="this bot itself") as refused:
        await old.orchestrator.plan(deploy("v1"))
    assert f"Keep {BOT}" in refused.value.hint
    assert f"docker rm -f {old.container_id}" in refused.value.hint
    deployment = await old.orchestrator.run(deploy("v1"))
    assert (deployment.outcome, deployment.touched, deployment.attempts) == (Outcome.FAILED, False, 1)
    assert deployment.problem.key == "bot_removal"
    assert {"pull", "create", "stop", "remove"}.isdisjoint(name for name, _ in scene.home.calls)
    assert scene.bot_containers() == [old.container_id]
    scene.home.left_out = frozenset()
    scene.home.stack[BOT] = service(BOT)
    assert BOT in {change.service for change in (await old.orchestrator.plan(deploy("v1"))).changed}, "as told"


async def test_naming_services_leaves_a_bot_that_left_the_file(scene, old):
    assert (await old.orchestrator.run(deploy("v0"))).outcome is Outcome.SUCCEEDED
    leave(scene, "deleted")
    deployment = await old.orchestrator.run(deploy("v1", services=("store",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert scene.home.versions() == {"store": "store:v1", BOT: "bot:v0"}
    assert scene.bot_containers() == [old.container_id]


async def test_a_rollback_to_a_release_without_the_bot_is_refused(scene, old, monkeypatch):
    await without_bot_in_history(scene, old)
    asked = DeploymentRequest("home", DeploymentKind.ROLLBACK, DORA, target_release=1)
    with pytest.raises(BotRemovalError, match="r1 has no container of bot, which is"):
        await old.orchestrator.plan(asked)
    with pytest.raises(BotRemovalError):
        await old.orchestrator.start(asked)
    assert await old.state.locks.get("home") is None
    # One that the release before had planned, and whose process died, is not carried out either.
    monkeypatch.setattr("roas.deploy.planning.planner.refuse_without_bot", lambda *_: None)
    deployment = await old.orchestrator.run(asked)
    assert (deployment.outcome, deployment.problem.key) == (Outcome.FAILED, "bot_removal")
    assert not deployment.touched
    assert scene.bot_containers() == [old.container_id]


async def without_bot_in_history(scene: Scene, bot: Bot) -> None:
    """Put a release 1 without the bot into the journal, and home on release 2 with it."""
    assert (await bot.orchestrator.run(deploy("v0"))).outcome is Outcome.SUCCEEDED
    first = await bot.state.releases.current("home")
    assert (await bot.orchestrator.run(deploy("v1", services=("store",)))).outcome is Outcome.SUCCEEDED
    scene.home.models["alone"] = {"services": {"store": {"image": "store:v0"}}}
    lone = tuple(one for one in first.services if one.name == "store")
    written = to_json(replace(first, services=lone, model_hash="alone"))
    statement = "UPDATE releases SET document = ? WHERE environment = 'home' AND number = 1"
    await bot.state.releases._journal.write(lambda t: t.execute(statement, (written,)))


@pytest.fixture
def _planned_by_the_release_before(monkeypatch):
    monkeypatch.setattr("roas.deploy.planning.planner.refuse_without_bot", lambda *_: None)


@pytest.mark.usefixtures("_planned_by_the_release_before")
@pytest.mark.parametrize("how", ["deleted", "no replicas"])
async def test_execution_refuses_a_release_without_the_bot(scene, old, how):
    leave(scene, how)
    deployment = await old.orchestrator.run(deploy("v1"))
    assert (deployment.outcome, deployment.attempts) == (Outcome.FAILED, 1)
    assert deployment.problem.key == "bot_removal"
    assert not deployment.touched
    assert scene.home.versions() == {"store": "store:v0", BOT: "bot:v0"}
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.usefixtures("_planned_by_the_release_before")
async def test_one_that_was_begun_already_is_rolled_back(scene, old, monkeypatch):
    """The release before had moved the store when its process died; its successor ends it whole, with the bot."""
    leave(scene, "deleted")
    with monkeypatch.context() as before:
        before.setattr("roas.deploy.phases.execution.refuse_without_bot", lambda *_: None)
        remove, died = scene.home.remove, False

        async def die(container_id, **options):
            nonlocal died
            died = True
            raise ConnectionAbortedError  # stands for the end of the process at this point

        before.setattr(scene.home, "remove", die)
        before.setattr("roas.deploy.run.DeploymentRun._handle_failure", raise_it)
        deployment = await old.orchestrator.start(deploy("v1"))
        with pytest.raises(BaseException):  # noqa: B017 - however it dies
            await old.orchestrator.wait(deployment.id)
        assert died
        scene.home.remove = remove
    assert scene.home.versions()["store"] == "store:v1"
    await old.orchestrator.resume()
    ended = await old.orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert ended.problem.key == "bot_removal"
    assert scene.home.versions() == {"store": "store:v0", BOT: "bot:v0"}
    assert scene.bot_containers() == [old.container_id]


async def raise_it(run, error):
    raise error


@pytest.mark.usefixtures("hurried_time")
async def test_failure_returns_to_release_without_bot(scene, old):
    """The bot joined a stack whose release does not know it, and the next release fails."""
    await without_bot_in_history(scene, old)
    await make_current(old, 1)
    scene.home.behaviour["v1", "store"] = UNHEALTHY
    deployment = await old.orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.ROLLED_BACK, deployment.problem
    assert any("it stays as it is" in warning for warning in deployment.warnings)
    assert scene.bot_containers() == [old.container_id]


async def make_current(bot: Bot, number: int) -> None:
    statement = "UPDATE environments SET current_release = ?, applied_model = 'alone' WHERE name = 'home'"
    await bot.state.releases._journal.write(lambda t: t.execute(statement, (number,)))


@pytest.mark.parametrize("state", [ContainerState.RUNNING, ContainerState.EXITED])
async def test_a_command_line_does_not_plan_the_bot_away(scene, old, state):
    line = await scene.command_line()
    leave(scene, "deleted")
    container = scene.home.running[old.container_id]
    scene.home.running[old.container_id] = replace(container, state=state)
    with pytest.raises(BotRemovalError, match="this bot itself"):
        await line.orchestrator.plan(deploy("v1"))
    del scene.home.running[old.container_id]
    plan = await line.orchestrator.plan(deploy("v1"))
    assert BOT not in {one.service for one in plan.changed}


def place(folder: str, *variables: str, mounted: str = "") -> BotPlace:
    mount = Mount(mounted or folder, folder, writable=True)
    return BotPlace(folder, (mount,), variables=frozenset(variables))


@pytest.mark.parametrize("state", list(ContainerState))
@pytest.mark.parametrize(
    ("shown", "variables"),
    [
        ("state folder", ()),
        ("state folder", ("STATE_DIR",)),
        ("other folder", ("STATE_DIR", "DISCORD_TOKEN")),
        ("other folder", ("STATE_DIR", "DISCORD_TOKEN_FILE")),
    ],
)
async def test_a_bot_that_the_journal_does_not_know_is_not_planned_away(
    scene, old, monkeypatch, state, shown, variables
):
    """The journal was lost, the bot was stopped before its first beat, or the command line has another STATE_DIR."""
    line = await scene.command_line()
    await forget_beats(line)
    folder = str(scene.folder / "state") if shown == "state folder" else "/srv/elsewhere"
    shows(scene, monkeypatch, place(folder, *variables))
    leave(scene, "deleted")
    container = scene.home.running[old.container_id]
    scene.home.running[old.container_id] = replace(container, state=state)
    with pytest.raises(BotRemovalError, match="no container of bot, which is this bot itself"):
        await line.orchestrator.plan(deploy("v1"))
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.parametrize(
    "shown",
    [
        place("/srv/store"),
        place("/srv/store", "STATE_DIR"),
        place("/srv/store", "DISCORD_TOKEN"),
        BotPlace("/app/state", (Mount("/srv/app", "/app", writable=True),)),
    ],
)
async def test_a_service_that_is_no_bot_may_leave(scene, old, monkeypatch, shown):
    line = await scene.command_line()
    await forget_beats(line)
    shows(scene, monkeypatch, shown)
    leave(scene, "deleted")
    plan = await line.orchestrator.plan(deploy("v1"))
    assert BOT in {one.service for one in plan.changed}


def shows(scene: Scene, monkeypatch: pytest.MonkeyPatch, bot: BotPlace) -> None:
    """Let the engine show of the bot's container where its state is, and of the store's that it has none."""

    async def bot_places(container_ids):
        services = {container_id: scene.home.running[container_id].service for container_id in container_ids}
        return {one: bot if service == BOT else place("/var/lib/store") for one, service in services.items()}

    monkeypatch.setattr(scene.home, "bot_places", bot_places)


async def forget_beats(bot: Bot) -> None:
    await bot.state.ownership._journal.write(lambda t: t.execute("DELETE FROM heartbeats"))


@pytest.mark.parametrize("needs", [("store",), ()], ids=["untouched", "made anew"])
async def test_a_stopped_bot_outlives_a_first_deployment_that_fails(scene, monkeypatch, needs):
    """Nothing runs, so there is nothing to go back to; one that this deployment itself made is part of what failed."""
    line = await scene.command_line()
    shows(scene, monkeypatch, place(str(scene.folder / "state"), "STATE_DIR"))
    scene.home.stack[BOT] = service(BOT, *needs)
    scene.home.models["v0"] = {"services": {BOT: {"image": f"{BOT}:v0"}}}
    await scene.home.create_service("v0", BOT)
    (container,) = scene.home.running.values()
    scene.home.running[container.id] = replace(container, state=ContainerState.EXITED)
    scene.home.behaviour["v1", "store"] = UNHEALTHY
    ended = await line.orchestrator.run(deploy("v1"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert scene.bot_containers() == ([container.id] if needs else [])
    summary = ended.phase(PhaseName.ROLLBACK).summary
    assert ("everything but bot" in summary) is bool(needs), summary


HOME = Environment("home", "shop", None, (), is_home=True)  # type: ignore[arg-type]
OWN = OwnContainer("1", "shop-bot-1", "shop", BOT)


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({"COMPOSE_PROJECT_NAME": "other"}, True),
        ({"COMPOSE_PROJECT_NAME": "other", "ENVIRONMENTS__HOME__PROJECT_NAME": "shop"}, False),
        ({"COMPOSE_PROJECT_NAME": "shop"}, False),
        ({}, False),
    ],
)
def test_a_bot_that_would_not_find_itself_is_refused(variables, refused):
    model = {"services": {BOT: {"environment": variables}}}
    if not refused:
        refuse_moved_bot(OWN, model, HOME)
        return
    with pytest.raises(BotRemovalError, match="project other, but it runs in project shop") as told:
        refuse_moved_bot(OWN, model, HOME)
    assert "Set COMPOSE_PROJECT_NAME back to shop" in told.value.hint
