"""The bot over a real socket: it connects, answers, survives what Discord does, and leaves in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from roas.alerts.alert_service import AlertService
from roas.cogs.application_cog import ApplicationCog
from roas.cogs.command_sync import KIND
from roas.cogs.extension import Departure
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Outcome, PhaseStatus, Problem
from roas.models.leader_lease import BotReadiness
from roas.models.phases import PhaseName
from roas.ui.notifications.notifier import OUTCOME
from testbed.ports import free_port
from tests.integration.discord_bot.conftest import COMMANDS, Living
from tests.integration.sandbox.channel import confirm
from tests.unit.ui.story import Story, until

pytestmark = pytest.mark.wire


async def told(living: Living, deployment_id: str) -> None:
    """Wait until a deployment is told to its end."""

    async def finished() -> bool:
        post = await living.application.state.posts.get(deployment_id, OUTCOME)
        return post is not None and post.finished

    await until(finished, within_seconds=40)


async def test_deploy_acknowledged_live_and_announced(living: Living) -> None:
    """It is acknowledged in time, shown live, and the live message becomes the outcome."""
    await living.start()
    asked = await living.people.slash("dora", "deploy", environment="staging", version="v2")
    answer = await living.people.answer(asked)
    assert answer.error is None
    assert answer.ephemeral
    assert answer.acknowledged_after is not None
    assert answer.acknowledged_after < 1
    assert answer.message is not None
    assert "a new release (v2)" in answer.message.text
    said = await confirm(living.people, "dora", answer.message)

    outcome = await living.people.wait_for_message(lambda m: "Deploy v2 to staging: succeeded" in m.text)
    assert f"/{living.sandbox.ops_channel_id}/{outcome.id}" in said
    assert [m.id for m in await living.people.messages() if not m.ephemeral] == [outcome.id]


async def test_all_commands_and_suggestions_work(living: Living) -> None:
    await living.start()
    people = living.people
    choices = await people.autocomplete("dora", "deploy", "environment", "st")
    assert [choice.value for choice in choices] == ["staging"]
    hotfix = await people.answer(await people.slash("hugo", "hotfix", version="v2.1", reason="it burns"))
    assert hotfix.message is not None
    assert "🚀 Started" in hotfix.message.content
    await people.wait_for_message(lambda m: "Hotfix v2.1 for prod: succeeded" in m.text)
    back = await people.answer(await people.slash("anna", "rollback", environment="prod"))
    assert back.message is not None
    assert "A second person has to approve it" in await confirm(people, "anna", back.message)
    status = await people.answer(await people.slash("bob", "status"))
    assert status.message is not None
    assert "staging: healthy" in status.message.text
    refused = await people.answer(await people.slash("bob", "deploy", environment="dev", version="v2"))
    assert refused.message is not None
    assert "You may not do this" in refused.message.text


async def test_cancel_button_pings_nobody(living: Living) -> None:
    await living.start()
    living.application.orchestrator.hold.clear()
    people = living.people
    plan = (await people.answer(await people.slash("dora", "deploy", environment="staging", version="v2"))).message
    assert plan is not None
    await confirm(people, "dora", plan)
    live = await people.wait_for_message(lambda m: bool(m.buttons))
    form = await people.click("dora", live, live.buttons[0].custom_id or "")
    await people.answer(form)
    answer = await people.answer(await people.submit(form, reason="@everyone look"))
    assert answer.message is not None
    assert "was asked to stop" in answer.message.content
    await people.wait_for_message(lambda m: "was cancelled" in m.text)
    for message in await people.messages():
        assert not message.pinged_users
        assert not message.pinged_roles
        assert not message.pinged_everyone


async def test_post_with_lost_response_not_repeated(living: Living) -> None:
    await living.start()
    await living.people.add_fault(method="POST", path="*/messages", status=502, performed=True)
    story = await Story.begin(living.application.state, living.application.bus)
    await story.finish()
    await told(living, story.id)
    assert len(await living.people.messages()) == 2


@pytest.mark.parametrize("fault", [{"status": 503, "times": 3}, {"status": 429, "times": 2, "retry_after": 0.2}])
async def test_discord_errors_delay_posts_only(living: Living, fault: dict[str, object]) -> None:
    """Errors of Discord delay posts, never the deployment."""
    await living.start()
    await living.people.add_fault(path="*/messages*", **fault)
    story = await Story.begin(living.application.state, living.application.bus)
    async with asyncio.timeout(1):
        await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
        await story.finish()
    await told(living, story.id)
    titles = [message.embeds[0]["title"] for message in await living.people.messages()]
    assert titles == ["✅ Deploy v2 to staging", "✅ Deploy v2 to staging: succeeded"]


@pytest.mark.parametrize("resumable", [True, False])
async def test_lost_connection_restored(living: Living, resumable: bool) -> None:
    await living.start()
    story = await Story.begin(living.application.state, living.application.bus)
    await living.people.disconnect(resumable=resumable)
    await story.finish()
    await told(living, story.id)
    await living.people.wait_until_connected(30)
    answer = await living.people.answer(await living.people.slash("bob", "status", environment="dev"))
    assert answer.error is None


async def test_failure_output_attached_as_file(living: Living) -> None:
    await living.start()
    story = await Story.begin(living.application.state, living.application.bus)
    problem = Problem("service_failed", "web exited with 1", "Look at its log.", "web", "boom " * 4000)
    await story.finish(Outcome.ROLLED_BACK, problem)
    message = await living.people.wait_for_message(lambda m: "was rolled back" in m.text)
    assert message.attachments[0]["filename"].endswith("-web.txt")
    assert message.attachments[0]["size"] == len(("boom " * 4000).encode())


async def test_next_bot_finishes_live_message(living: Living) -> None:
    await living.start()
    story = await Story.begin(living.application.state, living.application.bus)
    live = await living.people.wait_for_message(lambda m: "Deploy v2 to staging" in m.text)
    await living.kill()
    await story.finish(announced=False)
    await living.start()
    await told(living, story.id)
    messages = await living.people.messages()
    assert len(messages) == 2
    assert messages[0].id == live.id
    assert not messages[0].buttons


async def test_lost_permission_delays_post(living: Living, caplog: pytest.LogCaptureFixture) -> None:
    bot = await living.start()
    await living.people.deny_bot("send_messages")
    story = await Story.begin(living.application.state, living.application.bus)
    await story.finish()
    written = ""
    while "ops channel is not accessible" not in written:
        await asyncio.sleep(0.01)
        written = caplog.text
    await living.people.deny_bot()
    bot.dispatch("resumed")
    await told(living, story.id)
    assert caplog.text.count("ops channel is not accessible") == 1


async def test_sigterm_exits_with_code_0(living: Living) -> None:
    await living.start()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await living.exit_code() == 0
    assert living.running[-1][0].is_closed()


async def test_refused_token_exits_with_code_78(living: Living, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what to do about the token."""
    living.application.settings.discord_token = SecretStr("not.the.token")
    await living.start(wait=False)
    assert await living.exit_code() == 78
    assert "developer portal" in caplog.text


