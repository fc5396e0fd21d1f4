"""Whatever happens while a bot replaces itself, one is left, and nothing that it carried besides is lost."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.deploy.context import DeploymentContext
from roas.deploy.handover import replacement
from roas.deploy.handover.replacement import HandedOverError, Handover
from roas.errors import ComposeFileError, EngineError
from roas.limits import MOST_SUCCESSORS
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers import readiness
from roas.stack.service_comparison import WantedService
from tests.unit.deploy.fake_engine import STARTING, UNHEALTHY
from tests.unit.deploy.handover.two_bots import BOT, Bot, Scene
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA
from tests.unit.deploy.requested import deploy_home as deploy


async def handed_over(scene: Scene, bot: Bot, deployment: Deployment) -> Bot:
    """Wait until a bot has passed a deployment on, and return the one that has it now, which leads."""
    other = await scene.next()
    with pytest.raises(HandedOverError):
        await bot.orchestrator.wait(deployment.id)
    await other.lead()
    return other


async def carried_on(bot: Bot, deployment: Deployment) -> Deployment:
    """Return how a deployment ends that a bot resumes."""
    await bot.orchestrator.resume()
    return await bot.orchestrator.wait(deployment.id)


async def test_other_deployment_handed_over_without_attempt(scene, old):
    """A deployment of another environment passes to the successor, and no attempt is counted."""
    scene.staging.hold = asyncio.Event()
    staging = await old.orchestrator.start(deploy("v1", "staging"))
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    assert old.orchestrator.running == ()
    assert (await new.state.locks.get("staging")).instance_id == new.state.instance_id
    scene.staging.hold.set()
    assert (await carried_on(new, home)).outcome is Outcome.SUCCEEDED
    ended = await new.orchestrator.wait(staging.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 1)
    assert scene.staging.versions() == {"web": "web:v1"}
    assert scene.bot_containers() == [new.container_id]


async def test_handover_and_return_count_no_attempt(scene, old):
    scene.staging.hold = asyncio.Event()
    staging = await old.orchestrator.start(deploy("v1", "staging"))
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    scene.home.become("store", *UNHEALTHY)  # so that the new one goes back, and first of all hands over to the old one
    await new.orchestrator.resume()
    with pytest.raises(HandedOverError):
        await new.orchestrator.wait(home.id)
    await old.lead()
    scene.staging.hold.set()
    back = await carried_on(old, home)
    assert (back.outcome, back.attempts) == (Outcome.ROLLED_BACK, 1), back.problem
    ended = await old.orchestrator.wait(staging.id)
    assert (ended.outcome, ended.attempts) == (Outcome.SUCCEEDED, 1)
    assert scene.bot_containers() == [old.container_id]


async def test_unhealthy_predecessor_awaited(scene, old, monkeypatch):
    """It was stopped for a while, and has just woken up."""
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    scene.home.become("store", *UNHEALTHY)
    scene.home.running[old.container_id] = replace(scene.home.running[old.container_id], health=HealthStatus.UNHEALTHY)
    heartbeat = new.state.ownership.heartbeat

    async def heard(*, instance_id: str = "", container_id: str = ""):
        if container_id == old.container_id:
            well = replace(scene.home.running[old.container_id], health=HealthStatus.HEALTHY)
            scene.home.running[old.container_id] = well
            scene.home.tell(BOT)
        return await heartbeat(instance_id=instance_id, container_id=container_id)

    monkeypatch.setattr(new.state.ownership, "heartbeat", heard)
    await new.orchestrator.resume()
    with pytest.raises(HandedOverError):
        await new.orchestrator.wait(home.id)
    await old.lead()
    back = await carried_on(old, home)
    assert back.outcome is Outcome.ROLLED_BACK, back.problem
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.usefixtures("hurried_time")
async def test_starting_successor_awaited(scene, old, monkeypatch):
    """It says that it is ready, but its health check has not passed yet."""
    heartbeat, heard = old.state.ownership.heartbeat, asyncio.Event()

    def be(bot: Bot, health: HealthStatus) -> None:
        scene.home.running[bot.container_id] = replace(scene.home.running[bot.container_id], health=health)
        scene.home.tell(BOT)

    async def hear(*, instance_id: str = "", container_id: str = ""):
        found = await heartbeat(instance_id=instance_id, container_id=container_id)
        if found is not None and container_id not in {"", old.container_id}:
            heard.set()
        return found

    monkeypatch.setattr(old.state.ownership, "heartbeat", hear)
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    new = await scene.next()
    be(old, HealthStatus.HEALTHY)
    waiting = asyncio.create_task(old.orchestrator.wait(home.id))
    await heard.wait()
    handed_over_soon, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not handed_over_soon
    be(new, HealthStatus.HEALTHY)
    with pytest.raises(HandedOverError):
        await waiting
    assert (await old.state.ownership.lease()).instance_id == new.state.instance_id


async def test_failed_rollback_after_handover_is_put_back(scene, old, monkeypatch):
    """The bot that was there before takes over again, and what was well runs as before."""
    monkeypatch.setattr(readiness, "HEALTHY_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(replacement, "FRESH_SECONDS", 60.0)  # a bot of these tests says only once that it lives
    first = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, first)
    assert (await carried_on(new, first)).outcome is Outcome.SUCCEEDED
    rollback = await new.orchestrator.start(DeploymentRequest("home", DeploymentKind.ROLLBACK, DORA))
    older = await handed_over(scene, new, rollback)
    scene.home.become("store", *UNHEALTHY)
    await older.orchestrator.resume()
    with pytest.raises(HandedOverError):
        await older.orchestrator.wait(rollback.id)
    await new.lead()
    ended = await carried_on(new, rollback)
    assert ended.outcome is Outcome.FAILED
    assert "home is on r1: what was well before runs again" in ended.problem.hint
    assert (await new.state.releases.current("home")).version == "v1"
    assert scene.bot_containers() == [new.container_id]


async def test_predecessor_that_cannot_be_removed_warns(scene, old, monkeypatch):
    """A release that has proved itself stays, and the predecessor goes at the end of the deployment."""
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    remove, refused = scene.home.remove, []

    async def refuse_once(container_id, *, grace_seconds=None):
        if container_id == old.container_id and not refused:
            refused.append(container_id)
            raise EngineError("the engine says no")
        await remove(container_id, grace_seconds=grace_seconds)

    monkeypatch.setattr(scene.home, "remove", refuse_once)
    ended = await carried_on(new, home)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any("could not be removed at once: the engine says no" in warning for warning in ended.warnings)
    assert scene.bot_containers() == [new.container_id]


async def test_double_failure_leaves_one_bot(scene, old):
    """A failed deployment whose rollback fails too leaves one bot."""
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    scene.home.become("store", *UNHEALTHY)
    scene.home.behaviour["v0", "store"] = UNHEALTHY
    await new.orchestrator.resume()
    with pytest.raises(HandedOverError):
        await new.orchestrator.wait(home.id)
    await old.lead()
    ended = await carried_on(old, home)
    assert (ended.outcome, ended.problem.key) == (Outcome.FAILED, "rollback_failed")
    assert scene.bot_containers() == [old.container_id]


async def test_crash_looping_successor_unhealthy(scene, old):
    """An earlier attempt's: its predecessor was killed while it crashed."""
    await old.orchestrator.plan(deploy("v1"))
    scene.home.models["crashing"] = {"services": {BOT: {"image": "bot:v1"}}}
    (crashing,) = await scene.home.create_service("crashing", BOT, beside=True)
    scene.home.running[crashing] = replace(
        scene.home.running[crashing], state=ContainerState.RESTARTING, exit_code=3, restart_count=4
    )
    deployment = await old.orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "it ended with code 3" in deployment.problem.message
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.parametrize("claimed", ["bot:v1", "bot:v7"])
@pytest.mark.usefixtures("hurried_time")
async def test_successor_of_wrong_release_refused(scene, old, claimed):
    """A successor takes over only if it reports the release that is meant."""
    if claimed == "bot:v7":
        old.settings.handover_seconds = 1.0
    deployment = await old.orchestrator.start(deploy("v1"))
    await scene.next(config_hash=claimed)
    if claimed == "bot:v1":
        with pytest.raises(HandedOverError):
            await old.orchestrator.wait(deployment.id)
        return
    ended = await old.orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "it reports another release" in ended.problem.message
    assert scene.bot_containers() == [old.container_id]


