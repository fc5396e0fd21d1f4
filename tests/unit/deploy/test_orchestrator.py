"""A deployment goes through its phases to an honest end."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas import limits
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import BuildFailedError, ImageChangedError, InvalidRequestError
from roas.limits import HOTFIX, STANDARD
from roas.models.actor import Actor, ActorKind
from roas.models.candidate import Hold
from roas.models.check import CheckResult, CheckSeverity
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome, PhaseStatus, ServiceStep
from roas.models.health import ContainerState, HealthStatus
from roas.models.phases import PhaseName
from roas.models.plan import ServiceAction
from roas.models.release import ImagePin, ReleaseService
from roas.models.stack import WantedImage
from roas.stack.interface import PinnedStack
from roas.state.deployments.locks import LockHeldError
from tests.unit.deploy.fake_engine import HEALTHY, STARTING, UNHEALTHY
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import DORA, deploy, hotfix, phase_reached, rollback, service_reached, statuses


async def test_deployment_runs_six_phases(orchestrator, engine, state):
    """The environment is on the new release afterwards."""
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in STANDARD.phases]
    assert set(statuses(deployment).values()) == {"success"}
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    assert (await state.releases.current("dev")).version == "v1"
    assert await state.locks.get("dev") is None
    assert deployment == await state.deployments.get(deployment.id)


async def test_dependencies_start_first(orchestrator, engine):
    await orchestrator.run(deploy())
    assert engine.started() == ["store", "web"]


async def test_unready_dependency_blocks_dependent(orchestrator, engine):
    engine.behaviour["v1", "store"] = UNHEALTHY
    deployment = await orchestrator.run(deploy())
    assert "web" not in engine.started()
    assert deployment.problem.service == "store"
    assert "its health check fails" in deployment.problem.message


async def test_failure_under_observation_fails_deployment(orchestrator, engine, environment):
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    object.__setattr__(engine.stack["web"], "monitor_seconds", 30.0)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    engine.become("web", *UNHEALTHY)
    ended = await orchestrator.wait(deployment.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert ended.phase(PhaseName.VERIFICATION).status is PhaseStatus.FAILED


async def test_restart_under_observation_fails_deployment(orchestrator, engine):
    """A service that came back healthy has failed all the same."""
    engine.stack = {"web": service("web")}
    await orchestrator.run(deploy("v1"))
    object.__setattr__(engine.stack["web"], "monitor_seconds", 30.0)
    deployment = await orchestrator.start(deploy("v2"))
    await phase_reached(orchestrator, deployment.id, PhaseName.VERIFICATION)
    waiting = asyncio.create_task(orchestrator.wait(deployment.id))
    while not waiting.done():  # what it restarted before it was looked at does not count
        await asyncio.wait({waiting}, timeout=0.05)
        for container in [one for one in engine.running.values() if one.image_reference == "web:v2"]:
            engine.running[container.id] = replace(container, restart_count=container.restart_count + 1)
            engine.tell("web")
    ended = await waiting
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "it restarted while it was observed" in ended.problem.message


async def test_failed_critical_check_reports_all(orchestrator, engine, components):
    """It stops the deployment, and all failures are reported."""
    components.validator.results = (
        CheckResult("disk", CheckSeverity.CRITICAL, False, "the disk is full", "free some"),
        CheckResult("ports", CheckSeverity.CRITICAL, False, "port 80 is taken", "stop nginx"),
        CheckResult("compose", CheckSeverity.CRITICAL, True, "it parses"),
        CheckResult("health", CheckSeverity.WARNING, False, "web has no health check"),
    )
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.FAILED
    assert "the disk is full" in deployment.problem.message
    assert "port 80 is taken" in deployment.problem.message
    assert "it parses" not in deployment.problem.message
    assert "pull" not in {name for name, _ in engine.calls}


async def test_warnings_kept_and_stop_nothing(orchestrator, components):
    components.validator.results = (CheckResult("health", CheckSeverity.WARNING, False, "web has no health check"),)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    assert any("web has no health check" in warning for warning in deployment.warnings)


async def test_second_deployment_refused(orchestrator, engine):
    engine.hold = asyncio.Event()
    first = await orchestrator.start(deploy("v1"))
    with pytest.raises(LockHeldError, match="dora"):
        await orchestrator.start(deploy("v2"))
    engine.hold.set()
    assert (await orchestrator.wait(first.id)).outcome is Outcome.SUCCEEDED


@pytest.mark.usefixtures("hurried_time")
async def test_phase_timeout_names_awaited(orchestrator, engine, monkeypatch):
    from roas.models.phases import PhasePolicy

    short = tuple(PhasePolicy(p.name, 20) if p.name is PhaseName.EXECUTION else p for p in STANDARD.phases)
    table = {**limits.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=short)}
    monkeypatch.setattr(limits, "COORDINATIONS", table)
    engine.behaviour["v1", "store"] = STARTING
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "execution did not end within 20 s" in deployment.problem.message
    assert "store (waiting)" in deployment.problem.message


async def test_hotfix_pulls_and_makes_release(orchestrator, engine, state):
    """It runs its three phases."""
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(hotfix("v2"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert list(statuses(deployment)) == [policy.name.value for policy in HOTFIX.phases]
    assert ("pull", "web:v2") in engine.calls
    assert (await state.releases.current("dev")).version == "v2"


async def test_hotfix_needs_reason(orchestrator):
    with pytest.raises(InvalidRequestError, match="reason"):
        await orchestrator.start(hotfix("v2", reason=" "))


@pytest.mark.parametrize("version", ["", "-v", "a b", "x" * 129, "$(id)", "--privileged", None])
async def test_invalid_version_refused(orchestrator, version):
    with pytest.raises(InvalidRequestError, match="not a valid version"):
        await orchestrator.start(deploy(version))


async def test_unknown_environment_lists_known_ones(orchestrator):
    with pytest.raises(InvalidRequestError, match="moon") as refusal:
        await orchestrator.start(DeploymentRequest("moon", DeploymentKind.DEPLOY, DORA, version="v1"))
    assert "dev" in refusal.value.hint


@pytest.mark.parametrize(("now", "outcome"), [(HEALTHY, Outcome.SUCCEEDED), (UNHEALTHY, Outcome.ROLLED_BACK)])
async def test_what_a_failed_rollback_left_is_watched(orchestrator, engine, now, outcome):
    """The same version changes nothing then: it is no success unseen."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour.update(dict.fromkeys([("v2", "web"), ("v1", "web"), ("v1", "store")], UNHEALTHY))
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.FAILED
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    engine.behaviour.clear()
    engine.become("web", *now)
    given_up = await orchestrator.start(deploy("v3"))
    await orchestrator.cancel(given_up.id, DORA)
    given_up = await orchestrator.wait(given_up.id)
    assert (given_up.outcome, given_up.touched) == (Outcome.CANCELLED, False), "it says nothing of what is there"
    again = await orchestrator.run(deploy("v2"))
    assert again.outcome is outcome, again.problem
    assert {progress.service for progress in again.services if progress.changed} == {"store", "web"}


