"""In standby a client's listeners hear nothing; when its turn comes they learn how the connection began."""

from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
from discord.ext import commands

from roas.state.leadership import Leadership
from roas.ui.gateway import StandbyGate
from tests.unit.ui.story import until

GUILD = {"id": "7", "name": "shop", "members": [], "channels": [], "roles": [{"id": "7", "name": "@everyone"}]}


class Listening(commands.Bot):
    """Hear whatever there is to hear."""

    def __init__(self) -> None:
        super().__init__("!", intents=discord.Intents(guilds=True), help_command=None)
        self.heard: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)

        async def listener(*_: Any) -> None:
            self.heard.append(name)

        return listener


@pytest.fixture
async def bot() -> AsyncIterator[Listening]:
    async with Listening() as bot:
        yield bot


@pytest.fixture
def leadership() -> Leadership:
    return Leadership(is_leader=False)


@pytest.fixture
def gate(bot: Listening, leadership: Leadership) -> StandbyGate:
    return StandbyGate(bot, leadership)


def begin(bot: Listening) -> discord.Guild:
    """Let the gateway say what it says at first."""
    guild = bot._connection._add_guild_from_data(GUILD)  # type: ignore[arg-type]
    for event, *arguments in (("connect",), ("guild_available", guild), ("ready",)):
        bot._connection.dispatch(event, *arguments)
    return guild


async def hears(bot: Listening, *names: str) -> None:
    """Say one thing more, and find that only it and these were heard."""
    bot.dispatch("end")
    await until(lambda: "on_end" in bot.heard)
    assert bot.heard == [*names, "on_end"]


async def test_standby_hears_nothing(bot: Listening, gate: StandbyGate):
    begin(bot)
    bot._connection.dispatch("member_join", object())
    bot.dispatch("disconnect")
    bot.dispatch("socket_event_type", "READY")
    await hears(bot)


async def test_own_events_heard_in_standby(bot: Listening, gate: StandbyGate):
    bot.dispatch("birthday")
    await hears(bot, "on_birthday")


async def test_new_leader_learns_connection_events(bot: Listening, leadership: Leadership, gate: StandbyGate):
    """It hears everything from then on."""
    begin(bot)
    begin(bot)  # once more: the gateway was unavailable in between
    bot._connection.dispatch("member_join", object())
    leadership.gain()
    bot._connection.dispatch("member_join", object())
    await hears(bot, "on_connect", "on_guild_available", "on_ready", "on_member_join")


async def test_guild_left_in_standby_not_announced(bot: Listening, leadership: Leadership, gate: StandbyGate):
    guild = begin(bot)
    bot._connection._remove_guild(guild)
    leadership.gain()
    await hears(bot, "on_connect", "on_ready")


async def test_ready_not_repeated(bot: Listening, leadership: Leadership, gate: StandbyGate):
    leadership.gain()
    begin(bot)
    leadership.lose()
    bot._connection.dispatch("member_join", object())
    leadership.gain()
    await hears(bot, "on_connect", "on_guild_available", "on_ready")


async def test_failing_dispatch_does_not_block_others(
    bot: Listening, leadership: Leadership, monkeypatch: pytest.MonkeyPatch
):
    """Somebody else's bot may have put itself in the way of its own events."""
    tell = bot.dispatch

    def stumble(event: str, *arguments: Any) -> None:
        if event == "connect":
            raise ZeroDivisionError
        tell(event, *arguments)

    monkeypatch.setattr(bot._connection, "dispatch", stumble)
    handed_on: list[Any] = []

    def parse(payload: Any) -> None:
        handed_on.append(payload)
        raise ZeroDivisionError

    bot._connection.parsers["INTERACTION_CREATE"] = parse
    StandbyGate(bot, leadership)
    begin(bot)
    for number in range(2):
        bot._connection.parsers["INTERACTION_CREATE"](number)
    leadership.gain()
    await hears(bot, "on_guild_available", "on_ready")
    assert handed_on == [0, 1]


async def test_removed_gate_lets_all_events_pass(bot: Listening, gate: StandbyGate):
    begin(bot)
    gate.remove()
    bot._connection.dispatch("member_join", object())
    bot.dispatch("disconnect")
    await hears(bot, "on_connect", "on_guild_available", "on_ready", "on_member_join", "on_disconnect")


@pytest.mark.parametrize("leads", [False, True])
async def test_host_keeps_its_wrappers(bot: Listening, leadership: Leadership, leads: bool):
    """A host may count its events and do something before it closes; it began with that after the gate was there."""
    connection, seen, received = bot._connection, list[str](), list[Any]()
    connection.parsers["INTERACTION_CREATE"] = received.append
    gate = StandbyGate(bot, leadership)
    if leads:
        leadership.gain()

    def wrap(owner: Any, name: str) -> Any:
        inner = getattr(owner, name)

        def wrapper(*arguments: Any) -> Any:
            seen.append(name)
            return inner(*arguments)

        setattr(owner, name, wrapper)
        return wrapper

    places = ((bot, "dispatch"), (bot, "close"), (connection, "dispatch"))
    wrappers = [(owner, name, wrap(owner, name)) for owner, name in places]
    inner = connection.parsers["INTERACTION_CREATE"]
    connection.parsers["INTERACTION_CREATE"] = wrapper = lambda payload: inner(payload)
    gate.remove()
    assert [getattr(owner, name) for owner, name, _ in wrappers] == [given for _, _, given in wrappers]
    assert connection.parsers["INTERACTION_CREATE"] is wrapper
    connection.parsers["INTERACTION_CREATE"]("a click")
    connection.dispatch("member_join", object())
    bot.dispatch("disconnect")
    await hears(bot, "on_member_join", "on_disconnect")
    assert received == ["a click"]
    assert seen == ["dispatch"] * 3
    await bot.close()
    assert bot.is_closed()
    assert seen[3:] == ["close"]


async def test_bot_closed_in_standby_hears_nothing(leadership: Leadership):
    heard_while_closing: list[str] = []

    class Leaving(commands.Cog):
        def cog_unload(self) -> None:
            gate.remove()
            begin(bot)

    bot = Listening()
    async with bot:
        gate = StandbyGate(bot, leadership)
        await bot.add_cog(Leaving())
        begin(bot)
        await bot.close()
        heard_while_closing += bot.heard
    assert heard_while_closing == []
    assert bot._connection.dispatch == bot.dispatch  # and nothing of the gate is left
