"""What later phases need is begun beside the first ones, once; nothing changes anything before its turn."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from roas.deployment import creation_ahead
from roas.deployment.head_start import HeadStart
from roas.engine.interface import ReleaseDraft
from roas.errors import EngineUnavailableError
from roas.models.check import CheckResult, Severity
from roas.models.deployment import Outcome
from roas.models.stack import WantedImage
from tests.unit.deployment.fake_engine import FakeEngine
from tests.unit.deployment.played_parts import service
from tests.unit.deployment.requested import deploy


class Ready(FakeEngine):
    """Have all images, and note what gets ready and ends."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ready = []
        self.ended = asyncio.Event()
        self.swept = ()

    async def look_up_images(self, stack, services):
        self._called("look_up_images")
        return {name: WantedImage(f"{name}:{stack.version}", f"{name}:{stack.version}") for name in services}

    @asynccontextmanager
    async def ready_to_create(self, environment, model, chosen):
        self._called("ready_to_create")
        self.ready.append(({name: fields["image"] for name, fields in model["services"].items()}, chosen))

        async def look():
            self.calls.append(("look", ""))

        try:
            yield look
        finally:
            self.calls.append(("ready no more", ""))
            self.ended.set()

    async def sweep(self, environment, service=None, *, spared=frozenset()):
        await super().sweep(environment, service, spared=spared)
        swept, self.swept = self.swept, ()
        return swept


@pytest.fixture
def engine():
    return Ready({"store": service("store"), "web": service("web", "store")})


@pytest.fixture
def checks(components):
    """Return what each look by the checks was given."""
    looks = []

    class Noting(type(components.validator)):
        async def validate(self, environment, version=None, *, model_hash=None, found=None):
            looks.append(found)
            return await super().validate(environment, version)

    components.validator.__class__ = Noting
    return looks


@pytest.fixture
def deploy_as_planned(orchestrator, engine):
    async def run(version="v1"):
        request = deploy(version)
        plan = await orchestrator.plan(request, to_start=True)
        engine.calls.clear()
        return await orchestrator.run(replace(request, plan_digest=plan.digest))

    return run


def count(engine, name):
    return sum(one == name for one, _ in engine.calls)


async def test_all_is_begun_ahead_and_done_once(deploy_as_planned, engine, checks):
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert len(checks) == 1
    assert count(engine, "draft_release") == 1
    assert engine.ready == [({"store": "store:v1", "web": "web:v1"}, frozenset({"store", "web"}))]
    names = [name for name, _ in engine.calls]
    steps = ("ready_to_create", "look", "create_missing", "ready no more", "start")
    assert [names.index(one) for one in steps] == sorted(names.index(one) for one in steps)


async def test_nothing_new_gets_nothing_ready(deploy_as_planned, engine, checks):
    await deploy_as_planned()
    engine.ready.clear()
    assert (await deploy_as_planned("v2")).outcome is Outcome.SUCCEEDED
    assert not engine.ready, "containers are replaced one service after the other"
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}


async def test_failed_check_lets_nothing_look_ahead(deploy_as_planned, engine, components, checks):
    components.validator.results = (CheckResult("disk", Severity.CRITICAL, False, "full", "clear it"),)
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.FAILED
    assert len(checks) == 1
    assert not count(engine, "look")
    assert count(engine, "ready no more") == len(engine.ready)
    assert not engine.running


async def test_checks_that_take_long_end_what_got_ready(deploy_as_planned, engine, components, checks, monkeypatch):
    """Docker's command line would wait no longer for the engine's first answer."""
    monkeypatch.setattr(creation_ahead, "COMPOSE_WAITS_SECONDS", 0.01)

    class Waiting(type(components.validator)):
        async def validate(self, environment, version=None, *, model_hash=None, found=None):
            async with asyncio.timeout(5):
                await engine.ended.wait()
            return await super().validate(environment, version)

    components.validator.__class__ = Waiting
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert len(engine.ready) == count(engine, "ready no more") == 1
    assert not count(engine, "look")


