"""An environment on many hosts moves wave by wave, and goes back on all hosts where too many fail."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.pauses import pause_deployment
from roas.deploy.waves.merged_plan import merge_plans
from roas.errors import EngineUnavailableError, ImageChangedError, InvalidRequestError, RolloutPausedError
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Freeze,
    Operation,
    Outcome,
    ServiceStep,
)
from roas.models.environment import Repository, Waves
from roas.models.facts import OwnContainer
from roas.models.plan import Plan, PlanRecord, PlanState, ServiceAction, ServicePlan
from roas.models.release import ImagePin, ReleaseService
from roas.models.rollout import Choice
from roas.stack.interface import PinnedStack
from roas.state.deployments.locks import FrozenError, LockHeldError
from tests.unit.deploy.fake_engine import HEALTHY, STARTING, UNHEALTHY
from tests.unit.deploy.played_parts import components_over
from tests.unit.deploy.requested import ANNA, DORA, service_reached
from tests.unit.deploy.waves.fleet import HOSTS, Fleet, deploy, known, make_fleet, on_hosts, rollback


@pytest.fixture
def fleet() -> Fleet:
    return make_fleet()


@pytest.fixture
def start_bot(state, bus, fleet, tmp_path):
    """Start a bot whose environment is moved in waves of this kind."""
    started = []

    def begin(waves: Waves = Waves(), hosts: tuple[str, ...] = HOSTS) -> DeploymentOrchestrator:  # noqa: B008
        whole = on_hosts(tmp_path, waves, hosts)
        started.append(DeploymentOrchestrator(components_over(state, bus, fleet), known(whole)))
        return started[-1]

    return begin


@pytest.fixture
async def bot(start_bot):
    orchestrator = start_bot()
    yield orchestrator
    await orchestrator.close()


def steps(deployment) -> dict[str, ServiceStep]:
    return {progress.service: progress.step for progress in deployment.services}


def on_all(version: str) -> dict[str, str]:
    return dict.fromkeys(HOSTS, f"web:{version}")


async def test_each_host_follows_the_one_before(bot, fleet, state):
    """One host at a time; together they are one release, of which each has its own."""
    ended = await bot.run(deploy("v1"))
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert fleet.versions() == on_all("v1")
    assert steps(ended) == dict.fromkeys(HOSTS, ServiceStep.HEALTHY)
    parts = [(await state.deployments.list(f"prod@{host}"))[0] for host in HOSTS]
    assert all(part.request.part_of == ended.id for part in parts)
    for before, after in itertools.pairwise(parts):
        assert before.ended_at <= after.created_at
    release = await state.releases.current("prod")
    assert (release.label, release.version) == ("r1", "v1")
    assert [service.name for service in release.services] == [f"prod@{host}" for host in HOSTS]


async def test_bad_version_stops_at_the_first_host(bot, fleet, state):
    await bot.run(deploy("v1"))
    fleet.engines["a"].behaviour["v2", "web"] = UNHEALTHY
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert "a: web" in ended.problem.message
    assert fleet.versions() == on_all("v1")
    assert steps(ended) == {"a": ServiceStep.RESTORED}
    assert len(await state.deployments.list("prod@b")) == 1
    assert (await state.releases.current("prod")).label == "r1"


async def test_failure_in_a_later_wave_takes_back_the_earlier(bot, fleet, state):
    await bot.run(deploy("v1"))
    fleet.engines["c"].behaviour["v2", "web"] = UNHEALTHY
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert fleet.versions() == on_all("v1")
    assert steps(ended) == dict.fromkeys(HOSTS, ServiceStep.RESTORED)
    for host in HOSTS:
        assert (await state.releases.current(f"prod@{host}")).version == "v1"


async def test_host_that_could_not_go_back_by_itself_is_tried_again(bot, fleet, monkeypatch):
    """With the others; no command is advised that this environment refuses."""
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour |= {("v1", "web"): UNHEALTHY, ("v2", "web"): UNHEALTHY}
    begin = bot.start

    async def start(request):
        if request.kind is DeploymentKind.ROLLBACK and request.environment == "prod@b":
            fleet.engines["b"].behaviour.clear()
            fleet.engines["b"].running.clear()
        return await begin(request)

    monkeypatch.setattr(bot, "start", start)
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert fleet.versions() == on_all("v1")
    assert "prod@b" not in ended.problem.hint


async def test_host_that_is_back_and_ill_says_what_is_wrong(bot, fleet):
    """It is on its earlier release already: there is nothing to bring back, and an operator is needed."""
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour |= {("v1", "web"): UNHEALTHY, ("v2", "web"): UNHEALTHY}
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.FAILED
    assert "b could not go back: web failed" in ended.problem.message
    assert fleet.versions() == on_all("v1")


async def test_some_hosts_may_fail(start_bot, fleet, state):
    """As many as `max_failure_ratio` says: they stay where they were, and the outcome says so."""
    bot = start_bot(Waves(parallelism=0, max_failure_ratio=0.34))
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour["v2", "web"] = UNHEALTHY
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any(warning.startswith("b failed") for warning in ended.warnings)
    assert fleet.versions() == on_all("v2") | {"b": "web:v1"}
    parts = {service.name: service.image.reference for service in (await state.releases.current("prod")).services}
    assert parts == {"prod@a": "r2 (v2)", "prod@b": "r1 (v1)", "prod@c": "r2 (v2)"}
    await bot.close()


async def test_rollback_brings_every_host_back(bot, fleet):
    await bot.run(deploy("v1"))
    await bot.run(deploy("v2"))
    ended = await bot.run(rollback())
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert ended.to_release == 1
    assert fleet.versions() == on_all("v1")


async def test_release_that_is_not_there_is_answered_with_those_that_are(bot, state):
    await bot.run(deploy("v1"))
    await bot.run(deploy("v2"))
    with pytest.raises(InvalidRequestError) as refused:
        await bot.plan(rollback(target_release=7))
    assert refused.value.hint == "`roas releases prod` lists them."
    listed = await state.releases.list("prod")
    assert [release.number for release in listed] == [2, 1]
    assert (await bot.run(rollback(target_release=listed[1].number))).outcome is Outcome.SUCCEEDED


async def test_failed_rollback_puts_every_host_back(bot, fleet):
    await bot.run(deploy("v1"))
    await bot.run(deploy("v2"))
    fleet.engines["b"].behaviour["v1", "web"] = UNHEALTHY
    ended = await bot.run(rollback())
    assert ended.outcome is Outcome.FAILED
    assert fleet.versions() == on_all("v2")
    fleet.engines["b"].behaviour.clear()
    again = await bot.run(rollback())
    assert again.outcome is Outcome.SUCCEEDED, again.problem
    assert fleet.versions() == on_all("v1")


async def test_host_that_is_away_refuses_the_plan(bot, fleet):
    fleet.away.add("b")
    with pytest.raises(EngineUnavailableError, match="b does not answer"):
        await bot.plan(deploy())


async def test_host_that_is_away_counts_as_failed(start_bot, fleet):
    bot = start_bot(Waves(max_failure_ratio=0.5))
    fleet.away.add("b")
    plan = await bot.plan(deploy())
    assert any("b stays as it is" in warning for warning in plan.warnings)
    ended = await bot.run(deploy())
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert fleet.versions() == on_all("v1") | {"b": ""}
    await bot.close()


async def test_host_lost_on_the_way_back_is_named(bot, fleet, state, monkeypatch):
    """The others are back; once it is there again, a rollback brings it back, too."""
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour["v2", "web"] = STARTING
    deployment = await bot.start(deploy("v2"))
    await service_reached(bot, deployment.id, "b", ServiceStep.STARTING)
    part = await part_of(state, "b", deployment.id)
    await service_reached(bot, part.id, "web", ServiceStep.WAITING)
    fleet.away.add("a")
    fleet.engines["b"].become("web", *UNHEALTHY)
    ended = await bot.wait(deployment.id)
    assert ended.outcome is Outcome.FAILED
    assert "a could not go back: a does not answer" in ended.problem.message
    assert "roas rollback prod" in ended.problem.hint
    assert fleet.versions() == {"a": "web:v2", "b": "web:v1", "c": "web:v1"}
    fleet.away.clear()
    again = await bot.run(rollback())
    assert again.outcome is Outcome.SUCCEEDED, again.problem
    assert fleet.versions() == on_all("v1")


async def part_of(state, host: str, deployment_id: str):
    """Wait until a host's deployment has begun, and return it."""
    with state.watched() as changed:
        async with asyncio.timeout(10):
            while (found := await state.deployments.of_interaction(f"{deployment_id}@{host}")) is None:
                await changed.wait()
                changed.clear()
    return found


