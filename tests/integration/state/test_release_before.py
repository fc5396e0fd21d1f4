"""The release before and this one continue each other: the journal, Redis, and the control socket."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.redis_server import RedisServer
from testbed.release_before import ROOT
from tests.integration.state.release_before import command_of, environment_of, run_release
from tests.integration.state.test_redis_sync import server, streamed

__all__ = ["server"]


@pytest.fixture(params=["there and here", "here and there"])
def releases(request: pytest.FixtureRequest, before: Path) -> tuple[Path, Path]:
    """Return the code of the release that begins, and of the one that goes on."""
    return (before, ROOT) if request.param == "there and here" else (ROOT, before)


def missing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield where a document lacks something of another, or has it otherwise; it may have more."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from missing(value, new.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from missing(one, other, f"{path}[{number}]")
    elif old != new:
        yield f"{path}: {old!r} became {new!r}"


def by_age(releases: tuple[Path, Path], first: Any, second: Any) -> tuple[Any, Any]:
    """Return what two releases read, the older one's first: the newer one may know more."""
    return (second, first) if releases[0] == ROOT else (first, second)


def test_journal_is_read_and_continued(releases: tuple[Path, Path], tmp_path: Path) -> None:
    """All of it is read as it was written; the other release ends what was left, and the first one reads that."""
    first, second = releases
    run_release(first, "write", tmp_path)
    ours, theirs = run_release(first, "read", tmp_path), run_release(second, "read", tmp_path)
    assert len(ours["unfinished"]) == 3
    assert all(ours.values())
    assert list(missing(*by_age(releases, ours, theirs))) == []
    assert run_release(second, "carry_on", tmp_path) == {"unfinished": 0}
    after, as_seen = run_release(second, "read", tmp_path), run_release(first, "read", tmp_path)
    assert list(missing(*by_age(releases, as_seen, after))) == []
    assert sorted(item["outcome"] for item in as_seen["deployments"]) == [*["rolled_back"] * 3, *["succeeded"] * 2]
    assert len(as_seen["changes"]) > len(ours["changes"])


async def test_redis_is_continued(releases: tuple[Path, Path], tmp_path: Path, server: RedisServer) -> None:
    """Each change is in the stream once, and nothing is made anew."""
    await asyncio.to_thread(run_release, releases[0], "project", tmp_path, server.url, "first")
    told = await asyncio.to_thread(run_release, releases[1], "project", tmp_path, server.url, "second")
    assert told["rebuilt"] == 0
    assert told["subjects"] == [f"{word}{number}" for word in ("first", "second") for number in range(3)]
    assert [subject for _, subject in await streamed(server)] == told["subjects"]


async def test_command_line_asks_the_bot_of_the_other(releases: tuple[Path, Path], tmp_path: Path) -> None:
    code, other = releases
    bot = await asyncio.create_subprocess_exec(
        *command_of("serve", tmp_path), cwd=code, env=environment_of(code), stdin=-1, stdout=-1
    )
    assert bot.stdin is not None
    assert bot.stdout is not None
    try:
        async with asyncio.timeout(60):
            while (line := await bot.stdout.readline()).strip() != b"READY":
                assert line, "the bot has ended"  # else it is a line of its log
        found = await asyncio.to_thread(run_release, other, "ask", tmp_path)
    finally:
        bot.stdin.write(b"\n")
        bot.stdin.close()
        async with asyncio.timeout(60):
            assert await bot.wait() == 0
    assert "held by Ada" in found.pop("refused")
    assert found == {"plan": "web", "cancelled": "nobody in particular", "status": ["dev"], "followed": "cancelled"}
