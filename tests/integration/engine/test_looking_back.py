"""What a person may ask of the engine: which versions are here, and what a service wrote, without secrets."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from roas.engine.images.local_versions import PLACEHOLDER, image_patterns, versions_of

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


def test_versioned_tags_sorted_newest_first() -> None:
    """Only tags of images that follow the version count."""
    patterns = image_patterns(
        [f"shop/web:{PLACEHOLDER}", f"shop/job:{PLACEHOLDER}-slim", "redis:7", f"shop/web:{PLACEHOLDER}"]
    )
    images = [
        {"Created": 1, "RepoTags": ["shop/web:v1", "redis:7"]},
        {"Created": 3, "RepoTags": ["shop/job:v3-slim", "shop/job:v9"]},
        {"Created": 2, "RepoTags": ["shop/web:v2", "shop/web:v1"]},
        {"Created": 4, "RepoTags": None},
    ]
    assert versions_of(images, patterns) == ("v3", "v2", "v1")


def test_name_is_no_pattern() -> None:
    (pattern,) = image_patterns([f"shop.example/a+b:{PLACEHOLDER}"])
    assert not re.fullmatch(pattern, "shopXexample/a+b:v1")
    assert pattern.fullmatch("shop.example/a+b:v1")


@pytest.mark.engine
async def test_local_versions_found_by_compose_file(engine, stack) -> None:
    assert set(await engine.local_versions(stack(STACK))) >= {"v1", "v2"}
    assert await engine.local_versions(stack(STACK.replace("${VERSION:?}", "v1"))) == ()


@pytest.mark.engine
async def test_log_read_by_lines_and_time_without_secrets(engine, stack, docker_client) -> None:
    environment = stack(STACK)
    resolved = await engine.resolve(environment, "v1")
    container = docker_client.containers.run(
        "tiny:v1",
        ["sh", "-c", "echo hello $DATABASE_PASSWORD; echo second"],
        environment={"DATABASE_PASSWORD": "hunter_2hunter_2"},
        labels={"com.docker.compose.project": environment.project},
        detach=True,
    )
    container.wait(timeout=20)
    assert resolved.version == "v1"
    log = await engine.read_log(environment, container.id, lines=10)
    assert "hello" in log
    assert "hunter" not in log
    assert re.match(r"\d{4}-\d\d-\d\dT", log)
    assert "hello" not in await engine.read_log(environment, container.id, lines=1)
    later = datetime.now(UTC) + timedelta(seconds=60)
    assert await engine.read_log(environment, container.id, lines=10, since=later) == ""
    assert "is gone" in await engine.read_log(environment, "f" * 64, lines=10)