@pytest.mark.parametrize("ends", [HEALTHY, UNHEALTHY])
async def test_killed_bot_resumes_where_the_journal_ends(start_bot, fleet, state, ends):
    bot = start_bot()
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour["v2", "web"] = STARTING
    deployment = await bot.start(deploy("v2"))
    part = await part_of(state, "b", deployment.id)
    await service_reached(bot, part.id, "web", ServiceStep.WAITING)
    await bot.close()
    successor = start_bot()
    resumed = await successor.resume()
    assert {item.id for item in resumed} == {deployment.id, part.id}
    fleet.engines["b"].become("web", *ends)
    ended = await successor.wait(deployment.id)
    assert ended.outcome is (Outcome.SUCCEEDED if ends == HEALTHY else Outcome.ROLLED_BACK), ended.problem
    assert fleet.versions() == on_all("v2" if ends == HEALTHY else "v1")
    assert [len(await state.deployments.list(f"prod@{host}")) for host in "a"] == [2 if ends == HEALTHY else 3]
    await successor.close()


async def test_cancel_takes_every_host_back(bot, fleet, state):
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour["v2", "web"] = STARTING
    deployment = await bot.start(deploy("v2"))
    part = await part_of(state, "b", deployment.id)
    await service_reached(bot, part.id, "web", ServiceStep.WAITING)
    await bot.cancel(deployment.id, DORA)
    ended = await bot.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert fleet.versions() == on_all("v1")


