"""A gateway that is unavailable when the bot starts is met again; the bot does not end because of it."""

import discord
import pytest

from roas import discord_bot


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    async def at_once(seconds: float) -> None:
        return None

    monkeypatch.setattr(discord_bot, "pause", at_once)


async def test_refused_first_connection_retried(monkeypatch):
    tries = []

    async def from_client(self, **parameters):
        tries.append(parameters)
        if len(tries) < 4:
            raise OSError("refused")
        raise discord.LoginFailure("that is far enough")

    monkeypatch.setattr(discord.client.DiscordWebSocket, "from_client", from_client)
    monkeypatch.setattr("discord.client.ExponentialBackoff.delay", lambda self: 0)
    bot = discord.Client(intents=discord.Intents.none())
    with pytest.raises(discord.LoginFailure):
        await discord_bot._keep_gateway_open(bot)
    assert len(tries) == 4
    await bot.close()
