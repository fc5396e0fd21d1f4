"""Keep interactions from a bot that stands by, for as long as somebody could still wait for their answer.

discord.py hands an interaction to commands and buttons before it dispatches any event, so that the gate has to stand
where the gateway's payloads come in.
"""

import time
from collections import deque
from typing import Any

import discord

from bot.ui.voice import Voice

EVENT = "INTERACTION_CREATE"
# Discord waits three seconds for an acknowledgement; what is older nobody waits for.
KEPT_SECONDS = 3.0


class StandbyGate:
    """Hold interactions back while the voice is elsewhere, and try them when it comes."""

    def __init__(self, client: discord.Client, voice: Voice) -> None:
        self._voice = voice
        self._held: deque[tuple[float, Any]] = deque()
        parsers = client._connection.parsers
        self._parse = parsers[EVENT]
        parsers[EVENT] = self._receive

    def release(self) -> None:
        """Hand on what came within the last seconds: the other bot may not have answered it any more."""
        self._forget_old()
        while self._held:
            self._parse(self._held.popleft()[1])

    def _receive(self, payload: Any) -> None:
        if self._voice.active:
            self._parse(payload)
            return
        self._held.append((time.monotonic(), payload))
        self._forget_old()

    def _forget_old(self) -> None:
        while self._held and time.monotonic() - self._held[0][0] > KEPT_SECONDS:
            self._held.popleft()
