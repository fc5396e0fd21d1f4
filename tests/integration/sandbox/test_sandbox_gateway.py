"""Connecting, being refused, losing the connection and coming back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from tests.integration.sandbox.small_bot import DEADLINE, RunningBot, SmallBot

pytestmark = pytest.mark.wire


class RawGateway:
    """A gateway connection without a library, to see the frames themselves."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = sandbox.gateway_url

    async def __aenter__(self) -> RawGateway:
        self._session = aiohttp.ClientSession()
        self.socket = await self._session.ws_connect(f"{self._url}?v=10&encoding=json")
        self.hello = await self.receive()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._session.close()

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.socket.receive_json(timeout=DEADLINE)
        return message

    async def send(self, op: int, data: Any) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def identify(self, token: str, intents: int = 1) -> None:
        await self.send(2, {"token": token, "intents": intents, "properties": {}})

    async def close_code(self) -> int | None:
        message = await self.socket.receive(timeout=DEADLINE)
        assert message.type is aiohttp.WSMsgType.CLOSE
        return message.data  # type: ignore[no-any-return]


async def test_first_frames_match_discord(sandbox: Sandbox) -> None:
    async with RawGateway(sandbox) as raw:
        assert raw.hello["op"] == 10
        assert raw.hello["d"]["heartbeat_interval"] == 41250
        await raw.send(1, None)
        assert (await raw.receive())["op"] == 11
        await raw.identify(sandbox.bot_token)
        ready, guild = await raw.receive(), await raw.receive()

    assert (ready["t"], ready["s"], ready["d"]["v"]) == ("READY", 1, 10)
    assert ready["d"]["user"]["id"] == str(sandbox.application_id)
    assert ready["d"]["guilds"] == [{"id": str(sandbox.guild_id), "unavailable": True}]
    assert (guild["t"], guild["s"]) == ("GUILD_CREATE", 2)
    assert [member["user"]["bot"] for member in guild["d"]["members"]] == [True]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}}, 4004),
        ({"op": 8, "d": {}}, 4003),
        ({"no": "op"}, 4002),
    ],
)
async def test_illegal_frame_closes_connection(sandbox: Sandbox, frame: dict[str, Any], code: int) -> None:
    async with RawGateway(sandbox) as raw:
        await raw.socket.send_str(json.dumps(frame))
        assert await raw.close_code() == code


async def test_intents_checked(sandbox: Sandbox) -> None:
    for intents, code in ((discord.Intents(members=True).value, 4014), (1 << 30, 4013)):
        async with RawGateway(sandbox) as raw:
            await raw.identify(sandbox.bot_token, intents)
            assert await raw.close_code() == code


async def test_second_identify_closes_connection(sandbox: Sandbox) -> None:
    async with RawGateway(sandbox) as raw:
        await raw.identify(sandbox.bot_token)
        await raw.identify(sandbox.bot_token)
        assert [(await raw.receive())["t"] for _ in range(2)] == ["READY", "GUILD_CREATE"]
        assert await raw.close_code() == 4005


async def test_wrong_token_refused_at_login(sandbox: Sandbox) -> None:
    bot = SmallBot(sandbox)
    async with bot:
        with pytest.raises(discord.LoginFailure):
            await bot.login("MTIz.wrong.token")


async def test_revoked_token_refused_with_4004(sandbox: Sandbox) -> None:
    bot = SmallBot(sandbox)
    async with bot:
        await bot.login(sandbox.bot_token)
        bot.http.token = "revoked"
        with pytest.raises(discord.ConnectionClosed) as refused:
            await bot.connect()
    assert refused.value.code == 4004


async def test_client_knows_guild(bot: SmallBot, sandbox: Sandbox) -> None:
    guild = bot.get_guild(sandbox.guild_id)

    assert guild is not None
    assert bot.application_id == bot.user.id == sandbox.application_id
    assert {role.name for role in guild.roles} >= {"deployer", "approver", "hotfix", "alert"}
    assert guild.me.guild_permissions.send_messages
    assert bot.ops.name == "ops"


async def test_lost_connection_resumed_without_loss(bot: SmallBot, people: SandboxClient) -> None:
    assert await people.disconnect(4000) == 1
    sent = await people.slash("dora", "secret")

    assert (await people.answer(sent)).original.content == "only for you"
    await asyncio.wait_for(bot.resumed.wait(), DEADLINE)
    state = await people.state()
    assert (state["identified"], state["resumed"]) == (1, 1)


async def test_expired_session_identified_again(bot: SmallBot, people: SandboxClient) -> None:
    bot.readied.clear()
    await people.disconnect(4000, resumable=False)

    await asyncio.wait_for(bot.readied.wait(), 2 * DEADLINE)
    assert (await people.state())["identified"] == 2
    assert (await people.answer(await people.slash("dora", "secret"))).original is not None


async def test_closed_gateway_refuses_until_open(bot: SmallBot, people: SandboxClient) -> None:
    await people.take_gateway_away()
    await asyncio.sleep(0.5)
    assert (await people.state())["connected"] == 0

    await people.bring_gateway_back()
    await people.wait_until_connected(DEADLINE)
    assert (await people.answer(await people.slash("dora", "secret"))).original is not None


async def test_sessions_of_one_token_share_interactions(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    """Each of two sessions gets every interaction."""
    async with RunningBot(sandbox) as second:
        await people.wait_until_connected(DEADLINE, sessions=2)
        sent = await people.slash("dora", "hello", name="x")
        answer = await people.answer(sent)
        errors = [asyncio.create_task(item.next_error()) for item in (bot, second)]
        done, waiting = await asyncio.wait(errors, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    assert [task.result().code for task in done] == [40060]
    assert (bot.received, second.received) == ([sent.id], [sent.id])
    assert [message.id for message in await people.messages()] == [answer.original.id]


async def test_members_requestable(bot: SmallBot, sandbox: Sandbox) -> None:
    guild = bot.get_guild(sandbox.guild_id)

    assert [member.name for member in await guild.query_members("an")] == ["anna"]
    found = await guild.query_members(user_ids=[sandbox.users["hugo"]])
    assert [role.name for role in found[0].roles] == ["@everyone", "hotfix"]


async def test_connection_timeout_says_what_was_seen(people: SandboxClient) -> None:
    with pytest.raises(TimeoutError, match=r"1 gateway session.*'connected': 0"):
        await people.wait_until_connected(0.05)
