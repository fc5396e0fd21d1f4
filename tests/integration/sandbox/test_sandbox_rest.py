"""Messages, files, permissions, limits and faults through the real client."""

from __future__ import annotations

import asyncio
import io
import time

import aiohttp
import discord
import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from tests.integration.sandbox.small_bot import DEADLINE, SmallBot

pytestmark = pytest.mark.wire


async def test_nonce_posts_once(bot: SmallBot, people: SandboxClient) -> None:
    # discord.py enforces every nonce that it is given.
    first = await bot.ops.send("once", nonce="deploy-1")
    again = await bot.ops.send("once", nonce="deploy-1")
    other = await bot.ops.send("once", nonce="deploy-2")

    assert first.id == again.id != other.id
    assert first.nonce == "deploy-1"
    assert len(await people.messages()) == 2
    await people.deny_bot("read_message_history")
    assert (await bot.ops.send("once", nonce="deploy-1")).id == first.id, "to post needs no permission to read"


async def test_lost_answer_found_by_nonce(bot: SmallBot, people: SandboxClient) -> None:
    await people.add_fault(method="POST", path="/channels/*/messages", status=502, performed=True)

    await bot.ops.send("only once", nonce="x")

    assert [message.content for message in await people.messages()] == ["only once"]
    assert [request["status"] for request in await people.requests() if request["method"] == "POST"] == [502, 200]


async def test_rate_limit_waited_out(bot: SmallBot, people: SandboxClient) -> None:
    await people.add_fault(method="POST", path="/channels/*/messages", status=429, retry_after=0.01, times=2)

    await bot.ops.send("at last")

    assert [message.content for message in await people.messages()] == ["at last"]


async def test_rate_limit_has_discord_headers(bot: SmallBot, sandbox: Sandbox, people: SandboxClient) -> None:
    path = f"/channels/{bot.ops.id}/messages"
    authorized = {"Authorization": f"Bot {sandbox.bot_token}"}
    await people.add_fault(method="GET", path=path, status=429, retry_after=1.25)
    await people.add_fault(method="GET", path=path, status=429, retry_after=0.5, is_global=True)
    async with aiohttp.ClientSession(headers=authorized) as session:
        async with session.get(sandbox.api_url + path) as limited:
            assert await limited.json() == {
                "message": "You are being rate limited.",
                "retry_after": 1.25,
                "global": False,
            }
            told = limited.headers
            assert (limited.status, told["Retry-After"], told["X-RateLimit-Scope"]) == (429, "2", "user")
            assert (told["X-RateLimit-Remaining"], told["X-RateLimit-Reset-After"]) == ("0", "1.250")
            assert 0 < float(told["X-RateLimit-Reset"]) - time.time() < 1.3
            assert int(told["X-RateLimit-Limit"]) > 0
            assert told["X-RateLimit-Bucket"]
            assert "X-RateLimit-Global" not in told
        async with session.get(sandbox.api_url + path) as limited:
            assert (await limited.json())["global"] is True
            assert (limited.headers["X-RateLimit-Global"], limited.headers["X-RateLimit-Scope"]) == ("true", "global")
            assert "X-RateLimit-Bucket" not in limited.headers


async def test_slow_answer_acts_before_or_after_delay(bot: SmallBot, people: SandboxClient) -> None:
    """The answer is the right one; its effect is late or at once, as asked for."""
    for performed, delay in ((False, 0.3), (True, 1.0)):
        slow = {"method": "POST", "path": "/channels/*/messages", "delay": delay}
        await people.add_fault(**slow, status=None, performed=performed)
        text = f"done at once: {performed}"
        began = time.monotonic()
        sending = asyncio.create_task(bot.ops.send(text))
        seen = await people.wait_for_message(lambda one, text=text: one.content == text)
        if performed:
            assert not sending.done()
        else:
            assert time.monotonic() - began >= delay
        assert (await sending).id == seen.id
        assert time.monotonic() - began >= delay
    assert [request["seconds"] >= 0.3 for request in await people.requests() if request["method"] == "POST"] == [
        True,
        True,
    ]


