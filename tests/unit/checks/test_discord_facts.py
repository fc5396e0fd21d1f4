"""What Discord says over a real socket becomes facts, and the checks word them."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from roas.checks.discord import discord_channel, discord_permissions, discord_roles, discord_token, notify
from roas.checks.discord_facts import MENTION_EVERYONE, NEEDED, fetch_discord_facts, missing_permissions
from roas.checks.subject import CachedCall, Subject
from roas.concurrency import end_tasks
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.errors import RoasError
from roas.models.check import CheckResult
from roas.models.facts import DiscordFacts

ALL = sum(NEEDED.values())
SECONDS = 10.0
VIEW, SEND = NEEDED["View Channel"], NEEDED["Send Messages"]


class SmallDiscord:
    """Answer the four questions; a path that is taken out answers 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "/users/@me": {"id": "7", "username": "Ops"},
            "/guilds/1": {"id": "1", "owner_id": "9", "roles": [{"id": "1", "permissions": str(ALL)}]},
            "/channels/2": {"id": "2", "guild_id": "1", "type": 0, "name": "ops", "permission_overwrites": []},
            "/guilds/1/members/7": {"user": {"id": "7"}, "roles": ["5"]},
        }
        self.status = 200
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.headers["Authorization"] != "Bot good":
            return web.json_response({"code": 0}, status=401)
        if self.status != 200:
            return web.json_response({}, status=self.status)
        found = self.answers.get(request.path.removeprefix("/api/v10"))
        return web.json_response(found or {"code": 10003}, status=200 if found else 404)


@pytest.fixture
def discord() -> SmallDiscord:
    return SmallDiscord()


@pytest.fixture
async def settings(discord: SmallDiscord) -> AsyncIterator[Settings]:
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", discord.answer)
    async with TestServer(application) as server:
        yield Settings(
            _env_file=None,  # type: ignore[call-arg]
            discord_token=SecretStr("good"),
            discord_guild_id=1,
            discord_ops_channel_id=2,
            discord_api_url=str(server.make_url("/api/v10")),
        )


async def findings(subject: Subject, facts: DiscordFacts) -> list[CheckResult]:
    async def known() -> DiscordFacts:
        return facts

    handed_in = replace(subject, discord_facts=known)
    checks = (discord_token, discord_channel, discord_permissions, discord_roles)
    return [result for check in checks for result in await check.run(handed_in) if not result.passed]


async def test_complete_setup_passes(subject: Subject, settings: Settings) -> None:
    facts = await fetch_discord_facts(settings)
    assert facts == DiscordFacts("", True, "Ops", True, True, "ops", True, ())
    assert await findings(subject, facts) == []


async def test_unusable_target_reported(subject: Subject) -> None:
    async def unusable() -> dict[str, RoasError]:
        return {"team": RoasError("Apprise does not know its address.", hint="Write it otherwise.")}

    async def none() -> dict[str, RoasError]:
        return {}

    assert await notify.run(subject) == []
    assert [result.passed for result in await notify.run(replace(subject, unusable_targets=none))] == [True]
    (result,) = await notify.run(replace(subject, unusable_targets=unusable))
    assert (result.message, result.remedy) == (
        "[notify.team]: Apprise does not know its address.",
        "Write it otherwise.",
    )


async def test_refused_token_reported(subject: Subject, settings: Settings) -> None:
    facts = await fetch_discord_facts(settings.model_copy(update={"discord_token": SecretStr("bad")}))
    assert [result.message for result in await findings(subject, facts)] == ["Discord refuses the token."]


async def test_foreign_guild_reported(subject: Subject, settings: Settings, discord: SmallDiscord) -> None:
    del discord.answers["/guilds/1"]
    found = await findings(subject, await fetch_discord_facts(settings))
    assert [result.check for result in found] == ["discord_channel"]
    assert "Invite it" in found[0].remedy


