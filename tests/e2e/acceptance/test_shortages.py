"""Out of processes, threads, memory, open files or disk space for a while: a deployment goes on, or ends and says so.

Each place in the product that starts a thread or a process, or opens a file, is found by watching a deployment. At each
of them the system then refuses, a few times, for another reason.
"""

import asyncio
import builtins
import errno
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from roas.app import application as application_
from roas.app.application import open_application
from roas.concurrency import pause
from roas.deploy import phase_failure, running_deployments
from roas.errors import ShortageError, StateError
from roas.limits import Retries
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.shortages import fault_of
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, request
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone

PRODUCT = str(Path(application_.__file__).parents[1])
# What is done for everybody is counted where it is asked for.
HELPERS = ("concurrency.py", "temporary.py", "stack/compose/processes.py", "stack/docker/engine.py")
REFUSALS = 3
STARTS = (
    (threading.Thread, "start"),
    (subprocess.Popen, "__init__"),
    (tempfile, "mkdtemp"),
    (os, "open"),
    (os, "mkdir"),
    (io, "open"),
    (builtins, "open"),
    (socket.socket, "__init__"),
)
ERRORS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENOSPC)


class Site(NamedTuple):
    """Where in the product what is started or opened."""

    what: str
    file: str
    line: int

    @property
    def is_varied(self) -> bool:
        """Return whether it refuses for one reason or another: a thread that cannot start has one."""
        return not self.what.startswith("Thread")


class System:
    """The starts of this process, of which some are refused."""

    def __init__(self) -> None:
        self.seen: Counter[Site] = Counter()
        self.refused: Site | None = None
        self.number = 0
        self.left = 0

    def refuse(self, site: Site, number: int) -> None:
        """Refuse the next few starts at a place."""
        self.refused, self.number, self.left = site, number, REFUSALS

    def pass_by(self, owner: Any, name: str) -> None:
        site = self._site(f"{getattr(owner, '__name__', owner)}.{name}")
        if site is None:
            return
        self.seen[site] += 1
        if site == self.refused and self.left > 0:
            self.left -= 1
            if owner is threading.Thread:
                raise RuntimeError("can't start new thread")
            raise OSError(self.number, os.strerror(self.number))

    def _site(self, what: str) -> Site | None:
        frame = sys._getframe(3)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(PRODUCT) and not file.endswith(HELPERS):
                return Site(what, file.removeprefix(f"{PRODUCT}/"), frame.f_lineno)
            frame = frame.f_back
        return None


@contextmanager
def watched_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    system = System()
    for owner, name in STARTS:
        original = getattr(owner, name)

        def start(*arguments: Any, _original: Any = original, _place: Any = (owner, name), **named: Any) -> Any:
            system.pass_by(*_place)
            return _original(*arguments, **named)

        monkeypatch.setattr(owner, name, start)
    yield system
    monkeypatch.undo()


async def carried_out(people: People, asked: DeploymentRequest) -> Deployment:
    """Ask for a deployment; what only the state folder stopped is resumed, as the leader does.

    What is refused for the shortage, as such, has changed nothing: it is asked for again, as a person does.
    """
    orchestrator, deployments = people.application.orchestrator, people.application.state.deployments
    while True:
        before = await deployments.list("dev", limit=1)
        try:
            started = await orchestrator.start(asked)
            break
        except Exception as error:
            fault = fault_of(error)
        assert isinstance(fault, ShortageError | StateError), repr(fault)
        assert await deployments.list("dev", limit=1) == before
        assert await people.application.state.locks.get("dev") is None
    while True:
        try:
            return await orchestrator.wait(started.id)
        except StateError:
            while not await orchestrator.resume():
                await pause(0.05)