async def test_deleted_message_and_channel_gone(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    ops, sent = bot.ops, await bot.ops.send("here", nonce="x")
    await people.delete_message(sent.id)
    assert await people.messages() == []
    with pytest.raises(discord.NotFound) as refused:
        await sent.edit(content="there")
    assert refused.value.code == 10008

    closed = asyncio.create_task(bot.wait_for("guild_channel_delete", timeout=DEADLINE))
    await people.delete_channel("ops")
    assert (await closed).id == ops.id
    with pytest.raises(discord.NotFound) as refused:
        await ops.send("anybody?")
    assert refused.value.code == 10003

    opened = asyncio.create_task(bot.wait_for("guild_channel_create", timeout=DEADLINE))
    assert await people.create_channel("ops") == (await opened).id != ops.id
    await (await opened).send("again")
    assert [message.content for message in await people.messages()] == ["again"]


async def test_files_downloadable(bot: SmallBot, people: SandboxClient) -> None:
    picture = discord.File(io.BytesIO(b"\x89PNG chart"), "chart.png", description="a chart")
    log = discord.File(io.BytesIO(b"line one\n"), "the log.txt")
    embed = discord.Embed(title="Chart").set_image(url="attachment://chart.png")
    sent = await bot.ops.send(embed=embed, files=[picture, log])

    assert await sent.attachments[0].read() == b"\x89PNG chart"
    assert await sent.attachments[1].read() == b"line one\n"
    assert sent.attachments[0].description == "a chart"
    message = (await people.messages())[0]
    assert message.embeds[0]["image"]["url"] == message.attachments[0]["url"]
    async with aiohttp.ClientSession() as session, session.get(message.attachments[0]["url"]) as response:
        assert response.content_type == "image/png"
        assert await response.read() == b"\x89PNG chart"
    assert await people.violations() == []


async def test_missing_permissions_refused(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    await people.deny_bot("send_messages")
    with pytest.raises(discord.Forbidden) as refused:
        await bot.ops.send("no")
    assert refused.value.code == 50013

    await people.deny_bot("view_channel")
    with pytest.raises(discord.Forbidden) as refused:
        await bot.ops.send("no")
    assert refused.value.code == 50001

    await people.deny_bot("embed_links", "attach_files")
    for part in ({"embed": discord.Embed(title="no")}, {"file": discord.File(io.BytesIO(b"no"), "no.txt")}):
        with pytest.raises(discord.Forbidden) as refused:
            await bot.ops.send("no", **part)
        assert refused.value.code == 50013

    await people.deny_bot()
    await bot.ops.send("yes")
    assert [message.content for message in await people.messages()] == ["yes"]


async def test_only_allowed_mentions_ping(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    """Edits ping nobody."""
    alert, dora = sandbox.roles["alert"], sandbox.users["dora"]
    text = f"<@&{alert}> <@{dora}> @everyone"
    await bot.ops.send(text, allowed_mentions=discord.AllowedMentions.none())
    await bot.ops.send(text, allowed_mentions=discord.AllowedMentions(roles=[discord.Object(alert)], users=False))
    edited = await bot.ops.send("quiet")
    await edited.edit(content=f"<@{dora}>")

    pinged = [
        (message.pinged_users, message.pinged_roles, message.pinged_everyone) for message in await people.messages()
    ]
    assert pinged[0] == ([], [], False)
    assert pinged[1][:2] == ([], [alert])
    assert pinged[2] == ([], [], False)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"content": "x" * 4001}, "content: "),
        ({"content": "x" * 2001}, ""),
        ({"embeds": [discord.Embed(title="x" * 257)]}, "embeds.0.title: "),
        ({"embeds": [discord.Embed(title="x").add_field(name="a", value="")]}, "embeds.0.fields.0.value: "),
        ({"embeds": [discord.Embed(title="x").set_author(name=" ")]}, "embeds.0.author.name: "),
        ({"embeds": [discord.Embed(title="x", url="ftp://x")]}, "embeds.0.url: "),
        ({"embeds": [discord.Embed(description="x" * 3001)] * 2}, "embeds: Embed size exceeds"),
        ({"embeds": [discord.Embed(title="x")] * 11}, "embeds: "),
        ({"content": ""}, ""),
    ],
)
async def test_message_limits_enforced(
    bot: SmallBot, people: SandboxClient, openapi: object, message: dict[str, object], problem: str
) -> None:
    # Below discord.py's own checks, as a bot that builds its bodies itself would send it.
    body = {key: [item.to_dict() for item in value] if key == "embeds" else value for key, value in message.items()}
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=bot.ops.id)
    with pytest.raises(discord.HTTPException) as refused:
        await bot.http.request(route, json=body)
    assert (refused.value.status, refused.value.code) == (400, 50035)
    violations = await people.violations()
    assert len(violations) == 1
    if openapi is not None:  # Some are refused without it too, in other words.
        assert any(violation.startswith(problem) for violation in violations[0]["errors"] or [""])
    assert await people.messages() == []


