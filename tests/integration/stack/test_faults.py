"""Whatever goes wrong is told by name, with what to do, and with the right to try again only where that helps."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import docker
import pytest

from roas.errors import (
    ComposeFileError,
    DependencyCycleError,
    EngineUnavailableError,
    InvalidRequestError,
    ServiceFailedError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.models.release import Release, ReleaseState
from roas.stack.compose.runner import INSTANCE_VARIABLE, ComposeRunner
from roas.stack.machine.processes import kill_orphans
from roas.stack.stacks import Stacks
from testbed.daemon import PrivateDaemon
from tests.integration.stack.applying import draft, make

NOWHERE = "unix:///run/there-is-no-engine.sock"


async def test_missing_variable_named_with_file(engine: Stacks, stack: Callable[..., Environment]) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', environment: {A: '${DB_URL:?where the data is}'}}}")
    with pytest.raises(ComposeFileError) as caught:
        await engine.of(environment).resolve("v1")
    for word in ("DB_URL", "services.web.environment.A", "docker-compose.yml", "where the data is"):
        assert word in caught.value.message
    assert "DB_URL" in caught.value.hint


async def test_unset_variable_warns(engine: Stacks, stack: Callable[..., Environment]) -> None:
    resolved = await engine.of(stack("services: {web: {image: 'tiny:v1', user: '${WHO}'}}")).resolve("v1")
    assert "The variable WHO is not set: Compose uses an empty string for it." in resolved.warnings


@pytest.mark.parametrize(
    ("compose", "text"),
    [
        ("services:\n  web:\n    image: [\n", "docker-compose.yml, line"),
        ("services: {web: {image: x, bogus: 1}}", "bogus"),
        ("services: {web: {image: '${X'}}", "interpolation"),
        ("services: {web: {image: x, env_file: gone.env}}", "gone.env"),
        ("services: {web: {image: x, depends_on: [db]}}", "db"),
        ("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}", "cycle"),
        ("services: {web: {environment: {A: b}}}", "image"),
        ("services: {}", "no service"),
        ("services: {a: {image: x, volumes: [/d]}, b: {image: x, volumes_from: [a]}}", "the one at /d has no name"),
        ("services: {web: {image: x, configs: [{source: c}]}}\nconfigs: {c: {environment: X}}", "`configs.c`"),
        ("services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {environment: X}}", "`secrets.s`"),
        ("services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {external: true}}", "`secrets.s`"),
        ("services: {web: {image: x, volumes: ['./a:/a:ro'], x-deploy: {live_binds: [./b]}}}", "live_binds"),
        ("services: {web: {image: x, x-deploy: {depends_on: {db: {kind: required}}}}}", "not a service of this stack"),
        ("services: {web: {image: x, x-deploy: {depends_on: {web2: {kind: vital}}}}}", "vital"),
        ("services: {web: {image: x, x-deploy: {depends_on: {db: {kindd: soft}}}}}", "kindd"),
    ],
)
async def test_invalid_compose_file_reports_position(
    engine: Stacks, stack: Callable[..., Environment], compose: str, text: str
) -> None:
    with pytest.raises((ComposeFileError, DependencyCycleError)) as caught:
        await engine.of(stack(compose)).resolve("v1")
    assert text in caught.value.message
    assert not caught.value.transient


@pytest.mark.parametrize("place", ["container_name: web", "ports: ['8080:80']", "ports: ['127.0.0.1:8080:80/udp']"])
async def test_start_first_in_fixed_place_is_stop_first(
    engine: Stacks, stack: Callable[..., Environment], place: str
) -> None:
    order = "deploy: {update_config: {order: start-first}}"
    found = await engine.of(stack(f"services: {{web: {{image: 'tiny:v1', {order}, {place}}}}}")).resolve("v1")
    assert not found.definitions["web"].start_first
    (warning,) = [text for text in found.warnings if "start-first" in text]
    assert "web asks for `order: start-first`" in warning
    assert "replaced stop-first" in warning


@pytest.mark.parametrize("version", ["--help", "-x", "", "a b", "$(id)", "v1\n"])
async def test_invalid_version_refused(engine: Stacks, stack: Callable[..., Environment], version: str) -> None:
    with pytest.raises(InvalidRequestError):
        await engine.of(stack("services: {web: {image: 'tiny:v1'}}")).resolve(version)


async def test_dead_engine_reported_everywhere(engine: Stacks, environment: Environment) -> None:
    environment.compose_files[0].write_text("services: {web: {image: 'tiny:v1'}}")
    dead = replace(environment, docker_host=NOWHERE)
    resolved = await engine.of(dead).resolve("v1", write_contents=False)  # a look needs no engine
    for attempt in (
        engine.of(dead).resolve("v1"),
        engine.of(dead).containers(),
        engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})),
        engine.of(dead).start("a" * 64),
        engine.of(dead).remove("a" * 64),
        engine.of(dead).releases.adopt(),
        engine.of(dead).sweep(),
        engine.of(dead).failure_output("a" * 64),
    ):
        with pytest.raises(EngineUnavailableError, match="no-engine") as caught:
            await attempt
        assert caught.value.transient
    with pytest.raises(EngineUnavailableError):
        async with engine.of(dead).events():
            pass


async def test_lost_engine_ends_events_and_compose(
    engine: Stacks, environment: Environment, fresh_daemon: PrivateDaemon
) -> None:
    """An engine that dies ends the events; one that stalls does not hang Compose."""
    there = replace(environment, docker_host=fresh_daemon.docker_host)
    async with engine.of(there).events() as events:
        await asyncio.to_thread(fresh_daemon.stop, kill=True)
        with pytest.raises(EngineUnavailableError):
            async with asyncio.timeout(10):
                await anext(events)
    await asyncio.to_thread(fresh_daemon.start)
    await asyncio.to_thread(fresh_daemon.pause)
    arguments = ["--project-name", environment.project, "ps"]
    environment.compose_files[0].write_text("services: {web: {image: x}}")
    try:
        with pytest.raises(EngineUnavailableError, match="did not end within"):
            await ComposeRunner("BOT-TEST").run(arguments, there, timeout_seconds=1)
    finally:
        fresh_daemon.resume()


async def test_missing_command_cannot_start(engine: Stacks, stack: Callable[..., Environment]) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', command: [/no/such/program]}}")
    drafted = await draft(engine, environment)
    (created,) = await engine.of(environment).create_service(drafted.model_hash, "web")
    with pytest.raises(ServiceFailedError, match="/no/such/program") as caught:
        await engine.of(environment).start(created)
    assert caught.value.service == "web"


async def test_failure_output_has_log_and_check_not_secrets(engine: Stacks, stack: Callable[..., Environment]) -> None:
    environment = stack(
        """
