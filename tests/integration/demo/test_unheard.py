"""The demo fails where a bot hears nobody for a while as it is replaced: judged over the wire, by what is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from demo import story
from demo.narrator import Narrator
from demo.scene import Scene, StoryError
from demo.story import Story
from sandbox import poller
from sandbox.client import SandboxClient
from tests.integration.sandbox.conftest import bot, openapi, people, sandbox  # noqa: F401 - pytest finds them by name
from tests.integration.sandbox.small_bot import SmallBot
from tests.unit.ui.story import until

pytestmark = pytest.mark.wire


async def hears_nobody(_interaction: object) -> bool:
    return False


@pytest.fixture
def replaced(bot: SmallBot, people: SandboxClient, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    """Return what plays the chapter; in the place of the deployment, the bot listens, hears nobody, and listens."""
    monkeypatch.setattr(story, "ASKED", "secret")
    monkeypatch.setattr(story, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(poller, "ACKNOWLEDGE_SECONDS", 0.5)
    monkeypatch.setattr(poller, "GRACE_SECONDS", 0.5)
    heard = bot.tree.interaction_check

    async def has_asked(times: int) -> None:
        known = len(bot.received)

        async def often() -> bool:
            return len(bot.received) >= known + times

        await until(often)

    async def play(*, unheard: int) -> None:
        async def deploy(*_: object, **_options: object) -> None:
            await has_asked(3)
            if unheard:
                monkeypatch.setattr(bot.tree, "interaction_check", hears_nobody)
                await has_asked(unheard)
                monkeypatch.setattr(bot.tree, "interaction_check", heard)
            await has_asked(3)

        monkeypatch.setattr(Scene, "run", deploy)
        stage: Any = None
        await Story(stage, people, Narrator())._replace_bot("A new version", "v2", "succeeded", left="v2")

    return play


async def test_bot_that_hears_nobody_for_a_while_fails_demo(replaced: Any) -> None:
    with pytest.raises(
        StoryError, match=r"[1-9]\d* were never answered and 0 twice; nobody was listening for \d+\.\d s"
    ):
        async with asyncio.timeout(30):
            await replaced(unheard=8)


async def test_bot_that_always_hears_is_looked_at(replaced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was always answered is told nothing: what Docker shows comes next."""

    def prove(*_: object) -> None:
        raise story.NotProvedError("no bot is there")

    monkeypatch.setattr(story, "prove_bot", prove)
    with pytest.raises(StoryError, match="no bot is there"):
        async with asyncio.timeout(30):
            await replaced(unheard=0)
