"""People type `docker compose up -d` beside a deployment: a plan says what it will do, and what it made is verified."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from roas.checks.beside_compose import warn_of_compose
from roas.deploy import outcome, phase_runner, run
from roas.deploy.applier import Applier
from roas.deploy.phases import verification
from roas.deploy.phases.execution import Execution
from roas.deploy.phases.verification import Verification
from roas.errors import EngineUnavailableError, ServiceFailedError
from roas.models.deployment import Outcome
from roas.models.environment import Repository
from roas.models.phases import PhaseName
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.stack import ServiceDefinition
from tests.unit.deploy.fake_engine import HEALTHY, STARTING, UNHEALTHY
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy, rollback

COPIED = {"x-deploy": {"written": {"image": "a", "volumes": []}}}
PLAIN = {"x-deploy": {"written": {"image": "a"}}}
RUNS_AGAIN = "`docker compose up -d` also runs migrate again."


def said_of(
    action: ServiceAction,
    fields: dict[str, Any],
    *,
    beside: bool = False,
    definitions: tuple[ServiceDefinition, ...] = (),
    is_certain: bool = True,
    repository: Repository | None = None,
    **others: Any,
) -> list[str]:
    service_plan = ServicePlan("web", action, if_image_differs=not is_certain)
    plan = Plan("dev", "v2", 1, None, (service_plan,), (), (), "d")
    environment = SimpleNamespace(name="dev", repository=repository)
    model = {"services": {"web": fields, **others}}
    known = {definition.name: definition for definition in definitions}
    stack: Any = SimpleNamespace(
        environment=environment, model=model, beside_files=beside, version="v2", definitions=known
    )
    return list(warn_of_compose(plan, stack))


@pytest.mark.parametrize("action", [ServiceAction.CREATE, ServiceAction.RECREATE])
def test_copies_are_said_of_what_is_made(action: ServiceAction) -> None:
    assert [item for item in said_of(action, COPIED) if item.startswith("`docker compose up -d` recreates web: ")]
    (perhaps,) = said_of(action, COPIED, is_certain=False)
    assert perhaps.startswith("Where web is recreated, `docker compose up -d` recreates it again")
    assert said_of(action, PLAIN) == []


def test_what_depends_on_copies_is_said() -> None:
    """Compose 2.26 recreates it, too, and what depends on that."""
    others = {"api": {"depends_on": {"web": {}}}, "ui": {"depends_on": {"api": {}}}, "db": {}}
    _, text = said_of(ServiceAction.RECREATE, COPIED, **others)
    assert text == "Compose 2.26 also recreates what depends on that: api, ui. Compose 2.40 does not."
    assert said_of(ServiceAction.RECREATE, PLAIN, **others) == []


def test_nothing_is_said_of_what_stays() -> None:
    assert said_of(ServiceAction.KEEP, COPIED, beside=True) == []


def test_other_version_of_the_files_is_said() -> None:
    (text,) = said_of(ServiceAction.RECREATE, PLAIN, beside=True)
    assert "Write v2 there" in text
    assert "roas compose dev" in text
    (text,) = said_of(ServiceAction.RECREATE, PLAIN, beside=True, repository=Repository("https://git.example.org/shop"))
    assert "Commit v2 there" in text
    jobs = service("migrate", one_shot=True), service("web")
    assert said_of(ServiceAction.RECREATE, PLAIN, beside=True, definitions=jobs)[1:] == [RUNS_AGAIN]
    assert said_of(ServiceAction.RECREATE, PLAIN, definitions=jobs) == []


async def test_rollback_says_what_typing_compose_would_do(orchestrator, engine, monkeypatch) -> None:
    """The files name what is rolled back: what is taken away comes back, and its migration runs once more."""
    await orchestrator.run(deploy("v1"))
    engine.stack["migrate"] = service("migrate", one_shot=True)
    start = engine.start

    async def start_and_end(container_id: str) -> None:
        await start(container_id)
        if engine.running[container_id].service == "migrate":
            await engine.stop(container_id)
            engine.tell("migrate")

    monkeypatch.setattr(engine, "start", start_and_end)
    succeeded = await orchestrator.run(deploy("v2"))
    assert succeeded.outcome is Outcome.SUCCEEDED, succeeded.problem
    warnings = [str(text) for text in (await orchestrator.plan(rollback())).warnings]
    text = (
        "`docker compose up -d` goes by the stack's files: where they differ from r1, it deploys what they say. "
        "`roas compose dev -- up -d` goes by r1."
    )
    assert {text, RUNS_AGAIN} <= set(warnings)
    engine.behaviour["v3", "web"] = UNHEALTHY
    failed = await orchestrator.run(deploy("v3"))
    assert failed.outcome is Outcome.ROLLED_BACK
    assert text.replace("r1", "r2") in failed.warnings, "what is said is of the release that came back"


async def test_name_that_another_project_uses_is_said(orchestrator, engine, monkeypatch) -> None:
    """There and back: the name stays that project's."""

    async def give_names(model_hash: str) -> dict[str, str]:
        return {"web": "app:latest", "store": "app:latest"}

    monkeypatch.setattr(engine, "give_names", give_names)
    text = (
        "app:latest keeps its meaning on this machine, since a container of another project uses it: "
        "`docker compose up -d` makes store, web of that image."
    )
    for asked in (deploy("v1"), deploy("v2"), rollback()):
        ended = await orchestrator.run(asked)
        assert ended.outcome is Outcome.SUCCEEDED, ended.problem
        assert text in ended.warnings