class Way(NamedTuple):
    """One of the ways on which a deployment meets a shortage, and how it ends all the same."""

    outcome: Outcome
    kind: DeploymentKind = DeploymentKind.DEPLOY
    command: str | None = None
    has_data: bool = False

    def write(self, stack: Stack, number: int) -> None:
        """Write files that are none that were read before: all is done that a first deployment does."""
        services = {"web": alone(healthcheck=None, command=self.command, labels={"number": str(number)})}
        if self.has_data:
            services["store"] = alone(image=f"{REPOSITORY}:v1", healthcheck=None, **{"x-deploy": {"backup": BACKUP}})
        stack.write(services)

    async def request(self, people: People, version: str) -> DeploymentRequest:
        """Return what is asked for, with what it asks of a person."""
        if self.kind is not DeploymentKind.ROLLBACK:
            return request(self.kind, version=version)
        if not self.has_data:
            return request(self.kind)
        plan = await people.application.orchestrator.plan(request(self.kind, data=("with",)), keep=False)
        return request(self.kind, data=("with",), granted=plan.new_powers)


BACKUP = {"command": ["echo", "rows"], "restore": "cat >/tmp/rows"}
WAYS = {
    "deployment": Way(Outcome.SUCCEEDED),
    "automatic rollback": Way(Outcome.ROLLED_BACK, command="/absent"),
    "rollback": Way(Outcome.SUCCEEDED, DeploymentKind.ROLLBACK),
    "deployment with a backup": Way(Outcome.SUCCEEDED, has_data=True),
    "rollback with data": Way(Outcome.SUCCEEDED, DeploymentKind.ROLLBACK, has_data=True),
}
# Each place costs a deployment: of a few it is seen that the class is dealt with, of all, a part each, by `--long`.
PARTS = 12
SAMPLES = [(48, 0), *(pytest.param((PARTS, first), marks=pytest.mark.long) for first in range(PARTS))]
# One of them deploys, fails and goes back: the others are parts of it.
WHOLE_WAY = "automatic rollback"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"every {sample[0]}th from {sample[1]}")
@pytest.mark.parametrize(
    "way", [pytest.param(WAYS[way], id=way, marks=() if way == WHOLE_WAY else pytest.mark.long) for way in WAYS]
)
async def test_each_place_that_starts_something_may_be_refused(stack, tmp_path, monkeypatch, way, sample):
    """Each refuses in each of the ways that a system knows; one refusal of a sample."""
    every, first = sample
    for module, name in ((phase_failure, "SOON"), (running_deployments, "PATIENTLY")):
        monkeypatch.setattr(module, name, Retries(0.01, 0.05))
    WAYS["deployment"]._replace(has_data=way.has_data).write(stack, 0)
    async with open_application(settings_for(stack, tmp_path / "state")) as application:
        people = People(application)
        await people.succeed("v1")

        async def prepare(index: int) -> DeploymentRequest:
            """Return what goes the way from a release that runs; there is one more to go back from."""
            version = f"v{index % 2 + 1}"
            way.write(stack, index)
            if way.kind is DeploymentKind.ROLLBACK:
                await people.succeed(version)
            return await way.request(people, version)

        with watched_system(monkeypatch) as system:
            asked = await prepare(1)
            system.seen.clear()
            assert (await carried_out(people, asked)).outcome is way.outcome
            sites = sorted(system.seen)
            assert len(sites) > 30
            faults = [(site, number) for site in sites for number in (ERRORS if site.is_varied else ERRORS[:1])]
            refused, not_reached = faults[first::every], []
            for index, (site, number) in enumerate(refused, 2):
                asked = await prepare(index)
                system.refuse(site, number)
                async with asyncio.timeout(60):
                    deployment = await carried_out(people, asked)
                told = f"{site} {errno.errorcode[number]}: {deployment.outcome} {deployment.problem}"
                print(told, system.left, flush=True)
                assert deployment.outcome is way.outcome, told
                assert await application.state.locks.get("dev") is None
                assert len(stack.images()) == 1 + way.has_data
                not_reached += [site] * (system.left == REFUSALS)
            assert len(not_reached) <= len(refused) / 2, not_reached