async def test_channel_of_other_guild_reported(subject: Subject, settings: Settings, discord: SmallDiscord) -> None:
    discord.answers["/channels/2"]["guild_id"] = "4"
    found = await findings(subject, await fetch_discord_facts(settings))
    assert "does not see the channel" in found[0].message


async def test_voice_channel_refused(subject: Subject, settings: Settings, discord: SmallDiscord) -> None:
    discord.answers["/channels/2"]["type"] = 2
    found = await findings(subject, await fetch_discord_facts(settings))
    assert found[0].message == "DISCORD_OPS_CHANNEL_ID names #ops, which is not a text channel."


async def test_missing_permissions_named(subject: Subject, settings: Settings, discord: SmallDiscord) -> None:
    denied = {"id": "1", "type": 0, "allow": "0", "deny": str(SEND)}
    discord.answers["/channels/2"]["permission_overwrites"] = [denied]
    found = await findings(subject, await fetch_discord_facts(settings))
    assert found[0].message == "The bot lacks Send Messages in #ops."


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_failing_discord_unreachable_not_refusing(
    subject: Subject, settings: Settings, discord: SmallDiscord, status: int
) -> None:
    discord.status = status
    found = await findings(subject, await fetch_discord_facts(settings))
    assert [result.check for result in found] == ["discord_token"]
    assert str(status) in found[0].message


async def test_unreachable_discord_reported(subject: Subject, settings: Settings) -> None:
    away = settings.model_copy(update={"discord_api_url": "http://127.0.0.1:1/api/v10"})
    assert (await fetch_discord_facts(away)).unreachable


async def test_role_that_is_none_of_the_server_named(
    subject: Subject, settings: Settings, discord: SmallDiscord
) -> None:
    """Nobody can have it: who may deploy, or whose phone rings, would show at night."""
    discord.answers["/guilds/1"]["roles"].append({"id": "3", "name": "ops", "permissions": "0", "mentionable": True})
    wrong = {"discord_deployer_role_ids": frozenset({3, 8}), "discord_alert_role_id": 9}
    found = await findings(subject, await fetch_discord_facts(settings.model_copy(update=wrong)))
    (told,) = [result.message for result in found]
    assert told == "The server has no such role: 8 (DISCORD_DEPLOYER_ROLE_IDS) and 9 (DISCORD_ALERT_ROLE_ID)."
    right = {"discord_deployer_role_ids": frozenset({3}), "discord_alert_role_id": 3}
    assert await findings(subject, await fetch_discord_facts(settings.model_copy(update=right))) == []


@pytest.mark.parametrize(
    ("mentionable", "held", "wanted", "told"),
    [
        (False, 0, True, "Discord notifies nobody when the bot mentions on-call and approvers."),
        (False, 0, False, "Discord notifies nobody when the bot mentions on-call."),
        (False, MENTION_EVERYONE, True, None),
        (True, 0, True, None),
    ],
)
async def test_mention_that_rings_nobody_named(
    subject: Subject,
    settings: Settings,
    discord: SmallDiscord,
    mentionable: bool,
    held: int,
    wanted: bool,
    told: str | None,
) -> None:
    roles = discord.answers["/guilds/1"]["roles"]
    roles[0]["permissions"] = str(ALL | held)
    for number, name in ((3, "on-call"), (4, "approvers"), (5, "deployers")):
        roles.append({"id": str(number), "name": name, "permissions": "0", "mentionable": mentionable})
    named = {
        "discord_alert_role_id": 3,
        "discord_approver_role_ids": frozenset({4}),
        "discord_deployer_role_ids": frozenset({5}),
        "discord_mention_approvers": wanted,
    }
    found = await findings(subject, await fetch_discord_facts(settings.model_copy(update=named)))
    assert [result.message for result in found] == ([told] if told else [])