@pytest.mark.parametrize(("becomes", "ends"), [(HEALTHY, Outcome.SUCCEEDED), (UNHEALTHY, Outcome.ROLLED_BACK)])
async def test_what_was_made_meanwhile_is_verified(orchestrator, engine, monkeypatch, becomes, ends) -> None:
    """Their `up -d` of the same version was quicker: nothing is to do, but the new web has yet to become healthy."""
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    execute, verify = Execution.run, Verification.run

    async def execute_after_them(phase, context):
        if "web:v2" not in engine.versions().values():
            engine.running.clear()
            for name, state in (("store", HEALTHY), ("web", STARTING)):
                engine._created(name, f"{name}:v2")
                engine.become(name, *state)
        return await execute(phase, context)

    async def verify_it(phase, context):
        engine.become("web", *becomes)
        return await verify(phase, context)

    monkeypatch.setattr(Execution, "run", execute_after_them)
    monkeypatch.setattr(Verification, "run", verify_it)
    deployment = await orchestrator.run(deploy("v2"))
    assert deployment.outcome is ends, deployment.problem


@pytest.mark.usefixtures("hurried_time")
async def test_what_was_made_and_taken_at_once_is_made_again(orchestrator, engine) -> None:
    """Their `up -d` of another version replaced the container before anybody had looked at it."""
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    start, taken = engine.start, []

    async def start_and_lose(container_id):
        await start(container_id)
        if engine.running[container_id].image_reference == "web:v2" and not taken:
            taken.append(engine.running.pop(container_id))
            engine._created("web", "web:v1")
            engine.become("web", *HEALTHY)

    engine.start = start_and_lose
    deployment = await orchestrator.run(deploy("v2"))
    assert (deployment.outcome, engine.versions()["web"]) == (Outcome.SUCCEEDED, "web:v2"), deployment.problem
    assert "web failed: its container was removed by somebody else. The release was applied again." in (
        deployment.warnings
    )


async def test_what_was_done_again_counts_in_the_duration(orchestrator, engine, state, monkeypatch) -> None:
    """The execution takes 10 s, and is done again, since somebody took what it had made."""
    clock, steps = time.monotonic(), []
    monkeypatch.setattr(phase_runner.time, "monotonic", lambda: clock)
    execute = Execution.run

    async def ten_seconds(phase, context):
        nonlocal clock
        clock += 10
        steps.append(phase)
        text = await execute(phase, context)
        if len(steps) == 1:
            error = ServiceFailedError("web was taken", service="web")
            error.by_somebody = True
            raise error
        return text

    monkeypatch.setattr(Execution, "run", ten_seconds)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert deployment.phase(PhaseName.EXECUTION).duration_seconds == deployment.duration_seconds == 20


