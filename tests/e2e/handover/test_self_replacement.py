"""The bot replaces itself, and there is always exactly one that answers."""

import asyncio
import time
from contextlib import suppress
from itertools import count

import aiohttp
import pytest

from sandbox.poller import polling
from testbed.home_stack import BOT_SERVICE
from testbed.tasks import end_tasks
from tests.e2e.handover.conftest import HOOK_PORT, HOOK_SECRET, other_version, rows
from tests.integration.sandbox.channel import (
    ANSWER_SECONDS,
    OUTCOME_SECONDS,
    ask,
    button,
    confirm,
    live,
    outcome,
    start,
)

EVERY_SECONDS = 0.2


async def test_restart_is_a_handover_and_stop_refused(home, people, images):
    """First, so that what both tests need is made while others run."""
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=other_version(home, images))
    assert "succeeded" in (await outcome(people, deployment_id)).text
    (before,) = home.bots()
    await restart_is_a_handover_and_stop_refused(home, people, other_version(home, images))
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] != [before.attrs["Image"]]


# While it has the machine to itself all others wait, and first for what still runs beside it.
@pytest.mark.alone
async def test_bot_is_replaced_there_and_back_and_always_answers(home, people, images):
    """A rollback brings the newer bot back in the same way."""
    first = home.bots()[0]
    # A status costs a bot 50 ms of a core; what is answered by the journal shows as well whether anybody listens.
    async with polling(people, "history", EVERY_SECONDS) as somebody:
        deployment_id = await start(people, "dora", "deploy", environment="dev", version="earlier")
        told = await outcome(people, deployment_id)
    assert_answered_once(somebody.results)
    assert "succeeded" in told.text
    await assert_one_live_message(people, deployment_id)
    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [images["earlier"]]
    assert bots[0].id != first.id
    assert home.compose("ps", "-q", BOT_SERVICE).split() == [bots[0].id], "to Compose it is the service's own"
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    assert "hotfix" not in await offered(people), "the one that runs now has no such command"
    deployment_id = await start(people, "dora", "rollback", environment="dev")
    told = await outcome(people, deployment_id)
    assert "succeeded" in told.text
    await assert_one_live_message(people, deployment_id)
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [first.attrs["Image"]]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    assert "hotfix" in await offered(people)


async def restart_is_a_handover_and_stop_refused(home, people, version: str) -> None:
    """A new container of the same release takes over; nobody is without a bot. What was due meanwhile begins once."""
    (before,) = home.bots()
    assert "nobody would be left to start it" in await ask(
        people, "dora", "stop", services=BOT_SERVICE, environment="dev"
    )
    assert "exactly one of it acts" in await ask(
        people, "dora", "scale", service=BOT_SERVICE, replicas=2, environment="dev"
    )
    deployment_id = await start(people, "dora", "restart", services=BOT_SERVICE, environment="dev")
    due = f"<t:{int(time.time()) + 5}>"
    typed = await people.slash("dora", "deploy", environment="dev", version=version, when=due)
    plan = (await people.answer(typed, deadline_seconds=ANSWER_SECONDS)).message
    assert "⏰" in await confirm(people, "dora", plan)
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert before.id not in {bot.id for bot in home.bots(stopped=True)}
    begun = await people.wait_for_message(
        lambda m: f"Deploy {version} to dev: succeeded" in m.text, OUTCOME_SECONDS, after=plan
    )
    plan_id = button(plan, "confirm").rpartition(":")[2]
    assert len(rows(home, "SELECT id FROM deployments WHERE interaction_id = ?", plan_id)) == 1
    assert begun.created_at.timestamp() > float(due[3:-1])
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


@pytest.mark.long
async def test_webhooks_of_a_handover_are_kept(home, people, images):
    """Whichever bot takes one, the one before or its successor: what was answered is in the journal."""
    pushing = asyncio.create_task(push_until_cancelled(home, answers := {}))
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=other_version(home, images))
    assert "succeeded" in (await outcome(people, deployment_id)).text
    await end_tasks(pushing)
    assert {status for status, _bot in answers.values()} == {202}, answers
    assert len({bot for _status, bot in answers.values()}) >= 2
    assert set(answers) <= {row[0] for row in rows(home, "SELECT id FROM deliveries")}


async def push_until_cancelled(home, answers: dict[str, tuple[int, str]]) -> None:
    """Send each bot that listens a webhook every now and then; note by delivery what was answered, and by whom."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        for number in count():
            for bot in await asyncio.to_thread(home.bots):
                (network,) = bot.attrs["NetworkSettings"]["Networks"].values()
                url = f"http://{network['IPAddress']}:{HOOK_PORT}/v1/hooks/hub/{HOOK_SECRET}"
                pushed = {"repository": {"repo_name": "shop/web"}, "push_data": {"tag": f"{bot.id[:12]}-{number}"}}
                with suppress(aiohttp.ClientError, TimeoutError):  # it comes, or it goes
                    async with session.post(url, json=pushed) as answer:
                        answers[(await answer.json()).get("delivery", "")] = answer.status, bot.id
            await asyncio.sleep(EVERY_SECONDS)


async def offered(people) -> set[str]:
    """Return the commands that can be typed."""
    return {command["name"] for command in await people.commands()}


async def assert_one_live_message(people, deployment_id: str) -> None:
    """Show that both bots drew the same message, to its end."""
    finished = await live(people, deployment_id, "took")
    assert button(finished, "cancel") is None
    assert sum(deployment_id in message.text for message in await people.messages()) <= 2, "live message and outcome"


def assert_answered_once(seen):
    """Show that who asked all the time was acknowledged every time within Discord's 3 s, and answered once."""
    assert len(seen.asked) > 15
    assert (seen.never, seen.twice, seen.late) == (0, 0, 0)