async def test_single_instance_bot_refused(scene, old):
    """A bot that allows no second instance is refused before anything is touched."""
    scene.home.stack[BOT] = service(BOT, fixed_place="the fixed name my-bot")
    scene.home.calls.clear()
    with pytest.raises(ComposeFileError, match="the fixed name my-bot allows only one"):
        await old.orchestrator.plan(deploy("v1"))
    deployment = await old.orchestrator.run(deploy("v1"))
    assert (deployment.outcome, deployment.touched) == (Outcome.FAILED, False)
    assert "container_name" in deployment.problem.hint
    assert {"pull", "create", "stop"}.isdisjoint(name for name, _ in scene.home.calls)
    only_the_store = await old.orchestrator.run(replace(deploy("v1"), services=("store",)))
    assert only_the_store.outcome is Outcome.SUCCEEDED, only_the_store.problem
    scene.home.stack[BOT] = service(BOT)
    assert BOT in {change.service for change in (await old.orchestrator.plan(deploy("v1"))).changed}, "as told"


async def test_command_line_cancel_keeps_old_bot(scene, old):
    """It is cancelled while the new bot gets ready."""
    line = await scene.command_line()
    deployment = await line.orchestrator.start(deploy("v1"))
    await scene.home.born.get()
    await line.orchestrator.cancel(deployment.id, DORA)
    ended = await line.orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED, ended.problem
    assert scene.bot_containers() == [old.container_id]


