"""A plan is what then happens, over random stacks and hands; and the judge sees where it is not."""

import ast
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

import tools.campaigns.plans
from roas.deploy.planning.plan import make_plan
from roas.errors import ImageChangedError
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.health import ContainerSnapshot
from roas.models.plan import Plan, ServiceAction
from roas.stack.service_comparison import ServiceDifference, WantedService, compare_service
from roas.state.manager import StateManager
from tools.campaigns.plans.__main__ import play_cases
from tools.campaigns.plans.cases import DORA, Case
from tools.campaigns.plans.composing import VERSION, Service
from tools.campaigns.plans.double import PROJECT
from tools.campaigns.plans.effects import find_lies
from tools.campaigns.plans.machine_hands import replace_something

CASES, AT_ONCE = 10, 5
# Of the seeds from 1 to 200, those that show nearly all that these show: each hand and kind of request beside each
# other, and beside each action of the plan and each kind of service that it is done to.
_TELLING = """
    1 2 5 10 11 14 17 19 22 23 25 31 34 37 39 40 44 46 49 50 51 53 54 55 57 63 65 66 68 69 74 79 81 84 86 89 92 93
    94 101 102 105 106 107 108 109 114 122 125 128 129 135 136 143 147 148 149 150 153 156 157 158 159 160 163 167
    171 173 178 184 185 188 191 192 193 195 196 197 199 200
"""
TELLING = [int(seed) for seed in _TELLING.split()]
FOLDER = Path(tools.campaigns.plans.__file__).parent
# What the machine and the judge are made of, and what of the product each of them may know.
APART = {
    "machine": (),
    "composing": (),
    "sweeping": (),
    "machine_hands": (),
    "settled": (),
    "effects": ("roas.models.plan",),
    "plain_answers": ("roas.models.", "roas.errors", "roas.stack.interface"),
    "double": ("roas.models.", "roas.errors", "roas.stack.interface", "roas.stack.proxy.proxied_service"),
}
# What is handed over at an engine's interface, none of which plans anything.
INTERFACE_TYPES = {
    *("ContainerEvent", "ProgressReport", "PinnedStack", "ResolvedStack", "SweptContainers"),
}


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.long if first // CASES % 2 else ())
        for first in range(0, len(TELLING), CASES)
    ],
)
async def test_plan_is_what_happens(tmp_path: Path, first: int) -> None:
    results = await play_cases(TELLING[first : first + CASES], tmp_path)
    assert {result.seed: (result.story, result.lies) for result in results if result.lies} == {}
    assert sum(result.changed for result in results) > CASES, "else nothing was put to the test"


async def test_service_that_the_files_lack_is_planned(tmp_path: Path) -> None:
    """Only another one is deployed; this one is of the release, and changes since its image's name was moved."""
    (result,) = await play_cases([40073], tmp_path)
    assert (result.story[-1], result.lies) == ("DEPLOY v2 ('api',): succeeded", [])


async def test_passing_names_of_two_containers_differ(tmp_path: Path) -> None:
    """They begin with the id, as an engine's do: with one beginning for all ids, they met, and nothing of it was so."""
    (result,) = await play_cases([741], tmp_path)
    assert ("up_all api" in result.story, result.lies) == (True, [])


@pytest.mark.parametrize(("seed", "service"), [(40023, "db"), (41057, "job")])
async def test_leftover_is_not_what_the_service_has(tmp_path: Path, seed: int, service: str) -> None:
    """A successor that a killed Compose left, of another image: not what runs, and no reason to remove a job's run."""
    (result,) = await play_cases([seed], tmp_path)
    assert (f"leave_behind {service}" in result.story, result.lies) == (True, [])


async def test_job_that_somebody_ran_otherwise_may_stay(tmp_path: Path) -> None:
    """Its image is yet to be pulled: it may be that of the release, whose job has run."""
    (result,) = await play_cases([42637], tmp_path)
    assert ("scale job" in result.story, result.lies) == (True, [])


async def test_leftover_is_not_waited_for(tmp_path: Path) -> None:
    """What is deployed depends on a service beside which a killed Compose left a container: that never starts."""
    (result,) = await play_cases([41717], tmp_path)
    assert (result.story[-1], result.lies) == ("DEPLOY v3 ('tools',): succeeded", [])


@pytest.mark.parametrize(
    ("seed", "hand"),
    [
        (90799, "remove job"),
        (91062, "scale job"),
        (91544, "pause db"),
        (90023, "kill vpn"),
        (200441, "remove job"),
        (200501, "leave_behind job"),
        (201828, "copy_container web"),
    ],
)
async def test_what_was_so_before_fails_no_deployment(tmp_path: Path, seed: int, hand: str) -> None:
    """A job whose container is gone or never ran, and what stood still, unless it was to change."""
    (result,) = await play_cases([seed], tmp_path)
    assert (hand in result.story, result.lies) == (True, [])


async def test_late_hand_is_found(tmp_path: Path) -> None:
    """What a hand does after the plan was made is no part of it: the judge has to see that."""
    async with StateManager(tmp_path / "state") as state:
        cases = [Case(seed, state, tmp_path) for seed in range(1, 11)]
        found = [await case.play(between=lambda case: replace_something(case.hands), bound=False) for case in cases]
    assert sum(bool(item.lies) for item in found) >= 3


