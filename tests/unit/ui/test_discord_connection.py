"""A client is there while Discord answers; what it took back itself, or was refused long ago, says nothing."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord.http import Route

from roas.ui import gateway as discord_connection
from roas.ui.gateway import BLINK_SECONDS, STALE_SECONDS, DiscordConnection

READY = cast("discord.Client", SimpleNamespace(is_ready=lambda: True, ws=SimpleNamespace(open=True)))


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass."""
    now = [1000.0]
    monkeypatch.setattr(discord_connection, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


async def fail(known: DiscordConnection, error: BaseException) -> None:
    request: Any = SimpleNamespace(url=f"{Route.BASE}/channels/1/messages", exception=error)
    (told,) = known.rest_trace().on_request_exception
    await told(cast("Any", None), SimpleNamespace(), request)


async def test_unanswered_request_means_away_soon(wait: Callable[[float], None]) -> None:
    known = DiscordConnection()
    await fail(known, OSError())
    assert known.is_alive(READY)
    wait(BLINK_SECONDS)
    assert not known.is_alive(READY)


async def test_cancelled_request_is_no_failure(wait: Callable[[float], None]) -> None:
    known = DiscordConnection()
    await fail(known, asyncio.CancelledError())
    wait(BLINK_SECONDS)
    assert known.is_alive(READY)


async def test_old_failure_expires(wait: Callable[[float], None]) -> None:
    known = DiscordConnection()
    await fail(known, OSError())
    wait(STALE_SECONDS)
    assert known.is_alive(READY)
    await fail(known, OSError())
    assert known.is_alive(READY)
    wait(BLINK_SECONDS)
    assert not known.is_alive(READY)
