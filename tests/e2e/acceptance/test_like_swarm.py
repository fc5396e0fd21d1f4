"""One file, deployed by a real Swarm of one node and by the bot: the same order of events and the same verdict.

Where they differ, the case says why, and what each of them does. `docs/explanation/rollouts.md` has the same table.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.models.deployment import DeploymentKind, Outcome
from roas.models.rollout import Choice
from testbed.sample import sample_image
from testbed.swarm import Swarm, client_of
from tests.e2e.acceptance.beside_swarm import NONE_FAILS, Run, SwarmStack, watching, web, well_by_version
from tests.e2e.acceptance.people import ANNA, request
from tests.e2e.acceptance.stack import PROJECT, REPOSITORY

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

AT_A_TIME = 6

VERDICTS = {Outcome.SUCCEEDED: "completed", Outcome.ROLLED_BACK: "rolled back", Outcome.FAILED: "failed"}
STOP_FIRST = ["-v1", "+v2", "v2"]
START_FIRST = ["+v2", "v2", "-v1"]


@dataclass(frozen=True)
class Case:
    """Hold what is asked for, and what comes of it: of Swarm, and of the bot where that is not the same.

    `order` is how the events begin: up to the first failure, after which Swarm's own order is not always the same.
    """

    update: dict[str, Any] | None
    version: str
    verdict: str
    well: dict[str, int]
    order: list[str] = field(default_factory=list)
    replicas: int = 3
    back: dict[str, Any] | None = None
    first_fails: bool = False
    ours: tuple[str, dict[str, int]] | None = None

    def file(self) -> dict[str, Any]:
        """Return the file that both deploy; what is not about time has Swarm watch for two seconds."""
        deploy: dict[str, Any] = {"replicas": self.replicas}
        for key, section in (("update_config", self.update), ("rollback_config", self.back)):
            if section is not None:
                deploy[key] = {"monitor": "2s"} | section
        return web(deploy, first_fails=self.first_fails)


ONE = {"parallelism": 1}
ALL_V1 = ("rolled back", {"v1": 3})
CASES = {
    "one at a time, stop-first": Case(ONE, "v2", "completed", {"v2": 3}, STOP_FIRST * 3),
    "one at a time, start-first": Case(ONE | {"order": "start-first"}, "v2", "completed", {"v2": 3}, START_FIRST * 3),
    "two at a time": Case({"parallelism": 2}, "v2", "completed", {"v2": 4}, replicas=4),
    "all at once": Case({"parallelism": 0}, "v2", "completed", {"v2": 3}),
    "a delay between them": Case(ONE | {"delay": "2s"}, "v2", "completed", {"v2": 2}, STOP_FIRST * 2, replicas=2),
    "pause": Case(ONE | {"failure_action": "pause"}, "exits", "paused", {"v1": 2}, ["-v1", "+exits", "-exits"]),
    "pause, start-first": Case(
        ONE | {"failure_action": "pause", "order": "start-first"}, "exits", "paused", {"v1": 3}, ["+exits", "-exits"]
    ),
    "pause of two at a time": Case(
        {"parallelism": 2, "failure_action": "pause"}, "v2", "paused", {"v1": 2, "v2": 1}, replicas=4, first_fails=True
    ),
    "roll back": Case(
        ONE | {"failure_action": "rollback"},
        "exits",
        "rolled back",
        {"v1": 3},
        ["-v1", "+exits", "-exits"],
        back=ONE,
    ),
    "roll back what was replaced before": Case(
        ONE | {"failure_action": "rollback", "max_failure_ratio": 0.4}, "exits", "rolled back", {"v1": 3}, back=ONE
    ),
    "continue": Case(ONE | {"failure_action": "continue"}, "exits", "completed", {}, ["-v1", "+exits", "-exits"]),
    "within the failure ratio": Case(
        ONE | {"failure_action": "rollback", "max_failure_ratio": 0.34}, "v2", "completed", {"v2": 2}, first_fails=True
    ),
    "beyond the failure ratio": Case(
        ONE | {"failure_action": "pause", "max_failure_ratio": 0.3}, "v2", "paused", {"v1": 2}, first_fails=True
    ),
    "failed while monitored": Case(
        ONE | {"failure_action": "rollback", "monitor": "8s"}, "fades", "rolled back", {"v1": 1}, replicas=1, back=ONE
    ),
    "never healthy": Case(
        ONE | {"failure_action": "pause"}, "unhealthy", "paused", {"v1": 2}, ["-v1", "+unhealthy", "-unhealthy"]
    ),
    # Differences, each of which the page of the documentation explains.
    "no failure_action": Case(ONE, "exits", "paused", {"v1": 2}, ours=ALL_V1),
    "no update_config": Case(None, "exits", "paused", {"v1": 2}, ours=ALL_V1),
}


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Run a Swarm of one node that has the same images as the engine of the bot."""
    with Swarm(tmp_path_factory.mktemp("swarm")) as swarm:
        with client_of(swarm.manager) as client:
            for kind in ("unhealthy", "exits"):
                sample_image(client, f"{REPOSITORY}:{kind}", version=kind, behaviour=kind)
            sample_image(client, f"{REPOSITORY}:fades", version="fades", behaviour="fades", delay_seconds=1.2)
            for name in ("v1", "v2"):
                sample_image(client, f"{REPOSITORY}:{name}", version=name)
        yield swarm