async def test_late_hand_voids_the_plan(tmp_path: Path) -> None:
    """What a hand replaced after the plan would be replaced again without anybody's yes: that is refused."""
    refused = 0
    async with StateManager(tmp_path / "state") as state:
        for seed in range(1, 11):
            try:
                result = await Case(seed, state, tmp_path).play(between=lambda case: replace_something(case.hands))
            except ImageChangedError:
                refused += 1
            else:
                refused += any("draft_void" in lie for lie in result.lies)  # preparation saw it
    assert refused >= 3


@pytest.mark.parametrize("module", APART)
def test_machine_knows_nothing_of_planning(module: str) -> None:
    for imported, names in imports_of((FOLDER / f"{module}.py").read_text()):
        if imported.startswith("tools."):
            assert imported.removeprefix("tools.campaigns.plans.") in APART, f"{imported} is not looked into"
        if imported.partition(".")[0] in {"roas", "bot", "cogs"}:
            assert imported.startswith(APART[module] or ("nothing of the product",)), imported
        if imported == "roas.stack.interface":
            assert names <= INTERFACE_TYPES


def imports_of(source: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each module that a source imports anywhere, and what it takes of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((name.name, set()) for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides where it is from"
            yield str(node.module), {name.name for name in node.names}


def keep_instead_of(action: ServiceAction) -> Callable[[Plan], Plan]:
    """Return a lie: what is done to a service is not in the plan."""

    def lie(plan: Plan) -> Plan:
        services = (
            dataclasses.replace(service, action=ServiceAction.KEEP) if service.action is action else service
            for service in plan.services
        )
        return dataclasses.replace(plan, services=tuple(services))

    return lie


def forget_removals(plan: Plan) -> Plan:
    """Lie: what is removed is not in the plan."""
    return dataclasses.replace(
        plan, services=tuple(service for service in plan.services if service.action is not ServiceAction.REMOVE)
    )


LIES: dict[str, Callable[[Plan], Plan]] = {
    "recreation": keep_instead_of(ServiceAction.RECREATE),
    "restart": keep_instead_of(ServiceAction.RESTART),
    "removal": forget_removals,
    "adjustment": keep_instead_of(ServiceAction.ADJUST),
}


@pytest.mark.parametrize("lie", LIES)
async def test_lie_in_the_plan_is_found(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases of `test_plan_is_what_happens`, with a planner that keeps something to itself.

    The judge finds it, or the deployment itself, which then replaces nothing.
    """
    told: list[bool] = []

    def lying(*arguments: object, **more: object) -> Plan:
        plan = make_plan(*arguments, **more)  # type: ignore[arg-type]
        told.append(LIES[lie](plan) != plan)
        return LIES[lie](plan)

    monkeypatch.setattr("roas.deploy.planning.planner.make_plan", lying)
    assert await is_found(tmp_path, "the plan says keep", "is not in the plan", "changed since this was planned")
    assert any(told), "else nothing was kept from anybody"


async def is_found(folder: Path, *texts: str) -> bool:
    """Return whether the judge says one of these of one of the first cases; it is asked no more when it has said it."""
    for first in range(0, len(TELLING), AT_ONCE):
        results = await play_cases(TELLING[first : first + AT_ONCE], folder)
        if any(text in lie for result in results for lie in result.lies for text in texts):
            return True
    return False


async def test_shared_blindness_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan and execution ask the same function what differs: where that sees nothing, no plan is untrue."""

    def blind(wanted: WantedService, containers: Iterable[ContainerSnapshot]) -> ServiceDifference:
        return dataclasses.replace(compare_service(wanted, containers), unlike=())

    monkeypatch.setattr("roas.deploy.changes.compare_service", blind)
    assert await is_found(tmp_path, "is not of the release that was deployed")


async def test_copy_in_the_way_is_in_the_plan(tmp_path: Path) -> None:
    """What is named is to join `db`: the copy that Compose would choose instead goes first, and the plan says so."""
    async with StateManager(tmp_path / "state") as state:
        case = Case(1, state, tmp_path)
        case.file |= {"db": Service("db:v1"), "web": Service(f"web:{VERSION}", shares="db")}
        case.machine.tags |= {name: f"sha256:{name}" for name in ("db:v1", "web:v1", "web:v2")}
        first = DeploymentRequest(case.environment.name, DeploymentKind.DEPLOY, DORA, version="v1")
        assert (await case.orchestrator.run(first)).outcome is Outcome.SUCCEEDED
        (db,) = case.machine.of(PROJECT, "db")
        copy = case.machine.create(dataclasses.replace(db, name="a-copy"))
        case.machine.start(copy.id)
        before = case.machine.look(PROJECT)
        second = dataclasses.replace(first, version="v2", services=("web",))
        plan = await case.orchestrator.plan(second)
        done = await case.orchestrator.run(dataclasses.replace(second, plan_digest=plan.digest))
        await case.orchestrator.close()
        await case.bus.close()
    assert done.outcome is Outcome.SUCCEEDED, done.problem
    assert find_lies(plan, before, case.machine.look(PROJECT)) == []
    assert {service.service: service.action for service in plan.services} == {"db": "adjust", "web": "recreate"}
    assert [item.id for item in case.machine.of(PROJECT, "db")] == [db.id]
    assert [item.joins for item in case.machine.of(PROJECT, "web")] == [db.id]