async def left_beside(scene: Scene, version: str) -> str:
    """Let another bot run, and return its container."""
    scene.home.models["other"] = {"services": {BOT: {"image": f"bot:{version}"}}}
    if version == "v0":
        scene.home.models["v0 too"] = {"services": {BOT: {"image": "bot:v0"}}}
    (own,) = scene.bot_containers()
    scene.home.running["other"] = replace(
        scene.home.running[own], id="other", config_hash=f"bot:{version}", image_reference=f"bot:{version}"
    )
    return "other"


async def test_leftover_bot_swept_when_idle(scene, old):
    """A bot of another release that nothing will remove is swept once no deployment is under way."""
    other = Bot(scene.folder, scene.engines, await left_beside(scene, "v9"))
    scene.bots.append(other)
    await other.stand_by()
    scene.home.hold = asyncio.Event()
    deployment = await old.orchestrator.start(deploy("v0"))
    assert not await old.orchestrator.sweep()
    assert len(scene.bot_containers()) == 2
    await old.orchestrator.cancel(deployment.id, DORA)
    await old.orchestrator.wait(deployment.id)
    assert await old.orchestrator.sweep()
    assert scene.bot_containers() == [old.container_id]


async def test_unproven_bot_is_left_until_it_beats(scene, old):
    other = Bot(scene.folder, scene.engines, await left_beside(scene, "v9"))
    scene.bots.append(other)
    assert not await old.orchestrator.sweep()
    assert len(scene.bot_containers()) == 2
    await other.stand_by()
    assert await old.orchestrator.sweep()
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.parametrize("version", ["v0", "v9"])
@pytest.mark.parametrize("name", ["shop-discord-bot-2", "0123456789ab_shop-discord-bot-1"])
async def test_bot_that_somebody_is_starting_kept(scene, old, version, name):
    """`docker compose up` makes a container some time before its start; a passing name for long is left over."""
    other = await left_beside(scene, version)
    made = datetime.now(UTC)
    scene.home.running[other] = replace(
        scene.home.running[other], name=name, state=ContainerState.CREATED, started_at=None, created_at=made
    )
    for _ in range(3):
        assert not await old.orchestrator.sweep()
    scene.home.running[other] = replace(scene.home.running[other], created_at=made - timedelta(hours=1))
    is_left_over = "_" in name
    assert await old.orchestrator.sweep() is is_left_over
    assert (other in scene.home.running) is not is_left_over


