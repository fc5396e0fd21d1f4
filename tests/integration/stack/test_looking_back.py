"""What a person may ask of the engine: which versions are here, and what a service wrote, without secrets."""

import re
from datetime import UTC, datetime, timedelta

STACK = """
services:
  web:
    image: tiny:${VERSION:?}
    command: ["sh", "-c", "echo hello $$PASSWORD; echo second; while :; do sleep 1; done"]
    init: true
    environment: {DATABASE_PASSWORD: hunter_2hunter_2, PASSWORD: hunter_2hunter_2}
  fixed:
    image: tiny:v1
"""


async def test_local_versions_found_by_compose_file(engine, stack) -> None:
    assert set(await engine.of(stack(STACK)).releases.local_versions()) >= {"v1", "v2"}
    assert await engine.of(stack(STACK.replace("${VERSION:?}", "v1"))).releases.local_versions() == ()


async def test_log_read_by_lines_and_time_without_secrets(engine, stack, docker_client) -> None:
    environment = stack(STACK)
    resolved = await engine.of(environment).resolve("v1")
    container = docker_client.containers.run(
        "tiny:v1",
        ["sh", "-c", "echo hello $DATABASE_PASSWORD; echo second"],
        environment={"DATABASE_PASSWORD": "hunter_2hunter_2"},
        labels={"com.docker.compose.project": environment.project},
        detach=True,
    )
    container.wait(timeout=20)
    assert resolved.version == "v1"
    log = await engine.of(environment).read_log(container.id, lines=10)
    assert "hello" in log
    assert "hunter" not in log
    assert re.match(r"\d{4}-\d\d-\d\dT", log)
    assert "hello" not in await engine.of(environment).read_log(container.id, lines=1)
    later = datetime.now(UTC) + timedelta(seconds=60)
    assert await engine.of(environment).read_log(container.id, lines=10, since=later) == ""
    assert "is gone" in await engine.of(environment).read_log("f" * 64, lines=10)
