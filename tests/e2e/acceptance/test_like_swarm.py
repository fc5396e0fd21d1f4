"""One file, deployed by a real Swarm of one node and by the bot: the same order of events and the same verdict.

Where they differ, the case says why, and what each of them does. `docs/explanation/rollouts.md` has the same table.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import pytest

from testbed.compose_labels import PROJECT_LABEL
from testbed.swarm import Swarm, client_of
from tests.e2e.acceptance.beside_swarm import NONE_FAILS, OFTEN, Run, SwarmStack, images, watching, web, well_by_version
from tests.e2e.acceptance.people import ANNA, People, request

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.long]

AT_A_TIME = 6

VERDICTS = {"succeeded": "completed", "rolled_back": "rolled back", "failed": "failed"}
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
    before: str = "v1"
    check: dict[str, Any] = field(default_factory=dict)
    restart: dict[str, Any] = field(default_factory=dict)

    def file(self) -> dict[str, Any]:
        """Return the file that both deploy; what is not about time has Swarm watch for two seconds."""
        deploy: dict[str, Any] = {"replicas": self.replicas}
        for key, section in (("update_config", self.update), ("rollback_config", self.back)):
            if section is not None:
                deploy[key] = {"monitor": "2s"} | section
        return web(deploy, first_fails=self.first_fails, check=self.check, restart=self.restart)


ONE = {"parallelism": 1}
# One after the other on one stack of two replicas: each begins with what the one before has left.
IN_A_ROW = {
    "one at a time, stop-first": Case(ONE, "v2", "completed", {"v2": 2}, STOP_FIRST * 2, replicas=2),
    "pause, start-first": Case(
        ONE | {"failure_action": "pause", "order": "start-first"},
        "exits",
        "paused",
        {"v2": 2},
        ["+exits", "-exits"],
        replicas=2,
        before="v2",
    ),
    "roll back": Case(
        ONE | {"failure_action": "rollback"},
        "exits",
        "rolled back",
        {"v2": 2},
        ["-v2", "+exits", "-exits"],
        replicas=2,
        back=ONE,
        before="v2",
    ),
    # A difference, which the page of the documentation explains.
    "no failure_action": Case(
        ONE, "exits", "paused", {"v2": 1}, replicas=2, ours=("rolled back", {"v2": 2}), before="v2"
    ),
}
IN_A_ROW = {name: replace(case, restart={"delay": "6s"}) for name, case in IN_A_ROW.items()}  # the next one waits
PAUSES = ["-v1", "+exits", "-exits"]
CASES = {
    "two at a time": Case({"parallelism": 2}, "v2", "completed", {"v2": 4}, replicas=4),
    "all at once": Case({"parallelism": 0}, "v2", "completed", {"v2": 3}),
    "a delay between them": Case(ONE | {"delay": "2s"}, "v2", "completed", {"v2": 2}, STOP_FIRST * 2, replicas=2),
    "one at a time, start-first": Case(
        ONE | {"order": "start-first"}, "v2", "completed", {"v2": 2}, START_FIRST * 2, replicas=2
    ),
    "pause": Case(ONE | {"failure_action": "pause"}, "exits", "paused", {"v1": 1}, PAUSES, replicas=2),
    "pause of two at a time": Case(
        {"parallelism": 2, "failure_action": "pause"}, "v2", "paused", {"v1": 2, "v2": 1}, replicas=4, first_fails=True
    ),
    "roll back what was replaced before": Case(
        ONE | {"failure_action": "rollback", "max_failure_ratio": 0.4}, "exits", "rolled back", {"v1": 3}, back=ONE
    ),
    "continue": Case(ONE | {"failure_action": "continue"}, "exits", "completed", {}, PAUSES),
    "within the failure ratio": Case(
        ONE | {"failure_action": "rollback", "max_failure_ratio": 0.34}, "v2", "completed", {"v2": 2}, first_fails=True
    ),
    "beyond the failure ratio": Case(
        ONE | {"failure_action": "pause", "max_failure_ratio": 0.3}, "v2", "paused", {"v1": 2}, first_fails=True
    ),
    "failed while monitored": Case(
        ONE | {"failure_action": "rollback", "monitor": "8s"},
        "fades",
        "rolled back",
        {"v1": 1},
        replicas=1,
        back=ONE,
        check=OFTEN,
    ),
    "never healthy": Case(
        ONE | {"failure_action": "pause"},
        "unhealthy",
        "paused",
        {"v1": 2},
        ["-v1", "+unhealthy", "-unhealthy"],
        check=OFTEN,
    ),
    # A difference.
    "no update_config": Case(None, "exits", "paused", {"v1": 2}, ours=("rolled back", {"v1": 3})),
}


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Run a Swarm of one node that has the same images as the engine of the bot."""
    with Swarm(tmp_path_factory.mktemp("swarm")) as swarm:
        with client_of(swarm.manager) as client:
            images(client)
        yield swarm


