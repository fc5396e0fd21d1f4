"""One environment on five hosts that are reached by ssh: wave after wave, or all of them back."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roas.api.application import read_report
from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.deploy import engine_absence
from roas.errors import EngineUnavailableError
from roas.metrics.bot_metrics import Metrics
from roas.models.deployment import Deployment, DeploymentKind, Outcome, ServiceStep
from roas.models.health import Verdict
from roas.stack.containers import watch as container_watch
from testbed.compose_labels import PROJECT_LABEL
from testbed.sample import Behaviour, sample_image
from testbed.ssh_hosts import RemoteHost, SshHosts
from tests.e2e.acceptance.conftest import OBSERVATION_SECONDS, settings_for
from tests.e2e.acceptance.people import People, request, told
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone
from tests.integration.packages import packages_or_skip

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

NAMES = ("a", "b", "c", "d", "e")
# On which hosts a version is bad: the same tag may mean another image there.
BAD = {"bad": NAMES, "late": ("c",)}


@dataclass
class Hosts:
    """Hold the hosts, and what each has of a stack."""

    ssh: SshHosts
    stacks: dict[str, Stack]

    def __getitem__(self, name: str) -> RemoteHost:
        return self.ssh.hosts[NAMES.index(name)]

    @property
    def addresses(self) -> dict[str, str]:
        """Return the addresses as the settings name them."""
        return {name: self[name].url for name in NAMES}

    def versions(self) -> dict[str, list[str]]:
        """Return the versions that run on each host."""
        return {name: versions_on(stack) for name, stack in self.stacks.items()}

    def all_on(self, version: str) -> bool:
        """Return whether each host runs a version, and nothing else."""
        return self.versions() == {name: [version] for name in NAMES}


def versions_on(stack: Stack) -> list[str]:
    """Return the tags of the images that run on a host, each healthy."""
    tags = {image.id: image.tags for image in stack.client.images.list(REPOSITORY)}
    return [tags[image][0].rpartition(":")[2] for image in stack.images("prod").values()]


def prepare(host: RemoteHost) -> None:
    """Give a host all versions, good or bad."""
    client, name = host.client(), NAMES[host.number - 1]
    for version in ("v1", "v2", *BAD):
        behaviour: Behaviour = "exits" if name in BAD.get(version, ()) else "healthy"
        sample_image(client, f"{REPOSITORY}:{version}", version=version, behaviour=behaviour)
    client.close()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """Run five hosts."""
    folder = tmp_path_factory.mktemp("hosts")
    with packages_or_skip(), SshHosts(folder, hosts=len(NAMES), prepare=prepare) as running:
        yield running


@pytest.fixture
def hosts(ssh: SshHosts, tmp_path: Path) -> Iterator[Hosts]:
    """Give one stack on all hosts, gone after the test."""
    by_name, base = zip(NAMES, ssh.hosts, strict=True), f"many{secrets.token_hex(3)}"
    stacks = {name: Stack(tmp_path / "stack", base, host.client(), host.docker_host) for name, host in by_name}
    stacks["a"].write({"web": alone()})
    yield Hosts(ssh, stacks)
    for stack in stacks.values():
        stack.clear()
        stack.client.close()


def settings_of(hosts: Hosts, state: Path, **changes: Any) -> Settings:
    """Return the settings of a bot with one environment on all hosts."""
    own = EnvironmentSettings(
        hosts=hosts.addresses,
        docker_key_file=hosts.ssh.key,
        docker_known_hosts_file=hosts.ssh.known_hosts,
        needs_approval=False,
        observation_seconds=OBSERVATION_SECONDS,
        **changes,
    )
    return settings_for(
        hosts.stacks["a"], state, docker_host=None, environments={"prod": own}, environment_names=("prod",)
    )


@pytest.fixture
async def application(hosts: Hosts, tmp_path: Path) -> AsyncIterator[Application]:
    """Open the application on all hosts."""
    async with open_application(settings_of(hosts, tmp_path / "state"), metrics=Metrics("test")) as opened:
        yield opened


async def test_good_wave_then_back(application: Application, people: People, hosts: Hosts) -> None:
    """Every host is on the version; the status tells of each, and a rollback brings each back."""
    await people.succeed("v1", "prod")
    logins = [host.ssh.logins for host in hosts.ssh.hosts]
    deployment = await people.succeed("v2", "prod")
    assert [progress.step for progress in deployment.services] == [ServiceStep.HEALTHY] * len(NAMES)
    assert hosts.all_on("v2")
    whole = application.environments["prod"]
    report = await read_report(whole.with_hosts, application.state, application.collector)
    names = [f"prod@{name}" for name in NAMES]
    assert [status.environment for status in report.environments] == ["prod", *names]
    health = report.environments[0].health
    assert health is not None
    assert [(host.service, host.verdict) for host in health.services] == [(name, Verdict.HEALTHY) for name in names]
    assert (await people.rollback("prod")).outcome is Outcome.SUCCEEDED
    assert hosts.all_on("v1")
    assert [host.ssh.logins for host in hosts.ssh.hosts] == logins, "one connection each, for all of it"


@pytest.mark.long
async def test_bad_version_stops_at_the_first_wave(people: People, hosts: Hosts) -> None:
    await people.succeed("v1", "prod")
    before = {name: stack.ids("prod") for name, stack in hosts.stacks.items() if name != "a"}
    deployment = await people.deploy("bad", "prod")
    assert deployment.outcome is Outcome.ROLLED_BACK, told(deployment)
    assert told(deployment).startswith("a: web"), told(deployment)
    assert hosts.all_on("v1")
    assert {name: hosts.stacks[name].ids("prod") for name in before} == before, "nobody touched these"


async def test_failure_in_a_later_wave_takes_back_the_earlier(people: People, hosts: Hosts) -> None:
    await people.succeed("v1", "prod")
    deployment = await people.deploy("late", "prod")
    assert deployment.outcome is Outcome.ROLLED_BACK, told(deployment)
    assert told(deployment).startswith("c: web"), told(deployment)
    steps = {progress.service: progress.step for progress in deployment.services}
    assert steps == dict.fromkeys(("a", "b", "c"), ServiceStep.RESTORED)
    assert hosts.all_on("v1")


@pytest.mark.long
async def test_one_host_of_five_may_fail(hosts: Hosts, tmp_path: Path) -> None:
    """All at once; the one that failed is where it was, and the same version again is all that it takes."""
    settings = settings_of(hosts, tmp_path / "state", parallelism=0, max_failure_ratio=0.2)
    async with open_application(settings) as application:
        people = People(application)
        await people.succeed("v1", "prod")
        deployment = await people.succeed("late", "prod")
        assert any(warning.startswith("c failed") for warning in deployment.warnings)
        assert hosts.versions() == {name: ["v1" if name == "c" else "late"] for name in NAMES}
        assert (await people.rollback("prod")).outcome is Outcome.SUCCEEDED
        assert hosts.all_on("v1")


@pytest.mark.long
@pytest.mark.parametrize(
    ("lose", "bring"),
    [
        (RemoteHost.lose, RemoteHost.start),
        (RemoteHost.pause, RemoteHost.resume),
        (RemoteHost.cut_off, RemoteHost.connect),
    ],
)
async def test_host_lost_in_the_middle_is_named_then_brought_back(
    people: People,
    hosts: Hosts,
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[RemoteHost], None],
    bring: Callable[[RemoteHost], None],
) -> None:
    """The other hosts are back at once; the lost one is once it answers again, by a rollback."""
    for waiting in (container_watch, engine_absence):
        monkeypatch.setattr(waiting, "ENGINE_GRACE_SECONDS", 1.0)
    await people.succeed("v1", "prod")
    created = creations(hosts.stacks["b"])
    deploying = asyncio.create_task(people.deploy("v2", "prod"))
    await first(created)
    lose(hosts["b"])
    deployment = await deploying
    bring(hosts["b"])
    assert deployment.outcome is Outcome.FAILED, told(deployment)
    assert "b could not go back" in told(deployment)
    assert versions_on(hosts.stacks["a"]) == ["v1"]
    assert (await rolled_back(people)).outcome is Outcome.SUCCEEDED
    assert hosts.all_on("v1")
    await people.succeed("v2", "prod")


async def rolled_back(people: People) -> Deployment:
    """Roll all hosts back; of one that was stalled, the first question may meet a connection that it still closes."""
    async with asyncio.timeout(60):
        while True:
            with suppress(EngineUnavailableError):
                return await people.rollback("prod")


@pytest.mark.long
async def test_host_that_is_away_refuses_the_plan(people: People, hosts: Hosts) -> None:
    """Nothing is changed, and the plan says which one it is."""
    await people.succeed("v1", "prod")
    hosts["d"].lose()
    try:
        with pytest.raises(EngineUnavailableError, match=r"^d: The engine at ssh://"):
            await people.deploy("v2", "prod")
    finally:
        hosts["d"].start()
    assert versions_on(hosts.stacks["a"]) == ["v1"]


@pytest.mark.long
async def test_killed_bot_is_resumed_by_the_next(hosts: Hosts, tmp_path: Path) -> None:
    """A process is killed while the second host is changed: the next one goes on, and does nothing twice."""
    settings = settings_of(hosts, tmp_path / "state")
    async with open_application(settings) as before:
        await People(before).succeed("v1", "prod")
    created = creations(hosts.stacks["b"])
    process = await typed(hosts, tmp_path / "state", "deploy", "prod", "v2")
    await first(created)
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    async with open_application(settings) as after:
        resumed = await after.orchestrator.resume()
        (whole,) = [deployment for deployment in resumed if deployment.environment == "prod"]
        ended = await after.orchestrator.wait(whole.id)
        assert ended.outcome is Outcome.SUCCEEDED, told(ended)
        assert hosts.all_on("v2")
        assert [len(await of_host(after, name)) for name in NAMES] == [2] * len(NAMES)


async def of_host(application: Application, name: str) -> list[Deployment]:
    """Return the deployments of a host."""
    found = await application.state.deployments.list(f"prod@{name}")
    return [deployment for deployment in found if deployment.request.kind is DeploymentKind.DEPLOY]


@pytest.mark.long
async def test_plan_says_what_each_host_would_do(application: Application, people: People, hosts: Hosts) -> None:
    await people.succeed("v1", "prod")
    hosts.stacks["b"].container("web", "prod").remove(force=True)
    plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "prod", "v1"))
    assert [service.service for service in plan.changed] == ["b/web"]
    assert "The hosts differ: a, c, d, e; b." in plan.warnings


def creations(stack: Stack) -> Any:
    """Follow the containers that are created on a host."""
    return stack.client.events(
        decode=True, filters={"event": "create", "label": f"{PROJECT_LABEL}={stack.project('prod')}"}
    )


async def first(events: Any) -> None:
    """Wait for the first of some events."""
    try:
        async with asyncio.timeout(60):
            await asyncio.to_thread(next, events)
    finally:
        events.close()


async def typed(hosts: Hosts, state: Path, *words: str) -> asyncio.subprocess.Process:
    """Type a command, by a settings file as people write it."""
    stack = hosts.stacks["a"]
    listed = ", ".join(f'{name} = "{address}"' for name, address in hosts.addresses.items())
    (state / "roas.toml").write_text(
        f'[stack]\nfolder = "{stack.folder}"\nproject_name = "{stack.base_name}"\nenvironment_names = ["prod"]\n'
        f'[environments.prod]\nhosts = {{ {listed} }}\ndocker_key_file = "{hosts.ssh.key}"\n'
        f'docker_known_hosts_file = "{hosts.ssh.known_hosts}"\nneeds_approval = false\n'
        f"observation_seconds = {OBSERVATION_SECONDS}\n"
    )
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "roas", *words),
        env={**os.environ, "ROAS_CONFIG": str(state / "roas.toml"), "STATE_DIR": str(state)},
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