async def test_cancel_ends_the_pause_between_waves(start_bot, fleet, state):
    """No wave begins any more, and the first one goes back."""
    bot = start_bot()
    await bot.run(deploy("v1"))
    await bot.close()
    bot = start_bot(Waves(delay_seconds=3600))
    deployment = await bot.start(deploy("v2"))
    await service_reached(bot, deployment.id, "a", ServiceStep.HEALTHY)
    await bot.cancel(deployment.id, DORA)
    ended = await bot.wait(deployment.id)
    assert ended.outcome is Outcome.CANCELLED
    assert steps(ended) == {"a": ServiceStep.RESTORED}
    assert fleet.versions() == on_all("v1")
    await bot.close()


async def test_first_deployment_that_fails_leaves_nothing_running(bot, fleet, state):
    fleet.engines["b"].behaviour["v1", "web"] = UNHEALTHY
    ended = await bot.run(deploy("v1"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert fleet.versions() == dict.fromkeys(HOSTS, "")
    assert await state.releases.current("prod") is None
    fleet.engines["b"].behaviour.clear()
    assert (await bot.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    assert fleet.versions() == on_all("v1")


async def test_rollback_goes_on_without_a_host_that_is_away(start_bot, fleet):
    bot = start_bot(Waves(max_failure_ratio=0.5))
    await bot.run(deploy("v1"))
    await bot.run(deploy("v2"))
    fleet.away.add("b")
    ended = await bot.run(rollback())
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any(warning.startswith("b failed") for warning in ended.warnings)
    fleet.away.clear()
    assert fleet.versions() == on_all("v1") | {"b": "web:v2"}
    assert (await bot.run(rollback(target_release=1))).outcome is Outcome.SUCCEEDED
    assert fleet.versions() == on_all("v1")
    await bot.close()


async def test_nothing_begins_twice_where_all_of_it_runs_already(bot, fleet, state):
    """As with one host: a version that changes nothing makes no release."""
    await bot.run(deploy("v1"))
    ended = await bot.run(deploy("v1"))
    assert ended.outcome is Outcome.SUCCEEDED
    assert not ended.touched
    assert (ended.from_release, ended.to_release) == (1, 1)
    assert [release.label for release in await state.releases.list("prod")] == ["r1"]


async def test_one_lock_for_all_hosts(bot, fleet, state):
    await bot.run(deploy("v1"))
    fleet.engines["a"].behaviour["v2", "web"] = STARTING
    deployment = await bot.start(deploy("v2"))
    restart = DeploymentRequest("prod@c", DeploymentKind.DEPLOY, DORA, services=("web",), operation=Operation.RESTART)
    with pytest.raises(LockHeldError, match="prod is held by dora"):
        await bot.start(restart)
    with pytest.raises(LockHeldError):
        await bot.start(deploy("v3"))
    part = await part_of(state, "a", deployment.id)
    await service_reached(bot, part.id, "web", ServiceStep.WAITING)
    fleet.engines["a"].become("web", *HEALTHY)
    assert (await bot.wait(deployment.id)).outcome is Outcome.SUCCEEDED
    assert (await bot.run(restart)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("frozen", ["prod", "prod@b"])
async def test_freeze_holds_all_hosts(bot, state, frozen):
    plan = await bot.plan(deploy())
    await state.freezes.put(Freeze(frozen, DORA, "sale", datetime.now(UTC)))
    with pytest.raises(FrozenError):
        await bot.start(replace(deploy(), plan_digest=plan.digest))


async def test_one_host_is_not_deployed_alone(bot):
    with pytest.raises(InvalidRequestError, match="move together"):
        await bot.start(replace(deploy(), environment="prod@a"))
    with pytest.raises(InvalidRequestError, match="done on one of them"):
        await bot.start(replace(deploy(), services=("web",), operation=Operation.RESTART))


async def test_bot_does_not_move_with_many_hosts(state, bus, fleet, tmp_path):
    """It would be replaced on one of them: it has an environment of its own."""

    async def own_container(environment):
        return OwnContainer("c1", "shop-prod-bot-1", "shop-prod", "bot") if environment.host == "b" else None

    components = replace(components_over(state, bus, fleet), own_container=own_container)
    bot = DeploymentOrchestrator(components, known(on_hosts(tmp_path, Waves())))
    with pytest.raises(InvalidRequestError, match="This bot runs in prod@b"):
        await bot.plan(deploy())


async def test_plan_says_where_hosts_differ(bot, fleet):
    plan = await bot.plan(deploy())
    assert [service.service for service in plan.services] == ["store", "web"]
    assert plan.warnings[0] == "On 3 hosts, 1 at a time: a, b, c."
    await bot.run(deploy())
    fleet.engines["b"].running.clear()
    plan = await bot.plan(deploy("v1"))
    assert any(warning.startswith("The hosts differ: ") for warning in plan.warnings)
    assert {service.service for service in plan.changed} == {"b/store", "b/web"}


async def test_what_each_host_has_built_makes_no_plans_differ(bot, fleet):
    """Nothing happens to it, whatever its content is."""
    plans = {
        host: Plan(
            "prod", "v1", 1, 1, (ServicePlan("web", ServiceAction.KEEP, expected_image=f"sha256:{host}"),), (), (), host
        )
        for host in HOSTS
    }
    plan = merge_plans(bot.environment("prod"), plans, {}, current=None)
    assert [service.service for service in plan.services] == ["web"]


async def test_files_of_a_repository_are_fetched_once_for_all_hosts(state, bus, fleet, tmp_path, monkeypatch):
    """They stay at one commit until each host has a copy, and the plan says which."""
    held = []

    @asynccontextmanager
    async def hold(environment, expected=""):
        held.append(environment.name)
        yield "0123456789abcdef" if environment.repository is not None else ""

    whole = on_hosts(tmp_path, Waves(), repository=Repository("https://git.example.org/shop"))
    whole = replace(whole, hosts=tuple(replace(host, repository=None) for host in whole.hosts))
    for engine in fleet.engines.values():
        monkeypatch.setattr(engine, "repositories", SimpleNamespace(hold=hold), raising=False)
    bot = DeploymentOrchestrator(components_over(state, bus, fleet), known(whole))
    plan = await bot.plan(deploy())
    assert "Its files are of commit 0123456789ab of main." in plan.warnings
    assert held[0] == "prod"
    assert (await bot.run(replace(deploy(), plan_digest=plan.digest))).outcome is Outcome.SUCCEEDED
    assert held.count("prod") == 1
    await bot.close()


async def test_plan_is_void_once_a_host_is_elsewhere(bot, state, fleet):
    await bot.run(deploy("v1"))
    plan = await bot.plan(deploy("v2"))
    await bot.run(deploy("v3"))
    with pytest.raises(ImageChangedError):
        await bot.start(replace(deploy("v2"), plan_digest=plan.digest))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ""),
        ({"waves": Waves(parallelism=0)}, "parallelism changed since this was planned"),
        ({"waves": Waves(delay_seconds=9)}, "delay_seconds changed"),
        ({"waves": Waves(max_failure_ratio=1.0)}, "max_failure_ratio changed"),
        ({"hosts": ("a", "b")}, "is no host of prod any more"),
        ({"before": ("a", "b")}, "hosts changed"),
    ],
)
async def test_yes_is_for_the_settings_that_were_shown(start_bot, changed, told):
    """The bot began again with others between the plan and the yes."""
    plan = await start_bot(hosts=changed.pop("before", HOSTS)).plan(deploy("v1"))
    later = start_bot(**changed)
    bound = replace(deploy("v1"), plan_digest=plan.digest)
    if not told:
        assert (await later.run(bound)).outcome is Outcome.SUCCEEDED
        return
    with pytest.raises(ImageChangedError, match=told):
        await later.start(bound)


async def test_added_host_is_brought_up_and_stopped_again(start_bot, fleet, state):
    """Where the release fails, a host on which nothing ran before has nothing to go back to."""
    bot = start_bot(hosts=("a", "b"))
    await bot.run(deploy("v1"))
    await bot.close()
    bot = start_bot(hosts=("c", "a", "b"))
    fleet.engines["b"].behaviour["v2", "web"] = UNHEALTHY
    ended = await bot.run(deploy("v2"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert fleet.versions() == {"a": "web:v1", "b": "web:v1", "c": ""}
    assert any(warning.startswith("Nothing ran on c before") for warning in ended.warnings)
    fleet.engines["b"].behaviour.clear()
    assert (await bot.run(deploy("v2"))).outcome is Outcome.SUCCEEDED
    assert fleet.versions() == on_all("v2")
    await bot.close()


async def test_host_taken_out_is_left_alone(start_bot, fleet):
    bot = start_bot()
    await bot.run(deploy("v1"))
    await bot.close()
    bot = start_bot(hosts=("a", "b"))
    assert (await bot.run(deploy("v2"))).outcome is Outcome.SUCCEEDED
    assert fleet.versions() == on_all("v2") | {"c": "web:v1"}
    assert (await bot.run(rollback())).outcome is Outcome.SUCCEEDED
    assert fleet.versions() == on_all("v1")
    await bot.close()


async def ask(bot, state, request: DeploymentRequest) -> Deployment:
    """Plan and confirm what needs an approval, as the channel does; return it as it waits."""
    plan, plan_id, now = await bot.plan(request), "PLAN-1", datetime.now(UTC)
    request = replace(request, plan_digest=plan.digest, interaction_id=plan_id, needs_approval=True)
    await state.approvals.add(PlanRecord(plan_id, request, plan, now, now + timedelta(minutes=15), PlanState.CONFIRMED))
    deployment = await bot.start(request)
    await state.approvals.move(
        plan_id, PlanState.STARTED, DORA, from_states=[PlanState.CONFIRMED], deployment_id=deployment.id
    )
    return await bot.wait(deployment.id)


async def test_one_approval_is_for_all_hosts(bot, fleet, state):
    """Nothing is held, pulled or changed before; the hosts ask nobody a second time."""
    await bot.run(deploy("v1"))
    waiting = await ask(bot, state, deploy("v2"))
    assert waiting.awaits_approval
    assert fleet.versions() == on_all("v1")
    assert await state.locks.all() == ()
    assert ("pull", "web:v2") not in fleet.engines["a"].calls
    await bot.approve(waiting.id, ANNA)
    ended = await bot.wait(waiting.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert fleet.versions() == on_all("v2")
    assert (await state.approvals.get("PLAN-1")).state is PlanState.STARTED


async def test_approval_is_void_once_a_host_is_elsewhere(bot, fleet, state):
    await bot.run(deploy("v1"))
    waiting = await ask(bot, state, deploy("v2"))
    await bot.run(deploy("v3"))
    await bot.approve(waiting.id, ANNA)
    ended = await bot.wait(waiting.id)
    assert ended.outcome is Outcome.CANCELLED
    assert ended.problem.message.startswith("a: prod@a is on another release")
    assert fleet.versions() == on_all("v3")
    assert (await state.approvals.get("PLAN-1")).state is PlanState.VOID


async def test_what_ran_before_is_the_first_release_to_go_back_to(start_bot, fleet, state):
    """As with one host: what the first deployment found is release 0 of all hosts together."""
    for engine in fleet.engines.values():
        pinned = ReleaseService("web", ImagePin("web:v0", "sha256:web:v0"), "d")
        engine.models["web:v0"] = {"services": {"web": {"image": "web:v0"}}}
        engine.adoptable = PinnedStack("v0", (pinned,), "web:v0")
    bot = start_bot()
    assert (await bot.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    assert [release.label for release in await state.releases.list("prod")] == ["r1", "r0"]
    ended = await bot.run(rollback())
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert fleet.versions() == on_all("v0")
    await bot.close()


async def test_paused_host_is_taken_back(bot, fleet, state, monkeypatch):
    """Waves wait for nobody: a rollout that would ask a person has failed."""
    await bot.run(deploy("v1"))
    fleet.engines["b"].behaviour["v2", "web"] = STARTING
    deployment = await bot.start(deploy("v2"))
    part = await part_of(state, "b", deployment.id)
    await service_reached(bot, part.id, "web", ServiceStep.WAITING)
    context = bot._running._contexts[part.id]
    await pause_deployment(context, RolloutPausedError("half of web failed", service="web"))
    decided = bot.decide

    async def decide(deployment_id, choice, *arguments, **named):
        choices.append((deployment_id, choice))
        fleet.engines["b"].become("web", *UNHEALTHY)
        return await decided(deployment_id, choice, *arguments, **named)

    choices = []
    monkeypatch.setattr(bot, "decide", decide)
    ended = await bot.wait(deployment.id)
    assert choices == [(part.id, Choice.ROLL_BACK)]
    assert ended.outcome is Outcome.ROLLED_BACK
    assert fleet.versions() == on_all("v1")
