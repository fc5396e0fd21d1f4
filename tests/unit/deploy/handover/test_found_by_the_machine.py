"""What the machines found, as single runs: each is one deployment with one or two faults at the worst moments."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from tests.unit.deploy.handover.home_world import DORA, SICKENS, Fault, Point, Victim, World
from tests.unit.deploy.virtual_time import VirtualLoop

ROLLBACK = DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA)


def deploy(version: str) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    loop = VirtualLoop()
    world = World(loop, tmp_path, at_home=True)
    loop.run_until_complete(world.begin())
    yield world
    loop.run_until_complete(world.end())
    loop.close()


@pytest.fixture
def ends(world: World) -> Callable[..., Deployment]:
    def ends(request: DeploymentRequest, *faults: Fault, by_command_line: bool = False) -> Deployment:
        world.loop.run_until_complete(world.is_asked(request, list(faults), by_command_line=by_command_line))
        return world.loop.run_until_complete(world.last())

    return ends


def test_dependent_restored_beside_unhealthy_successor(ends):
    """A service that needs the bot is restored beside a successor that is unhealthy."""
    assert ends(deploy(SICKENS)).outcome is Outcome.ROLLED_BACK


def test_unhealthy_bot_with_dependents_rolled_back(world, ends):
    assert ends(deploy("v1")).outcome is Outcome.SUCCEEDED
    world.active().unhealthy = True
    world.loop.call_later(5.0, world.active().is_checked)
    world.loop.run_until_complete(asyncio.sleep(6.0))
    assert ends(ROLLBACK).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("at", [8, 12, 19])
def test_restarting_bot_not_replaced_in_place(ends, at):
    """A command line does not replace a bot in place that is just starting again."""
    killed = Fault(Point.COMMIT, at, after=False, victim=Victim.PREDECESSOR)
    assert ends(deploy("v1"), killed, by_command_line=True).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("at", [40, 42, 45])
def test_restarting_predecessor_takes_back(ends, at):
    """It is killed in the moments in which its successor finds itself unhealthy."""
    killed = Fault(Point.COMMIT, at, after=False, victim=Victim.PREDECESSOR)
    assert ends(deploy(SICKENS), killed).outcome is Outcome.ROLLED_BACK


def test_mixed_releases_restored_after_cancellation(ends):
    """Parts of two releases are made whole though another deployment ended before it touched anything."""
    dies = [Fault(Point.COMMIT, at, after=True, victim=Victim.BOTH) for at in (20, 26, 32, 38)]
    assert ends(deploy("v1"), *dies).outcome is Outcome.FAILED
    gives_up = Fault(Point.COMMIT, 5, after=True, victim=Victim.BOTH, cancels=True)
    assert ends(deploy("v2"), gives_up).outcome is Outcome.CANCELLED
    rollback = ends(ROLLBACK)
    assert (rollback.outcome, rollback.to_release) == (Outcome.SUCCEEDED, 0)


@pytest.mark.parametrize("at", [29, 30, 32, 33])
def test_returned_leadership_resumes_activity(world, ends, at):
    """Somebody cancels in the moment in which the successor takes over: it hands everything back."""
    cancels = Fault(Point.COMMIT, at, after=True, victim=Victim.BOTH, cancels=True)
    assert ends(deploy("v1"), cancels).outcome is Outcome.CANCELLED
    assert world.active().number == 1
