"""Compose gets ready to create containers, and creates none before it is asked to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.engine.compose import gate, runner
from roas.engine.compose.gate import EngineGate
from roas.engine.stack_engine import StackEngine
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.redaction import Redactor
from tests.integration.engine.applying import draft

STACK = """
services:
  db: {image: tiny:v1}
  web: {image: 'tiny:${VERSION}', depends_on: [db], environment: {A: b}}
"""
CHOSEN = frozenset({"db", "web"})
SECONDS = 30.0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[StackEngine]:
    made = StackEngine(state_dir=tmp_path / "state", instance_id="BOT-TEST", policy_allow=(), redactor=Redactor())
    yield made
    await made.close()


class Started:
    """Know each Compose that creates, and when one of them waits at its gate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.processes: list[asyncio.subprocess.Process] = []
        self.waits, self.goes_on = asyncio.Event(), asyncio.Event()
        start, passes, opening = runner.start_process, EngineGate.passes, EngineGate.open

        async def noting(command: Any, *arguments: Any) -> asyncio.subprocess.Process:
            process = await start(command, *arguments)
            if "up" in command:
                self.processes.append(process)
            return process

        def noted(gate: EngineGate, request: bytes) -> bool:
            if not (does := passes(gate, request)):
                self.waits.set()
            return does

        def opened(gate: EngineGate) -> None:
            self.goes_on.set()
            opening(gate)

        monkeypatch.setattr(gate.EngineGate, "open", opened)
        monkeypatch.setattr(runner, "start_process", noting)
        monkeypatch.setattr(gate.EngineGate, "passes", noted)

    def hang_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """End each connection when it could go on, as an engine does that is started again just then."""
        opening = EngineGate.open

        def opened(gate: EngineGate) -> None:
            for passage in tuple(gate._passages):
                passage.end()
            opening(gate)

        monkeypatch.setattr(gate.EngineGate, "open", opened)

    async def wait(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.waits.wait()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(monkeypatch)


def there(client: docker.DockerClient, environment: Environment) -> dict[str, Mapping[str, Any]]:
    """Return what there is of a project: containers by service, and networks."""
    own = {"label": [f"com.docker.compose.project={environment.project}"]}
    found = client.api.containers(all=True, filters=own)
    containers = {str(one["Labels"]["com.docker.compose.service"]): one for one in found}
    return containers | {one["Name"]: one for one in client.api.networks(filters=own)}


async def test_nothing_is_made_before_it_is_asked_for(
    engine: StackEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient, started: Started
) -> None:
    environment = stack(STACK)
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    async with engine.ready_to_create(environment, model, CHOSEN) as let_look:
        await let_look()
        await started.wait()
        assert not there(docker_client, environment)
        made = await engine.create_missing(environment, drafted.model_hash, CHOSEN)
    assert {one.service for one in made} == CHOSEN
    (process,) = started.processes
    assert process.returncode == 0, "what was ready has done it"
    hashes = await engine.current_hashes(drafted.model_hash, environment)
    assert {one.service: one.config_hash for one in made} == hashes
    assert f"{environment.project}_default" in there(docker_client, environment)


async def test_containers_are_as_those_of_a_call_of_its_own(
    engine: StackEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient, started: Started
) -> None:
    environment = stack(STACK)
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    labels = []
    for ahead in (True, False):
        if ahead:
            async with engine.ready_to_create(environment, model, CHOSEN) as let_look:
                await let_look()
                await started.wait()
                made = await engine.create_missing(environment, drafted.model_hash, CHOSEN)
        else:
            made = await engine.create_missing(environment, drafted.model_hash, CHOSEN)
        found = there(docker_client, environment)
        labels.append({name: found[name]["Labels"] for name in CHOSEN})
        for one in made:
            docker_client.api.remove_container(one.id, force=True)
    assert labels[0] == labels[1]


async def test_what_is_not_asked_for_is_never_made(
    engine: StackEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient, started: Started
) -> None:
    environment = stack(STACK)
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    async with engine.ready_to_create(environment, model, CHOSEN) as let_look:
        await let_look()
        await started.wait()
    (process,) = started.processes
    assert process.returncode is not None, "it is ended"
    assert not there(docker_client, environment)


@pytest.mark.parametrize("what", ["another choice", "another model", "it was killed", "the engine hung up"])
async def test_what_fits_no_more_is_made_by_another_call(
    engine: StackEngine,
    stack: Callable[..., Environment],
    docker_client: docker.DockerClient,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    environment = stack(STACK)
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    other = await draft(engine, environment, "v2") if what == "another model" else drafted
    chosen = frozenset({"db"}) if what == "another choice" else CHOSEN
    async with engine.ready_to_create(environment, model, CHOSEN) as let_look:
        await let_look()
        await started.wait()
        if what == "it was killed":
            started.processes[0].kill()
            await started.processes[0].wait()
        if what == "the engine hung up":
            started.hang_up(monkeypatch)
        made = await engine.create_missing(environment, other.model_hash, chosen)
    assert len(started.processes) == 2
    assert {one.service for one in made} == chosen
    hashes = await engine.current_hashes(other.model_hash, environment)
    assert {one.service: one.config_hash for one in made} == {name: hashes[name] for name in chosen}


async def test_another_click_ends_nothing_that_is_being_made(
    engine: StackEngine, stack: Callable[..., Environment], started: Started
) -> None:
    """It is refused by the deployment lock, and what was started for it ends meanwhile."""
    environment = stack(STACK)
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    async with engine.ready_to_create(environment, model, CHOSEN) as let_look:
        await let_look()
        await started.wait()
        async with engine.ready_to_create(environment, model, CHOSEN):
            creating = asyncio.create_task(engine.create_missing(environment, drafted.model_hash, CHOSEN))
            await started.goes_on.wait()
        made = await creating
    assert {one.service for one in made} == CHOSEN
    assert [one.returncode == 0 for one in started.processes] == [True, False]


async def test_a_fault_names_its_service(
    engine: StackEngine, stack: Callable[..., Environment], docker_client: docker.DockerClient, started: Started
) -> None:
    environment = stack("services:\n  db: {image: tiny:v1}\n")
    drafted = await draft(engine, environment)
    model = await engine.load_model(drafted.model_hash)
    async with engine.ready_to_create(environment, model, frozenset({"db"})) as let_look:
        await let_look()
        await started.wait()
        docker_client.api.create_container("tiny:v1", name=f"{environment.project}-db-1")
        try:
            with pytest.raises(RoasError, match="already in use"):
                await engine.create_missing(environment, drafted.model_hash, frozenset({"db"}))
        finally:
            docker_client.api.remove_container(f"{environment.project}-db-1", force=True)