async def test_manual_second_bot_of_release_kept(scene, old):
    await left_beside(scene, "v0")
    assert await old.orchestrator.sweep()
    assert len(scene.bot_containers()) == 2


async def test_standby_sweeps_nothing(scene, old):
    other = Bot(scene.folder, scene.engines, await left_beside(scene, "v9"))
    scene.bots.append(other)
    await other.stand_by()
    assert not await other.orchestrator.sweep()
    assert len(scene.bot_containers()) == 2


@pytest.mark.parametrize(
    ("state", "removed"),
    [
        (ContainerState.EXITED, False),
        (ContainerState.EXITED, True),
        (ContainerState.REMOVING, False),
        (ContainerState.DEAD, False),
    ],
)
async def test_stopped_successor_replaced(scene, old, state, removed):
    """Whoever ends a successor says nothing of its version: the deployment goes on with another one, at once."""
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    first = await scene.next()
    end(scene, first, state, old, removed=removed)
    scene.home.behaviour.clear()
    second = await handed_over(scene, old, home)
    ended = await carried_on(second, home)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any("stopped or removed by hand" in warning for warning in ended.warnings)
    assert scene.bot_containers() == [second.container_id]


async def test_successor_gone_before_it_was_seen_replaced(scene, old, monkeypatch):
    """Somebody removes it in the moment after its start: nobody waits for it until the deadline."""
    start, gone = scene.home.start, []

    async def start_and_lose(container_id: str) -> None:
        await start(container_id)
        if scene.home.running[container_id].service == BOT and not gone:
            gone.append(scene.home.running.pop(container_id))
            scene.home.born.get_nowait()

    monkeypatch.setattr(scene.home, "start", start_and_lose)
    home = await old.orchestrator.start(deploy("v1"))
    ended = await carried_on(await handed_over(scene, old, home), home)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any("stopped or removed by hand" in warning for warning in ended.warnings)