services:
  web:
    image: tiny:v1
    command: ["sh", "-c", "echo starting with $$DB_PASSWORD; echo token=abcdef123456; exec sleep 100"]
    environment: {DB_PASSWORD: hunter2hunter2}
    stop_signal: SIGKILL
    healthcheck: {test: ["CMD-SHELL", "echo no $$DB_PASSWORD; exit 1"], interval: 100ms, retries: 1}
"""
    )
    drafted = await draft(engine, environment)
    (web,) = await engine.of(environment).create_service(drafted.model_hash, "web")
    async with engine.of(environment).events() as events:
        await engine.of(environment).start(web)
        async with asyncio.timeout(20):
            while (await anext(events)).action != "health_status":
                pass
    text = await engine.of(environment).failure_output(web)
    assert "starting with [redacted]" in text
    assert "health check, exit code 1: no [redacted]" in text
    assert "token=[redacted]" in text
    assert "hunter2" not in text


def release_of(model_hash: str) -> Release:
    actor = Actor(ActorKind.SYSTEM, "0", "test")
    return Release("dev", 1, "v1", ReleaseState.SUCCEEDED, (), model_hash, datetime.now(UTC), actor)


async def test_rollback_uses_current_credentials_only(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    compose = "services: {web: {image: 'tiny:v1', environment: {API_TOKEN: '${T}', COLOUR: '${C}'}}}"
    first = await draft(engine, stack(compose, env="T=first$$token\nC=red\n"))
    environment = stack(compose, env="T='second$token'\nC=blue\n")
    model_hash, warnings = await engine.of(environment).releases.renew(release_of(first.model_hash))
    assert warnings == ()
    (web,) = await make(engine, environment, model_hash)
    variables = docker_client.containers.get(web.id).attrs["Config"]["Env"]
    assert {"API_TOKEN=second$token", "COLOUR=red"} <= set(variables)
    again, _ = await engine.of(environment).releases.renew(release_of(model_hash))
    assert again == model_hash


async def test_broken_working_copy_keeps_stored_credentials(engine: Stacks, stack: Callable[..., Environment]) -> None:
    """A warning says so."""
    environment = stack("services: {web: {image: 'tiny:v1', environment: {API_TOKEN: first}}}")
    first = await draft(engine, environment)
    stack("services: [")
    model_hash, (warning,) = await engine.of(environment).releases.renew(release_of(first.model_hash))
    assert model_hash == first.model_hash
    assert "cannot be read" in warning


async def test_kept_services_keep_definition(engine: Stacks, stack: Callable[..., Environment]) -> None:
    first = await draft(engine, stack("services: {web: {image: 'tiny:v1'}, db: {image: 'tiny:v1', user: '1'}}"))
    environment = stack("services: {web: {image: 'tiny:v2'}, db: {image: 'tiny:v2', user: '2'}}")
    resolved = await engine.of(environment).resolve(None)
    image = (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"]
    assert image.image_id is not None
    release = replace(release_of(first.model_hash), services=first.services)
    second = await engine.of(resolved.environment).releases.pin(
        resolved, {"web": image.image_id}, kept_from=release, kept_services=frozenset({"db"})
    )
    services = (await engine.load_model(second.model_hash))["services"]
    old = (await engine.load_model(first.model_hash))["services"]
    assert services["db"] == old["db"]
    assert services["web"]["x-deploy"]["image_id"] == image.image_id != old["web"]["x-deploy"]["image_id"]
    assert services["web"]["image"] == f"roas/tiny:v2-{image.image_id.removeprefix('sha256:')[:12]}"
    assert [s.name for s in second.services] == ["db", "web"]


def test_only_orphans_of_dead_process_ended() -> None:
    def start(name: str, instance: str) -> subprocess.Popen[bytes]:
        command = [name, "-c", "import time; time.sleep(60)"]
        return subprocess.Popen(command, executable=sys.executable, env={**os.environ, INSTANCE_VARIABLE: instance})

    orphan, living, other = start("docker-compose", "DEAD"), start("docker-compose", "ALIVE"), start("sh", "DEAD")
    try:
        assert kill_orphans("DEAD") == 1
        assert orphan.wait(timeout=10) == -9
        assert (living.poll(), other.poll()) == (None, None)
        assert kill_orphans("NOBODY") == 0
    finally:
        for process in (orphan, living, other):
            process.kill()
            process.wait()