@pytest.fixture
def same_images(docker_client: docker.DockerClient) -> None:
    """Give the engine of the bot the images of the Swarm."""
    images(docker_client)


@pytest.fixture(scope="module")
def swarm_runs(
    swarm: Swarm, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[Run]]]]:
    """Have Swarm do the chosen cases, a few at the same time: most of the time of each it waits."""
    chosen = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    names = [spec.params["name"] for spec in chosen if spec]
    rows = {name: [CASES[name]] for name in names} | {"in a row": list(IN_A_ROW.values())}
    folder = tmp_path_factory.mktemp("files")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            name: pool.submit(by_swarm, swarm, folder, f"case{number}", row)
            for number, (name, row) in enumerate(rows.items())
        }


def by_swarm(swarm: Swarm, folder: Path, stack_name: str, cases: list[Case]) -> list[Run]:
    """Bring what is there before, then the version of each case, to the Swarm, and note how that went."""
    runs = []
    with client_of(swarm.manager) as client:
        stack = SwarmStack(client, swarm.docker_host, folder, stack_name)
        try:
            for case in cases:
                stack.begin(case.file(), case.before)
                others = one_more(case) if case.verdict == "paused" else []
                runs.append(stack.update(case.file(), case.version, [case.well, *others]))
        finally:
            stack.remove()
    return runs


def began(case: Case, order: list[str]) -> list[str]:
    """Return what Swarm began in that order; start-first, it does not wait for the end of what it replaced."""
    ends_count = (case.update or {}).get("order") != "start-first"
    return [text for text in order if ends_count or not text.startswith("-")]


async def test_swarm_and_bot_do_the_same_in_a_row(swarm_runs, application, people, stack, same_images) -> None:
    of_bot = []
    for case in IN_A_ROW.values():
        of_bot.append(await by_bot(case, application, people, stack, stands=bool(of_bot)))
    of_swarm = await asyncio.wrap_future(swarm_runs["in a row"])
    for name, one_of_bot, one_of_swarm in zip(IN_A_ROW, of_bot, of_swarm, strict=True):
        are_the_same(IN_A_ROW[name], one_of_bot, one_of_swarm)


@pytest.mark.parametrize("name", CASES)
async def test_swarm_and_bot_do_the_same(name: str, swarm_runs, application, people, stack, same_images) -> None:
    of_bot = await by_bot(CASES[name], application, people, stack)
    (of_swarm,) = await asyncio.wrap_future(swarm_runs[name])
    are_the_same(CASES[name], of_bot, of_swarm)


def are_the_same(case: Case, of_bot: Run, of_swarm: Run) -> None:
    """Compare what became of a case, and what became of it first."""
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
    one_less = Counter({**case.well, case.before: case.well.get(case.before, 0) - 1})
    return [dict(+one_less), dict(+(one_less + Counter([case.version])))]


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


async def by_bot(case: Case, application, people, stack, *, stands: bool = False) -> Run:
    """Bring what is there before, unless it `stands`, then the version, by the bot, and note how that went."""
    file = case.file()
    stack.write(file["services"], **{key: value for key, value in file.items() if key != "services"})
    if case.first_fails:
        stack.manually("run", "--rm", "--no-deps", "web", "sh", "-c", NONE_FAILS, VERSION="v1")
    if not stands:
        await people.succeed(case.before)
    label = f"{PROJECT_LABEL}={stack.project()}"
    client = docker.DockerClient(base_url=stack.docker_host)
    try:
        with watching(client, label) as seen:
            started = await application.orchestrator.start(request("DEPLOY", "dev", case.version))
            verdict = await verdict_of(application, started.id)
            well, order, at = well_by_version(client, label), list(seen.order), list(seen.at)
        if verdict == "paused":
            await People(application).decide(started.id, "roll_back", ANNA)
            await application.orchestrator.wait(started.id)
    finally:
        client.close()
    return Run(verdict, well, order, at)


async def verdict_of(application, deployment_id: str) -> str:
    """Wait until a deployment has ended or waits for a person."""
    async with asyncio.timeout(120):
        while True:
            found = await application.state.deployments.get(deployment_id)
            if found.waits_in:
                return "paused"
            if found.finished:
                return VERDICTS[found.outcome]
            await asyncio.sleep(0.2)