async def test_version_that_was_rolled_back_is_not_to_be_written_down(orchestrator, engine, monkeypatch):
    """A plan says once to write it into the files, which name another one, and no outcome says it again."""
    resolve = engine.resolve

    async def beside(version, **how):
        return replace(await resolve(version, **how), beside_files=True)

    monkeypatch.setattr(engine, "resolve", beside)
    advice = "Write {version} there, too"
    assert [warning for warning in (await orchestrator.plan(deploy("v1"))).warnings if advice in warning.key]
    succeeded = await orchestrator.run(deploy("v1"))
    assert not [warning for warning in succeeded.warnings if advice in warning.key]
    assert not [warning for warning in (await orchestrator.plan(deploy("v2"))).warnings if advice in warning.key]
    engine.behaviour["v2", "web"] = UNHEALTHY
    failed = await orchestrator.run(deploy("v2"))
    assert failed.outcome is Outcome.ROLLED_BACK
    assert not [warning for warning in failed.warnings if advice in warning.key]


async def test_only_named_services_change(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v2"}


async def test_named_services_need_current_release(orchestrator):
    deployment = await orchestrator.run(deploy("v1", services=("web",)))
    assert deployment.outcome is Outcome.FAILED
    assert "no release yet" in deployment.problem.message


async def test_removed_service_is_removed(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.stack = {"store": engine.stack["store"]}
    # The old model still names web, so that the fake has to know it for the plan.
    engine.definitions = lambda model: {n: service(n) for n in model["services"]}
    deployment = await orchestrator.run(deploy("v2"))
    assert engine.versions() == {"store": "store:v2"}
    assert deployment.phase(PhaseName.EXECUTION).summary == "2 of 2 services changed"


async def test_outdated_plan_refused(orchestrator, engine):
    plan = await orchestrator.plan(deploy("v1"))
    await orchestrator.run(deploy("v0"))
    with pytest.raises(ImageChangedError, match="on another release than when this was planned: r1"):
        await orchestrator.start(deploy("v1", plan_digest=plan.digest))
    assert engine.versions()["web"] == "web:v0"


async def test_plan_tells_a_person_of_a_hold(orchestrator, state):
    """Also a dry run, a hotfix and the command line: their deployment lifts it."""
    asked = deploy("v1")
    await state.holds.put(Hold(asked.environment, "v1", datetime.now(UTC), "DEPLOY-1", "web failed."))
    said = "v1 is on hold: web failed. Deploying it lifts the hold."
    for request in (asked, replace(asked, kind=DeploymentKind.HOTFIX, reason="it burns")):
        assert said in (await orchestrator.plan(request, keep=False)).warnings
    assert said not in (await orchestrator.plan(deploy("v2"), keep=False)).warnings
    source = replace(asked, requested_by=Actor(ActorKind.SOURCE, "ci", "ci"))
    assert said not in (await orchestrator.plan(source, keep=False)).warnings


async def test_plan_changes_nothing(orchestrator, engine, state):
    plan = await orchestrator.plan(deploy("v1"))
    assert [service.service for service in plan.changed] == ["store", "web"]
    assert engine.running == {}
    assert await state.deployments.list() == ()


async def test_untouched_unhealthy_service_fails_if_critical(orchestrator, engine):
    """One that is not critical only warns."""
    engine.stack["lone"] = service("lone")
    await orchestrator.run(deploy("v1"))
    engine.become("lone", *UNHEALTHY)
    tolerant = await orchestrator.run(deploy("v2", services=("web",)))
    assert tolerant.outcome is Outcome.SUCCEEDED
    assert any("lone" in warning for warning in tolerant.warnings)
    engine.stack["lone"] = service("lone", critical=True)
    strict = await orchestrator.run(deploy("v3", services=("web",)))
    assert strict.outcome is Outcome.ROLLED_BACK
    assert "lone, which is critical" in strict.problem.message


async def test_unexpected_fault_ends_deployment(orchestrator, engine, monkeypatch, state):
    await orchestrator.run(deploy("v1"))

    async def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "pin", break_down)
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == "internal_fault"
    assert await state.locks.get("dev") is None


async def test_old_releases_dropped_kept_ones_protected(orchestrator, engine, components):
    components.settings.releases_kept = 2
    for number in range(1, 5):
        await orchestrator.run(deploy(f"v{number}"))
    assert engine.protected == {3, 4}


async def test_restored_release_kept_despite_failures(orchestrator, engine, components):
    """A release that is restored is not dropped, however many failed since."""
    components.settings.releases_kept = 2
    engine.behaviour |= {("bad", "web"): UNHEALTHY}
    for version in ("v1", "bad", "bad", "v2"):
        await orchestrator.run(deploy(version))
    assert (await orchestrator.run(rollback())).outcome is Outcome.SUCCEEDED
    assert engine.versions()["web"] == "web:v1"
    assert 1 in engine.protected
    assert await components.state.releases.get("dev", 1) in await components.state.releases.list("dev")
    kept = await components.state.releases.list("dev")
    assert await components.state.releases.versions("dev") == tuple(item.version for item in kept)
    assert await components.state.releases.versions("dev", limit=0) == ()


async def test_events_carry_correlation_id(orchestrator, bus):
    deployment = await orchestrator.run(deploy())
    own = [event for event in bus.history() if getattr(event, "deployment_id", "") == deployment.id]
    assert {event.correlation_id for event in own} == {deployment.correlation_id}
    types = [event.type for event in own]
    assert types[0] in {"deployment.phase.changed", "deployment.initialization.started"}
    assert types[-1] == "deployment.orchestration.completed"
    assert {"environment.validation.completed", "release.created", "deployment.service.started"} <= set(types)


async def test_sequential_services_run_one_by_one(orchestrator, engine, components):
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    components.settings.parallel_execution = False
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "a", ServiceStep.WAITING)
    assert engine.started() == ["a"]
    engine.become("a", *HEALTHY)
    await orchestrator.wait(deployment.id)
    assert engine.started() == ["a", "b"]