@pytest.fixture(scope="module")
def swarm_runs(
    swarm: Swarm, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Run]]]:
    """Have Swarm do the chosen cases, a few at the same time: most of the time of each it waits."""
    chosen = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    folder = tmp_path_factory.mktemp("files")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            name: pool.submit(by_swarm, swarm, folder, f"case{number}", CASES[name])
            for number, name in enumerate(chosen)
        }


def by_swarm(swarm: Swarm, folder: Path, stack_name: str, case: Case) -> Run:
    """Deploy v1, then the version, to the Swarm, and note how that went."""
    with client_of(swarm.manager) as client:
        stack = SwarmStack(client, swarm.docker_host, folder, stack_name)
        try:
            return stack.run(case.file(), case.version, case.well)
        finally:
            stack.remove()


def began(case: Case, order: list[str]) -> list[str]:
    """Return what Swarm began in that order; start-first, it does not wait for the end of what it replaced."""
    ends_count = (case.update or {}).get("order") != "start-first"
    return [one for one in order if ends_count or not one.startswith("-")]


SAMPLE = {"one at a time, stop-first", "one at a time, start-first", "pause", "roll back", "no failure_action"}
NAMES = [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.long) for name in CASES]


@pytest.mark.parametrize("name", NAMES)
async def test_swarm_and_bot_do_the_same(name: str, swarm_runs, application, people, stack) -> None:
    case = CASES[name]
    of_bot = await by_bot(case, application, people, stack)
    of_swarm = await asyncio.wrap_future(swarm_runs[name])
    assert of_swarm.verdict == case.verdict, of_swarm
    assert of_swarm.well in (case.well, *one_more(case)), of_swarm
    verdict, well = case.ours or (case.verdict, case.well)
    assert of_bot.verdict == verdict, of_bot
    # A replica fails at its third restart only: until then, another worker goes on.
    assert of_bot.well in (well, *(one_more(case) if (case.update or {}).get("parallelism", 0) > 1 else [])), of_bot
    if case.order:
        assert began(case, of_swarm.order)[: len(began(case, case.order))] == began(case, case.order), of_swarm
        assert of_bot.order[: len(case.order)] == case.order, of_bot
    for run in (of_swarm, of_bot):
        keeps_to(case, run)


def one_more(case: Case) -> list[dict[str, int]]:
    """Return what is well where Swarm began one more slot after a failure.

    Its updater takes whichever it sees first: a worker that is free, or what failed.
    """
    if case.verdict == "completed":
        return []
    one_less = {**case.well, "v1": case.well.get("v1", 0) - 1}
    return [one_less, {**one_less, case.version: case.well.get(case.version, 0) + 1}]


def keeps_to(case: Case, run: Run) -> None:
    """Check what a file says of how many are replaced at a time, and of the time between them."""
    limit = (case.update or {}).get("parallelism", 1)
    under_way = most = 0
    for what in run.order:
        if what == f"+{case.version}":
            under_way += 1
        elif what.lstrip("-") == case.version:
            under_way = max(0, under_way - 1)
        most = max(most, under_way)
    if limit and not case.ours:
        assert most <= limit, run
    if "delay" in (case.update or {}):
        began, before = run.at[run.order.index("-v1", 1)], run.at[run.order.index("v2")]
        assert began - before >= 1.9, run


async def by_bot(case: Case, application, people, stack) -> Run:
    """Deploy v1, then the version, by the bot, and note how that went."""
    file = case.file()
    stack.write(file["services"], **{key: value for key, value in file.items() if key != "services"})
    if case.first_fails:
        stack.manually("run", "--rm", "--no-deps", "web", "sh", "-c", NONE_FAILS, VERSION="v1")
    await people.succeed("v1")
    label = f"{PROJECT}={stack.project()}"
    client = docker.DockerClient(base_url=stack.docker_host)
    try:
        with watching(client, label) as seen:
            started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", case.version))
            verdict = await verdict_of(application, started.id)
            well, order, at = well_by_version(client, label), list(seen.order), list(seen.at)
        if verdict == "paused":
            await application.orchestrator.decide(started.id, Choice.ROLL_BACK, ANNA)
            await application.orchestrator.wait(started.id)
    finally:
        client.close()
    return Run(verdict, well, order, at)


async def verdict_of(application, deployment_id: str) -> str:
    """Wait until a deployment has ended or waits for a person."""
    async with asyncio.timeout(120):
        while True:
            found = await application.state.deployments.get(deployment_id)
            if found.is_waiting:
                return "paused"
            if found.finished:
                return VERDICTS[found.outcome]
            await asyncio.sleep(0.05)
