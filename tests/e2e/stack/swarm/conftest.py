"""One Swarm of three nodes for all files of this folder, with a registry that asks for a password.

Most of the time, a deployment to a Swarm waits. So what the other files judge is played on stacks of its own beside the
story, which goes first.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.private_registry import PASSWORD, PrivateRegistry
from testbed.sample import Behaviour
from testbed.swarm import Swarm
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.stack.swarm.beside import ROUNDS, Beside
from tests.e2e.stack.swarm.meddling import meddle
from tests.e2e.stack.swarm.swarm_line import SwarmLine, line_on, stack
from tools.campaigns.swarm.ground import FAILING_JOB, ground_on
from tools.campaigns.swarm.rounds import Played, first_run, play

VERSIONS: dict[str, Behaviour] = {
    **healthy(["v1", "v2", "v4", FAILING_JOB]),
    "v3": "exits",
}


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("swarm"), workers=2) as made:
        yield made


@pytest.fixture(scope="session")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that has the versions, which no node has."""
    with swarm_registry(swarm, tmp_path_factory.mktemp("registry"), VERSIONS) as made:
        yield made


@contextmanager
def shop_line(swarm: Swarm, registry: PrivateRegistry, folder: Path) -> Iterator[SwarmLine]:
    """Give a command line for a shop of its own, and wait until it is removed."""
    with line_on(swarm, registry, folder) as made:
        made.write(stack(f"{registry.address}/shop"))
        made.say(greeting="hello one", password="the first password")
        yield made
    # Swarm takes tasks down after that, and the port of the next test's stack is one of theirs.
    assert StackView(swarm, made.stack_name).remove(), "the stack's containers are not removed"


@pytest.fixture
def line(beside: Beside, swarm: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    with shop_line(swarm, registry, tmp_path) as made:
        yield made
        if registry.password != PASSWORD:  # which the stacks of other tests have
            registry.change_password(PASSWORD)


@pytest.fixture(scope="session")
def beside(
    request: pytest.FixtureRequest,
    swarm: Swarm,
    registry: PrivateRegistry,
    tmp_path_factory: pytest.TempPathFactory,
    long_lane: bool,
) -> Iterator[Beside]:
    """Begin to play, as soon as there are nodes, what tests of this run will judge."""
    campaign, folder = (tmp_path_factory.mktemp(name) for name in ("campaign", "meddled"))

    def on_the_ground() -> list[Played]:
        with ground_on(swarm, registry, campaign / "ground", "shop") as made:
            first_run(made)
            return [play(made, item) for item in (ROUNDS if long_lane else ROUNDS[:1])]

    def on_a_line() -> None:
        with shop_line(swarm, registry, folder) as made:
            meddle(made, StackView(swarm, made.stack_name), f"{registry.address}/shop")

    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with ThreadPoolExecutor() as threads:
        yield Beside(
            deaths=threads.submit(on_the_ground) if "deaths" in wanted else None,
            meddled=threads.submit(on_a_line) if "meddled" in wanted else None,
        )


@pytest.fixture
def deaths(beside: Beside) -> list[Played]:
    """Return how the rounds ended in which bots died."""
    assert beside.deaths is not None
    return beside.deaths.result()


@pytest.fixture
def meddled(beside: Beside) -> None:
    """Ask for what is played with a stack while it is deployed; the test says how it went."""


@pytest.fixture
def look(line: SwarmLine, swarm: Swarm) -> StackView:
    """Give a look at the stack on all nodes."""
    return StackView(swarm, line.stack_name)