async def test_parallel_services_do_not_wait(orchestrator, engine):
    """With parallel_execution, independent services do not wait for each other."""
    engine.stack = {"a": service("a"), "b": service("b")}
    engine.behaviour["v1", "a"] = STARTING
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "b", ServiceStep.HEALTHY)
    engine.become("a", *HEALTHY)
    assert (await orchestrator.wait(deployment.id)).outcome is Outcome.SUCCEEDED


async def test_immediate_exit_reports_code(orchestrator, engine):
    engine.behaviour["v1", "store"] = (ContainerState.RESTARTING, HealthStatus.NONE)
    deployment = await orchestrator.start(deploy("v1"))
    await service_reached(orchestrator, deployment.id, "store", ServiceStep.WAITING)
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5, exit_code=3)
    engine.become("store", ContainerState.RESTARTING, HealthStatus.NONE)
    ended = await orchestrator.wait(deployment.id)
    assert "is in a restart loop with code 3" in ended.problem.message


async def test_old_restarts_ignored(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    for container_id, container in list(engine.running.items()):
        engine.running[container_id] = replace(container, restart_count=5)
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem


async def test_failed_build_reported(orchestrator, engine, monkeypatch):
    async def look_up(stack, services):
        return {name: WantedImage(f"{name}:v1", build_hash="b") for name in services}

    monkeypatch.setattr(engine, "look_up", look_up)
    engine.faults["build"] = [BuildFailedError("the build of store failed", report="step 3")]
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.report == "step 3"


async def test_moved_tag_makes_another_plan(orchestrator, engine, monkeypatch):
    plan = await orchestrator.plan(deploy("v1"))
    assert (await orchestrator.plan(deploy("v1"))).digest == plan.digest

    async def moved(stack, services):
        return {name: WantedImage(f"{name}:v1", digest=f"{name}@sha256:moved", must_pull=True) for name in services}

    monkeypatch.setattr(engine, "look_up", moved)
    assert (await orchestrator.plan(deploy("v1"))).digest != plan.digest


async def test_all_changed_services_counted(orchestrator, components, environment, engine):
    """The process that goes on counts what the one before it did, too."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = STARTING
    deployment = await orchestrator.start(deploy("v2"))
    await service_reached(orchestrator, deployment.id, "web", ServiceStep.WAITING)
    await orchestrator.close()
    engine.become("web", *HEALTHY)
    later = DeploymentOrchestrator(components, {"dev": environment})
    await later.resume()
    ended = await later.wait(deployment.id)
    assert ended.phase(PhaseName.EXECUTION).summary == "2 of 2 services changed"


async def test_plan_survives_adoption(orchestrator, engine):
    """A plan made before a running environment was adopted still holds."""
    images = {name: f"{name}:v0" for name in engine.stack}
    services = tuple(ReleaseService(name, ImagePin(image, f"sha256:{image}"), "d") for name, image in images.items())
    model = {"services": {name: {"image": image} for name, image in images.items()}}
    engine.models["v0"] = model
    engine.adoptable = PinnedStack("v0", services, "v0")
    for name in engine.stack:
        await engine.create_service("v0", name)
        engine.become(name, *HEALTHY)
    plan = await orchestrator.plan(deploy("v1"))
    assert {service.action for service in plan.services} == {ServiceAction.RECREATE}
    assert {service.old_image for service in plan.services} == {"store:v0", "web:v0"}
    deployment = await orchestrator.run(deploy("v1", plan_digest=plan.digest))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.from_release == 0
