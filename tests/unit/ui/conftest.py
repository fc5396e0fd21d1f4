"""A channel of dictionaries, and live messages that are started and stopped as a test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from roas.events import EventBus
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing
from roas.ui.notifications.live_messages import LiveMessages, PingRoles
from roas.ui.notifications.notifier import Pace
from roas.ui.notifications.ops_channel import (
    ChannelClosedError,
    DiscordAwayError,
    MessageGoneError,
    PermissionMissingError,
    PostError,
)
from roas.ui.notifications.outbox import Outbox, Outboxes
from roas.ui.redacted import Redact

QUICK = Pace(poll=0.2, first_retry=0.02, longest_retry=0.05, longest_retry_closed=0.05)


@dataclass
class FakeChannel:
    """Be a channel as Discord would: messages by id, one per nonce, and faults on order."""

    id: int = 77
    messages: dict[int, Drawing] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, int, float]] = field(default_factory=list)
    sent: list[tuple[int, Drawing]] = field(default_factory=list)
    faults: list[PostError] = field(default_factory=list)
    replies: dict[int, int | None] = field(default_factory=dict)
    lose_answers: int = 0
    hides_messages: bool = False
    attempts: int = 0
    spoken: str = "en-US"
    forbids: Callable[[Drawing, int | None], bool] = lambda _drawing, _reply_to: False

    async def locale(self) -> str:
        return self.spoken

    ids: Iterator[int] = field(default_factory=lambda: count(1000))
    may_open: bool = True
    threads: "dict[int, FakeChannel]" = field(default_factory=dict)

    async def below(self, message_id: int, name: str) -> "FakeChannel":
        """Have a thread below each message, unless the bot may open none."""
        if not self.may_open:
            raise PermissionMissingError("Missing Permissions")
        return self.threads.setdefault(message_id, FakeChannel(id=message_id))

    def link(self, message_id: int | None = None) -> str:
        return f"https://discord.com/channels/1/{self.id}/{message_id or ''}"

    async def send(self, drawing: Drawing, *, nonce: str, reply_to: int | None = None) -> int:
        self._fail()
        if self.forbids(drawing, reply_to):
            raise PermissionMissingError("Missing Permissions")
        if nonce not in self.nonces:
            self.nonces[nonce] = next(self.ids)
        message_id = self.nonces[nonce]
        if message_id not in self.messages:
            self._note("send", message_id, drawing)
            self.sent.append((message_id, drawing))
            self.replies[message_id] = reply_to
        if self.lose_answers:
            self.lose_answers -= 1
            raise DiscordAwayError("the answer got lost")
        return message_id

    async def edit(self, message_id: int, drawing: Drawing) -> None:
        self._fail()
        if self.forbids(drawing, None):
            raise PermissionMissingError("Missing Permissions")
        if message_id not in self.messages:
            raise MessageGoneError("Unknown Message")
        self._note("edit", message_id, drawing)

    async def find(self, key: str, *, after: datetime) -> int | None:
        self._fail()
        if self.hides_messages:
            raise ChannelClosedError("Missing Permissions")
        return next((number for number, drawing in self.messages.items() if drawing.key == key), None)

    def _fail(self) -> None:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)

    def _note(self, what: str, message_id: int, drawing: Drawing) -> None:
        self.messages[message_id] = drawing
        self.log.append((what, message_id, asyncio.get_running_loop().time()))

    def titles(self) -> list[str]:
        return [drawing.embeds[0].title or "" if drawing.embeds else "" for drawing in self.messages.values()]

    def text(self, message_id: int) -> str:
        return self.messages[message_id].embeds[0].description or ""


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


class Messages:
    """Start live messages as often as a test wants, and stop them all."""

    def __init__(self, state: StateManager, bus: EventBus, channel: FakeChannel) -> None:
        self.parts: tuple[Any, ...] = (state, bus, channel)
        self.started: list[LiveMessages] = []

    def start(
        self,
        pace: Pace = QUICK,
        *,
        online: bool = True,
        leadership: Leadership | None = None,
        between_edits: float = 0.1,
        ping_roles: PingRoles | None = None,
        redact: Redact = str,
    ) -> LiveMessages:
        state, bus, channel = self.parts
        outbox = Outbox(state, channel, between_edits=between_edits)
        messages = LiveMessages(
            state, bus, Outboxes(outbox), pace=pace, leadership=leadership, ping_roles=ping_roles, redact=redact
        )
        messages.start()
        if online:
            messages.online()
        self.started.append(messages)
        return messages


@pytest.fixture
async def messages(state: StateManager, bus: EventBus, channel: FakeChannel) -> AsyncIterator[Messages]:
    running = Messages(state, bus, channel)
    yield running
    for item in running.started:
        await item.close()
