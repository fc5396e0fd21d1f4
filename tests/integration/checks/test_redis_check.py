"""The check of Redis asks a real server."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from roas.checks.machine import redis
from roas.checks.subject import Subject
from roas.models.check import CheckSeverity
from roas.state.redis_sync import ping
from testbed.ports import free_port


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Run a redis-server that wants a password, and wait for its word that it is ready."""
    if shutil.which("redis-server") is None:
        pytest.fail("redis-server is not installed: run script/bootstrap --test", pytrace=False)
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(["redis-server", *options, "--requirepass", "s3cret"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any("Ready to accept connections" in line for line in process.stdout)
        yield f"redis://:s3cret@127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.communicate()


async def test_reachable_redis_passes(subject: Subject, redis_url: str) -> None:
    assert (await redis.run(replace(subject, ping_redis=partial(ping, redis_url))))[0].passed


async def test_wrong_password_warns_without_repeating_it(subject: Subject, redis_url: str) -> None:
    wrong = partial(ping, redis_url.replace("s3cret", "wr0ng"))
    (result,) = await redis.run(replace(subject, ping_redis=wrong))
    assert (result.passed, result.severity) == (False, CheckSeverity.WARNING)
    assert "Authentication" in result.message
    assert "wr0ng" not in result.message + result.remedy


async def test_unreachable_redis_warns(subject: Subject) -> None:
    (result,) = await redis.run(replace(subject, ping_redis=partial(ping, "redis://127.0.0.1:1/0")))
    assert (result.passed, result.severity) == (False, CheckSeverity.WARNING)


async def test_unset_redis_skips_check(subject: Subject) -> None:
    assert (await redis.run(subject))[0].passed