@pytest.mark.parametrize("moment", ["before the last look", "within it"])
async def test_what_is_taken_at_the_end_is_made_again(orchestrator, engine, monkeypatch, moment) -> None:
    """Their `up -d --force-recreate` takes a container after all was verified: "succeeded" is said of what runs."""
    taken: list[str] = []
    looked = run.require_undisturbed

    async def take(*_: Any) -> None:
        if not taken:
            taken.extend(name for name, item in engine.running.items() if item.service == "web")
            del engine.running[taken[0]]
            engine.tell("web")

    async def look_and_take(*arguments: Any, **named: Any) -> None:
        await looked(*arguments, **named)
        await take()
        await asyncio.sleep(0)

    if moment == "within it":
        monkeypatch.setattr(run, "require_undisturbed", look_and_take)
    else:
        for module in (run, outcome):
            monkeypatch.setattr(module, "remove_stale_instances", take, raising=False)
    deployment = await orchestrator.run(deploy("v1"))
    assert (deployment.outcome, engine.versions()["web"]) == (Outcome.SUCCEEDED, "web:v1"), deployment.problem
    assert taken[0] not in engine.running
    assert [text for text in deployment.warnings if "The release was applied again." in text]


@pytest.mark.usefixtures("hurried_time")
@pytest.mark.parametrize("typed", ["restart", "up -d"])
async def test_what_is_typed_in_the_verification_blames_nobody(orchestrator, engine, monkeypatch, typed) -> None:
    """Their `docker compose restart`, or `up -d`, ends what was ready: it is verified once more."""
    start, observe, verify, disturbed = engine.start, verification._observe, Verification.run, []

    async def start_and_note(container_id):
        engine.running[container_id] = replace(engine.running[container_id], started_at=datetime.now(UTC))
        await start(container_id)

    async def observe_after_them(context, watch, definition, own, ends_at):
        if definition.name == "web" and "web:v2" in engine.versions().values() and not disturbed:
            disturbed.extend(name for name, item in engine.running.items() if item.service == "web")
            (name,) = disturbed
            if typed == "restart":
                later = datetime.now(UTC) + timedelta(minutes=1)
                engine.running[name] = replace(engine.running[name], started_at=later)
            else:
                del engine.running[name]
                engine._created("web", "web:v2")
            engine.become("web", *STARTING)
            await watch.refresh()
        return await observe(context, watch, definition, own, ends_at)

    async def verify_again(phase, context):
        if disturbed:
            engine.become("web", *HEALTHY)
        return await verify(phase, context)

    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    for item in engine.stack.values():
        object.__setattr__(item, "monitor_seconds", 30.0)
    engine.start = start_and_note
    monkeypatch.setattr(verification, "_observe", observe_after_them)
    monkeypatch.setattr(Verification, "run", verify_again)
    deployment = await orchestrator.run(deploy("v2"))
    assert disturbed
    assert (deployment.outcome, deployment.problem) == (Outcome.SUCCEEDED, None)
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}
    assert [text for text in deployment.warnings if "The release was applied again." in text]


@pytest.mark.usefixtures("hurried_time")
async def test_what_could_not_be_read_at_the_end_is_said(orchestrator, engine, monkeypatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise EngineUnavailableError("no answer")

    monkeypatch.setattr(run, "require_undisturbed", away)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert "What runs could not be read again at the end: no answer" in deployment.warnings


@pytest.mark.usefixtures("hurried_time")
async def test_dependency_that_somebody_took_is_made_again(orchestrator, engine, monkeypatch) -> None:
    """It was to stay as it is, and went before the first look at it."""
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    settled, taken = Applier._settled, []

    async def lose_and_settle(applier, dependency):
        if not taken:
            taken.extend(name for name, item in engine.running.items() if item.service == dependency.on)
            for container_id in taken:
                del engine.running[container_id]
            await applier.watch.refresh()
        await settled(applier, dependency)

    monkeypatch.setattr(Applier, "_settled", lose_and_settle)
    deployment = await orchestrator.run(deploy("v2", services=("web",)))
    assert taken
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert engine.versions() == {"store": "store:v1", "web": "web:v2"}