async def test_nothing_stays_ready_for_what_somebody_else_made(orchestrator, engine, checks):
    """A deployment may take long, and wait for a person for hours."""
    request = deploy("v1")
    plan = await orchestrator.plan(request, to_start=True)
    for name in ("store", "web"):
        engine._created(name, f"{name}:v1")
    engine.calls.clear()
    deployment = await orchestrator.run(replace(request, plan_digest=plan.digest))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    names = [name for name, _ in engine.calls]
    assert "create_missing" not in names
    assert names.index("ready no more") < names.index("start")


async def test_what_was_swept_is_looked_at_again(deploy_as_planned, engine, checks):
    engine.swept = ("removed a leftover",)
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert len(checks) == 2
    names = [name for name, _ in engine.calls]
    assert "ready_to_create" not in names[names.index("sweep") :]


async def test_phase_that_is_tried_again_has_no_head_start(deploy_as_planned, engine, checks):
    engine.faults["sweep"] = [EngineUnavailableError("busy")]
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert len(checks) == 2
    names = [name for name, _ in engine.calls]
    assert "ready_to_create" not in names[names.index("sweep") :]


async def test_what_was_adopted_meanwhile_is_looked_at_again(orchestrator, engine, checks):
    engine.models["found"] = {"services": {"web": {"image": "web:v0"}}}
    request = deploy("v1")
    plan = await orchestrator.plan(request, to_start=True)
    engine.adoptable = ReleaseDraft("v0", (), "found")
    await orchestrator.run(replace(request, plan_digest=plan.digest))
    assert len(checks) == 2


async def test_draft_is_not_waited_for_to_get_ready(deploy_as_planned, engine, checks, monkeypatch):
    drafted, get_ready, begun = engine.draft_release, engine.ready_to_create, asyncio.Event()

    async def draft(*arguments, **named):
        async with asyncio.timeout(5):
            await begun.wait()
        assert not count(engine, "look"), "today's policy is asked by the draft"
        return await drafted(*arguments, **named)

    def ready(*arguments):
        begun.set()
        return get_ready(*arguments)

    monkeypatch.setattr(engine, "draft_release", draft)
    monkeypatch.setattr(engine, "ready_to_create", ready)
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert count(engine, "look") == 1


async def test_what_is_kept_is_judged_before_compose_reads_it(orchestrator, engine, checks, monkeypatch):
    """It is of an earlier release, which the policy of its day let pass."""
    await orchestrator.run(deploy("v1"))
    await engine.remove(None, next(one.id for one in engine.running.values() if one.service == "web"))
    request = replace(deploy("v1"), services=("web",))
    plan = await orchestrator.plan(request, to_start=True)
    engine.calls.clear()
    await orchestrator.run(replace(request, plan_digest=plan.digest))
    names = [name for name, _ in engine.calls]
    assert names.index("draft_release") < names.index("ready_to_create")


async def test_failed_draft_is_made_again(deploy_as_planned, engine, checks):
    engine.faults["draft_release"] = [EngineUnavailableError("busy")]
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert count(engine, "draft_release") == 2
    assert not count(engine, "look"), "today's policy was not asked"
    assert count(engine, "ready no more") == len(engine.ready)


async def test_engine_that_does_not_get_ready_creates_as_ever(deploy_as_planned, engine):
    engine.faults["ready_to_create"] = [EngineUnavailableError("busy")]
    deployment = await deploy_as_planned()
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert count(engine, "create_missing") == 1


async def test_plan_that_is_made_anew_has_no_head_start(orchestrator, engine, checks):
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED
    assert checks == [None]
    assert not engine.ready


@pytest.mark.parametrize("same", [True, False])
async def test_draft_is_of_what_was_planned(orchestrator, engine, components, environment, same):
    planned = await _planned(orchestrator)
    fence = await components.state.deployments.create(orchestrator._new(deploy("v1"), None), "deploy v1")
    ahead = HeadStart(components, environment, fence, planned)
    images = {"store": "store:v1", "web": "web:v1" if same else "web:v2"}
    drafted = await ahead.draft(planned.candidate, images)
    assert (drafted is not None) is same
    assert await ahead.draft(planned.candidate, images) is None, "it serves once"
    await ahead.end()


async def _planned(orchestrator):
    request = deploy("v1")
    await orchestrator.plan(request, to_start=True)
    planned = orchestrator._planned._kept["dev"]
    return replace(planned)