async def test_startup_waits_for_discord(living: Living) -> None:
    await living.people.add_fault(path="/users/@me", status=503, times=2)
    await living.start()
    answer = await living.people.answer(await living.people.slash("bob", "status", environment="dev"))
    assert answer.error is None


async def test_bot_without_gateway_posts_over_rest(
    living: Living,
) -> None:
    """Its cogs are loaded meanwhile, and it posts as soon as the REST API answers."""
    await living.people.take_gateway_away()
    await living.people.add_fault(status=503, times=1_000)
    bot = await living.start(wait=False)
    await until(lambda: bot.readiness() == BotReadiness(gateway_ready=False, cogs_loaded=True))
    story = await Story.begin(living.application.state, living.application.bus)
    await living.people.clear_faults()
    await living.people.wait_for_message(lambda message: "Deploy v2 to staging" in message.text)
    assert not bot.is_ready()  # its messages need no gateway
    await living.people.bring_gateway_back()
    await story.finish()
    await told(living, story.id)
    await until(lambda: bot.readiness().gateway_ready, within_seconds=20)


@pytest.mark.parametrize("lost", ["gateway", "rest", "rest limited"])
async def test_connection_loss_and_return_noticed(living: Living, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    monkeypatch.setattr("roas.ui.gateway.BLINK_SECONDS", 0.5)
    bot = await living.start()
    await until(lambda: bot.readiness().gateway_ready)
    if lost == "gateway":
        await living.people.take_gateway_away()
    else:
        await living.people.add_fault(status=503 if lost == "rest" else 429, times=1_000)
    story = await Story.begin(living.application.state, living.application.bus)
    await until(lambda: not bot.readiness().gateway_ready)
    await living.people.bring_gateway_back()
    await living.people.clear_faults()
    await story.finish()
    await told(living, story.id)
    await until(lambda: bot.readiness().gateway_ready, within_seconds=20)


async def test_only_leader_syncs_commands(living: Living) -> None:
    """Commands are synced at each gain of leadership, and never on standby."""
    bot = await living.start()

    async def asked() -> int:
        return sum(request["path"].endswith("/commands") for request in await living.people.requests())

    async def are_noted() -> bool:
        subject = f"{KIND}:{bot.application_id}:{living.sandbox.guild_id}"
        return await living.application.state.posts.get(subject, KIND) is not None

    await until(are_noted)
    await asyncio.sleep(0.1)  # nothing of it is under way any more
    before = await asked()
    bot.roas_leadership.lose()
    await bot.http.bulk_upsert_guild_commands(bot.application_id or 0, living.sandbox.guild_id, [])  # the other bot's
    bot.dispatch("ready")
    await asyncio.sleep(0.3)
    assert await asked() == before + 1
    bot.roas_leadership.gain()
    await living.people.wait_for_commands(*COMMANDS)


async def test_only_leader_announces_alerts(living: Living) -> None:
    first = await living.start()
    second = await living.start(wait=False)
    second.roas_leadership.lose()
    await living.people.wait_until_connected(sessions=2)
    alert_service = AlertService(living.application.state.alerts, living.application.bus, str)

    async def breaks(name: str) -> None:
        await alert_service.take([AlertReport(name, AlertSource.HEALTH, Severity.WARNING, f"dev: {name} is down")])

    async def posts() -> int:
        path = f"/channels/{living.sandbox.ops_channel_id}/messages"
        return sum(
            request["path"].startswith(path) for request in await living.people.requests() if request["method"] != "GET"
        )

    await breaks("web")
    await living.people.wait_for_message(lambda message: "web is down" in message.text)
    first.roas_leadership.lose()
    await breaks("worker")
    await asyncio.sleep(0.5)
    assert await posts() == 1
    second.roas_leadership.gain()
    await living.people.wait_for_message(lambda message: "worker is down" in message.text)
    assert await posts() == 2


async def test_late_discord_connects(living: Living) -> None:
    port = free_port()
    living.application.settings.discord_api_url = f"http://127.0.0.1:{port}/api/v10"
    await living.start(wait=False)
    await asyncio.sleep(0.3)
    async with relay(port, urlsplit(living.sandbox.api_url).port or 0):
        await living.people.wait_until_connected(20)
        await living.people.wait_for_commands("status")
        await living.kill()


async def test_sigterm_without_discord_exits(living: Living) -> None:
    port = free_port()
    living.application.settings.discord_api_url = f"http://127.0.0.1:{port}/api/v10"
    await living.start(wait=False)
    await asyncio.sleep(0.3)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await living.exit_code() == 0


@asynccontextmanager
async def relay(port: int, to_port: int) -> AsyncIterator[None]:
    """Pass connections on, from a port where nobody answered before."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", port):
        yield


async def test_unloading_takes_cancel_off(living: Living) -> None:
    """Nobody answers it any more; a bot that is only stopped leaves it to the next one."""
    bot = await living.start()
    living.application.orchestrator.hold.clear()
    people = living.people
    plan = (await people.answer(await people.slash("dora", "deploy", environment="staging", version="v2"))).message
    assert plan is not None
    await confirm(people, "dora", plan)
    live = await people.wait_for_message(lambda m: bool(m.buttons))
    departure = Departure(bot, living.application, bot.roas_leadership, lambda: False)  # type: ignore[arg-type]
    application_cog = bot.get_cog("ROAS")
    assert isinstance(application_cog, ApplicationCog)
    await bot.remove_cog("ROAS Deployment")
    await departure.leave(application_cog.sync)
    (message,) = [one for one in await people.messages() if one.id == live.id]
    assert message.buttons == []