async def test_successor_that_ends_by_itself_fails(scene, old):
    """Its restart policy brings it back: nobody ended it."""
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    end(scene, await scene.next(), ContainerState.RESTARTING, old)
    ended = await old.orchestrator.wait(home.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "it ended with code 137" in ended.problem.message


@pytest.mark.parametrize(
    ("times", "at_once", "told"),
    [(1, False, "it restarted 1 time"), (3, False, "it restarted 3 times"), (1, True, "it restarted 1 time")],
)
async def test_successor_that_was_restarted_between_looks_fails(scene, old, monkeypatch, times, at_once, told):
    """It runs again at each look, or at the first one: that it was started again is all that shows."""
    start = scene.home.start

    def restart(container_id: str) -> None:
        scene.home.running[container_id] = replace(scene.home.running[container_id], restart_count=times)

    async def start_twice(container_id: str) -> None:
        await start(container_id)
        restart(container_id)

    monkeypatch.setattr(scene.home, "start", start_twice if at_once else start)
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    new = await scene.next()
    scene.home.running[old.container_id] = replace(scene.home.running[old.container_id], health=HealthStatus.HEALTHY)
    if not at_once:
        restart(new.container_id)
    scene.home.tell(BOT)
    ended = await old.orchestrator.wait(home.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert told in ended.problem.message


async def test_unfit_successor_gone_before_it_is_said(scene, old, monkeypatch):
    """The rollback sweeps it, too: until then a bot that is unfit could take leadership."""
    left, report = [], DeploymentContext.report

    async def noted(context: DeploymentContext, name: str, step: ServiceStep, *rest: Any) -> None:
        if step is ServiceStep.FAILED:
            left.append(scene.bot_containers())
        await report(context, name, step, *rest)

    monkeypatch.setattr(DeploymentContext, "report", noted)
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    end(scene, await scene.next(), ContainerState.RESTARTING, old)
    assert (await old.orchestrator.wait(home.id)).outcome is Outcome.ROLLED_BACK
    assert left[0] == [old.container_id]


@pytest.mark.usefixtures("hurried_time")
async def test_suspended_bot_takes_its_moment(scene, old):
    """After a pause its own health check fails until it runs again: that says nothing of its version."""
    home = await old.orchestrator.start(deploy("v1"))
    new = await handed_over(scene, old, home)
    running = scene.home.running

    def be(health: HealthStatus) -> None:
        running[new.container_id] = replace(running[new.container_id], health=health)
        scene.home.tell(BOT)

    be(HealthStatus.UNHEALTHY)
    asyncio.get_running_loop().call_later(0.5, be, HealthStatus.HEALTHY)
    ended = await carried_on(new, home)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem


@pytest.mark.usefixtures("hurried_time")
async def test_paused_successor_awaited(scene, old):
    """Its health check fails for a moment after it was paused: that says nothing of its version."""
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    new = await scene.next()
    waiting = asyncio.create_task(old.orchestrator.wait(home.id))
    for state, health in (
        (ContainerState.PAUSED, HealthStatus.STARTING),
        (ContainerState.RUNNING, HealthStatus.UNHEALTHY),
        (ContainerState.RUNNING, HealthStatus.HEALTHY),
    ):
        running = scene.home.running
        running[new.container_id] = replace(running[new.container_id], state=state, health=health)
        running[old.container_id] = replace(running[old.container_id], health=HealthStatus.HEALTHY)
        scene.home.tell(BOT)
        await asyncio.sleep(0.5)  # longer than between two looks
    with pytest.raises(HandedOverError):
        await waiting
    assert (await old.state.ownership.lease()).instance_id == new.state.instance_id


async def test_successors_that_are_stopped_are_bounded(scene, old):
    scene.home.behaviour["v1", BOT] = STARTING
    home = await old.orchestrator.start(deploy("v1"))
    for _ in range(MOST_SUCCESSORS):
        end(scene, await scene.next(), ContainerState.EXITED, old)
    ended = await old.orchestrator.wait(home.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert scene.bot_containers() == [old.container_id]


def end(scene: Scene, bot: Bot, state: ContainerState, old: Bot, *, removed: bool = False) -> None:
    """Let the container of a bot end, and the engine say so; the old one's stays well."""
    running = scene.home.running
    ended = replace(running[bot.container_id], state=state, exit_code=137, health=HealthStatus.UNHEALTHY)
    running[bot.container_id] = ended
    if removed:
        del running[bot.container_id]
    running[old.container_id] = replace(running[old.container_id], health=HealthStatus.HEALTHY)
    scene.home.tell(BOT)


@pytest.mark.parametrize("image_id", ["", "old", "new"], ids=["the hash covers it", "as wanted", "a moved tag"])
async def test_image_under_a_fixed_tag_is_handed_over(scene, old, image_id):
    """Containers of one tag have one hash, whichever image it meant: the bot would stay the one that it is."""
    container = replace(scene.home.running[old.container_id], image_id="old")
    wanted = WantedService(ServiceDefinition(BOT, "bot:latest", "d"), container.config_hash, image_id)

    async def wanted_services(*_: object, **__: object) -> dict[str, WantedService]:
        return {BOT: wanted}

    async def load_model(_: str) -> dict[str, object]:
        return {}

    stack = SimpleNamespace(wanted_services=wanted_services, load_model=load_model)
    deployment = SimpleNamespace(request=SimpleNamespace(operation=None), successors=())
    context = SimpleNamespace(stack=stack, deployment=deployment)
    watch = SimpleNamespace(containers=(container,), of_service=lambda _: (container,))
    handover = Handover(*cast("Any", (context, watch, OwnContainer(container.id, BOT, service=BOT), "m")))
    assert await handover.needed() is (image_id == "new")
    assert await handover.is_needed_externally() is (image_id == "new")