async def test_own_and_ops_channel_both_reported(subject: Subject) -> None:
    own = DiscordFacts("", True, "Ops", True, True, "dev-ops", True, ("Attach Files",))
    ops = replace(own, channel_name="ops", missing_permissions=("Send Messages",))
    subject = replace(subject, settings=_with_own_channel(subject))
    found = await findings(subject, replace(own, ops=ops))
    assert [finding.message for finding in found] == [
        "The bot lacks Attach Files in #dev-ops.",
        "The bot lacks Send Messages in #ops.",
    ]
    gone = replace(ops, channel_found=False)
    (found,) = await findings(subject, replace(gone, ops=gone))
    assert "ENVIRONMENTS__" in found.remedy
    found = (await findings(subject, replace(own, ops=gone)))[0]
    assert "correct DISCORD_OPS_CHANNEL_ID" in found.remedy


def _with_own_channel(subject: Subject) -> Settings:
    own = {subject.environment.name: EnvironmentSettings(ops_channel_id=5)}
    return subject.settings.model_copy(update={"environments": own, "discord_ops_channel_id": 2})


async def test_three_checks_query_discord_once(settings: Settings, discord: SmallDiscord) -> None:
    once = CachedCall(lambda: fetch_discord_facts(settings))
    assert await once() is await once()
    assert len(discord.asked) == 4


@pytest.mark.parametrize("path", ["/users/@me", "/guilds/1", "/channels/2", "/guilds/1/members/7"])
@pytest.mark.parametrize("answer", [["a list"], {"nothing": "known"}, {"id": None, "roles": 1, "type": []}])
async def test_strange_answer_breaks_nothing(
    settings: Settings, discord: SmallDiscord, path: str, answer: object
) -> None:
    """Another server may be in Discord's place."""
    discord.answers[path] = answer
    assert isinstance(await fetch_discord_facts(settings, "dev"), DiscordFacts)


def test_no_command_waits_for_a_silent_name_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is cancelled ends long before the system gives up to look for the name."""
    asked, answered = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> list[Any]:
        asked.set()
        assert answered.wait(SECONDS)
        return []

    async def plan() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", hang)
        there = settings.model_copy(update={"discord_api_url": "http://discord.example/api"})
        asking = asyncio.create_task(fetch_discord_facts(there, "dev"))
        assert await asyncio.to_thread(asked.wait, SECONDS)
        await end_tasks(asking)

    with ThreadPoolExecutor(1) as threads:
        try:
            threads.submit(asyncio.run, plan()).result(SECONDS / 2)
        finally:
            answered.set()


def member(*roles: str) -> dict[str, Any]:
    return {"user": {"id": "7"}, "roles": list(roles)}


def guild(everyone: int, owner: str = "9", **roles: int) -> dict[str, Any]:
    listed = [{"id": "1", "permissions": str(everyone)}]
    return {
        "id": "1",
        "owner_id": owner,
        "roles": listed + [{"id": k, "permissions": str(v)} for k, v in roles.items()],
    }


def overwrite(target: str, *, allow: int = 0, deny: int = 0) -> dict[str, str]:
    return {"id": target, "allow": str(allow), "deny": str(deny)}


def test_administrator_and_owner_have_all_permissions() -> None:
    denied = {"permission_overwrites": [overwrite("7", deny=ALL)]}
    assert missing_permissions(guild(0, r5=8), member("r5"), denied) == ()
    assert missing_permissions(guild(0, owner="7"), member(), denied) == ()


def test_overwrites_ranked_member_role_everyone() -> None:
    """A role that allows wins over a denied everyone, and the member's own over both."""
    everyone, role = overwrite("1", deny=ALL), overwrite("r5", allow=ALL)
    channel = {"permission_overwrites": [everyone, role]}
    assert missing_permissions(guild(ALL), member("r5"), channel) == ()
    assert missing_permissions(guild(ALL), member(), channel) == tuple(NEEDED)
    channel["permission_overwrites"].append(overwrite("7", deny=VIEW))
    assert missing_permissions(guild(ALL), member("r5"), channel) == tuple(NEEDED)
