"""The bot's own service leaves the compose file: the bot says no, and is there afterwards as it was before."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from testbed.compose_labels import SERVICE_LABEL
from testbed.home_stack import BOT_SERVICE
from tests.e2e.handover.conftest import rows
from tests.integration.sandbox.channel import ANSWER_SECONDS, ask


@contextmanager
def changed_file(home, how: str, mode: str = "") -> Iterator[None]:
    """Let the bot's service leave the compose file for a while, or let the store join its processes."""
    path = home.folder / "docker-compose.yml"
    before = path.read_text()
    stack = yaml.safe_load(before)
    bot = stack["services"][BOT_SERVICE]
    match how:
        case "deleted":
            del stack["services"][BOT_SERVICE]
        case "renamed":
            del stack["services"][BOT_SERVICE]
            stack["services"]["ops-bot"] = stack["services"]["store"]  # as itself the policy would not know it
        case "profile":
            bot["profiles"] = ["another"]
        case "no replicas":
            bot["scale"] = 0
        case "joined":
            del bot["depends_on"]  # to Compose, the two would wait for each other
            stack["services"]["store"]["pid"] = mode
    path.write_text(yaml.safe_dump(stack, sort_keys=False))
    try:
        yield
    finally:
        path.write_text(before)


def look(home) -> list[tuple[str, str, str]]:
    """Return each bot there is, running or not, and since when it has run, by Docker's inspect."""
    states = [(bot.id, bot.attrs["State"]) for bot in home.bots(stopped=True)]
    return [(id_, state["Status"], state["StartedAt"]) for id_, state in states]


async def assert_untouched(home, people, before) -> None:
    assert look(home) == before
    assert sorted(item.labels[SERVICE_LABEL] for item in home.everything()) == [BOT_SERVICE, "store"]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    assert rows(home, "SELECT environment FROM locks") == []


# A unit test has the others, too; by its profile Compose itself leaves it out.
@pytest.mark.parametrize(
    "how",
    ["deleted", "profile", *(pytest.param(how, marks=pytest.mark.long) for how in ("renamed", "no replicas"))],
)
async def test_a_plan_without_the_bot_is_refused(home, people, how):
    before = look(home)
    with changed_file(home, how):
        answer = await people.answer(
            await people.slash("dora", "deploy", environment="dev", version="v2"), deadline_seconds=ANSWER_SECONDS
        )
    told = answer.message.text
    assert "this bot itself" in told, told
    assert f"Keep {BOT_SERVICE} in the compose file" in told, told
    assert answer.message.buttons == []
    await assert_untouched(home, people, before)


@pytest.mark.parametrize(
    "spelled", ["service", "its container's name", pytest.param("its container's id", marks=pytest.mark.long)]
)
async def test_nobody_joins_the_processes_of_the_bot(home, people, spelled):
    """Who sees the bot's processes could end them, and read their environment, which has the token."""
    before = look(home)
    bot = home.bots()[0]
    modes = {"service": f"service:{BOT_SERVICE}", "its container's name": f"container:{bot.name}"}
    with changed_file(home, "joined", mode=modes.get(spelled, f"container:{bot.id}")):
        answer = await people.answer(
            await people.slash("dora", "deploy", environment="dev", version="v2"), deadline_seconds=ANSWER_SECONDS
        )
    told = answer.message.text.replace("\\", "")
    assert "store has `pid: " in told, told
    assert "(allowed by `pid:store`)" in told
    assert answer.message.buttons == []
    await assert_untouched(home, people, before)