async def test_discord_openapi_enforced(bot: SmallBot, people: SandboxClient, openapi: object) -> None:
    if openapi is None:
        pytest.skip("DISCORD_OPENAPI names no file")
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=bot.ops.id)
    for body in ({"content": "x", "tts": "yes"}, {"content": "x", "colour": 3}):
        with pytest.raises(discord.HTTPException) as refused:
            await bot.http.request(route, json=body)
        assert refused.value.code == 50035

    errors = [violation["errors"] for violation in await people.violations()]
    assert errors == [["tts: 'yes' is not of type 'boolean', 'null'"], ["colour: Unknown key"]]


async def test_unsupported_route_fails_loudly(bot: SmallBot, people: SandboxClient) -> None:
    with pytest.raises(discord.DiscordServerError):
        await bot.http.request(discord.http.Route("GET", "/unheard/of"))

    assert [violation["status"] for violation in await people.violations()] == [501]


async def test_commands_registered_singly_and_globally(bot: SmallBot, people: SandboxClient) -> None:
    payload = {"name": "alone", "description": "One", "type": 1, "options": []}
    one = await bot.http.upsert_global_command(bot.application_id, payload)
    assert await bot.http.get_global_command(bot.application_id, one["id"]) == one
    await bot.http.edit_global_command(bot.application_id, one["id"], {**payload, "description": "Two"})
    assert "alone" in [command["name"] for command in await people.commands()]

    await bot.http.delete_global_command(bot.application_id, one["id"])
    assert await bot.http.get_global_commands(bot.application_id) == []
    with pytest.raises(discord.NotFound) as gone:
        await bot.http.get_global_command(bot.application_id, one["id"])
    assert gone.value.code == 10063


async def test_history_excludes_ephemeral_answers(bot: SmallBot, people: SandboxClient) -> None:
    sent = await bot.ops.send("one")
    await people.answer(await people.slash("dora", "secret"))
    await sent.edit(content="two")

    assert [message.content async for message in bot.ops.history()] == ["two"]
    for text in ("three", "four", "five"):
        await bot.ops.send(text)
    after = [message.content async for message in bot.ops.history(after=sent, limit=2)]
    assert after == ["three", "four"], "those next to it, not the newest"
    await sent.delete()
    with pytest.raises(discord.NotFound) as gone:
        await bot.ops.fetch_message(sent.id)
    assert gone.value.code == 10008


async def test_later_messages_are_those_after_one(people: SandboxClient) -> None:
    for text in ("one", "two", "three"):
        await people.say("dora", text)
    first, *later = await people.messages()
    assert [message.content for message in later] == ["two", "three"]
    assert await people.messages(after=first) == later
    assert (await people.wait_for_message(lambda _: True, after=later[0])).content == "three"
