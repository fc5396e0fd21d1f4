"""The demo fails where a bot that was replaced left somebody without an answer, or answered twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from demo import story
from demo.narrator import Narrator
from demo.scene import Scene, StoryError
from demo.stage import Stage
from demo.story import Story
from sandbox.poller import PollResults
from sandbox.views import Asked

ANSWERED = Asked(1, "history", 0.0, 0.1, 0.2, 1, 0)
UNANSWERED = Asked(2, "history", 1.0, None, None, 0, 0)
TWICE = Asked(3, "history", 2.0, 2.1, 2.2, 2, 0)
AFTERWARDS = Asked(4, "history", 7.0, 7.1, 7.2, 1, 0)


@dataclass
class Ruth:
    """Somebody who asked all the time."""

    results: PollResults


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what plays a chapter in which the bot is replaced, with the answers that somebody got meanwhile."""

    async def run(*_: object, **_options: object) -> None: ...

    monkeypatch.setattr(Scene, "run", run)
    monkeypatch.setattr(story, "prove_bot", lambda *_: SimpleNamespace(image_id="sha256:1", health="healthy"))

    async def play(*asked: Asked) -> Story:
        @asynccontextmanager
        async def polling(*_: object) -> AsyncIterator[Ruth]:
            yield Ruth(PollResults(asked))

        monkeypatch.setattr(story, "polling", polling)
        people: Any = None
        stage: Any = SimpleNamespace(spec=Stage)
        played = Story(stage, people, Narrator())
        await played._bot_itself()
        return played

    return play


async def test_unanswered_command_fails_demo(replaced: Any) -> None:
    with pytest.raises(StoryError, match=r"of 3 commands 1 were never answered and 0 twice.*listening for 7\.0 s"):
        await replaced(ANSWERED, UNANSWERED, AFTERWARDS)


async def test_second_answer_fails_demo(replaced: Any) -> None:
    with pytest.raises(StoryError, match="of 2 commands 0 were never answered and 1 twice"):
        await replaced(ANSWERED, TWICE)


async def test_every_command_answered_once_is_as_promised(replaced: Any) -> None:
    played = await replaced(ANSWERED, AFTERWARDS)
    assert len(played.seen.asked) == 4, "both chapters are counted"
    assert played.seen.never == 0
