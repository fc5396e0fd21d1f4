"""Gateway sessions: what each has been sent, so that it can be resumed, and who is connected now."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.changes import Changes
from sandbox.simcord_bridge import Bridge

DISPATCH = 0
REPLAYED_EVENTS = 1000
RESUMABLE_SECONDS = 120.0


@dataclass(frozen=True)
class Close:
    """Asks a connection's writer to close it with this code."""

    code: int
    reason: str = ""


Outgoing = str | Close


@dataclass(eq=False)
class Session:
    """One IDENTIFY and everything sent since; it outlives its connection for a while."""

    intents: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    sent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=REPLAYED_EVENTS))
    outgoing: asyncio.Queue[Outgoing] | None = None
    lost_at: float | None = None

    def dispatch(self, event: str, payload: Mapping[str, Any]) -> None:
        """Number an event, keep it for a RESUME, and send it if a client is connected."""
        self.sequence += 1
        text = json.dumps({"op": DISPATCH, "t": event, "s": self.sequence, "d": payload})
        self.sent.append((self.sequence, text))
        if self.outgoing is not None:
            self.outgoing.put_nowait(text)

    def can_replay(self, sequence: int) -> bool:
        """Return whether every event after `sequence` is still kept."""
        oldest = self.sent[0][0] if self.sent else self.sequence + 1
        return oldest - 1 <= sequence <= self.sequence

    def replay(self, sequence: int) -> None:
        """Send again what came after `sequence`."""
        if self.outgoing is not None:
            for number, text in self.sent:
                if number > sequence:
                    self.outgoing.put_nowait(text)


class Sessions:
    """All sessions of the application. Discord gives every one of them every event."""

    def __init__(self, bridge: Bridge, changes: Changes) -> None:
        self._bridge = bridge
        self._changes = changes
        self._sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0

    def broadcast(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event to every session whose intents cover it."""
        self._forget_lost()
        for session in list(self._sessions.values()):
            shaped = self._bridge.shape_event(event, payload, session.intents)
            if shaped is not None:
                session.dispatch(event, shaped)
        self._changes.bump()

    def open(self, intents: int, outgoing: asyncio.Queue[Outgoing]) -> Session:
        """Begin a session that sends to `outgoing`."""
        session = Session(intents, outgoing=outgoing)
        self._sessions[session.id] = session
        self.identified += 1
        self._changes.bump()
        return session

    def resume(self, session_id: str, sequence: int, outgoing: asyncio.Queue[Outgoing]) -> Session | None:
        """Continue a session on a new connection, None where that is no longer possible."""
        self._forget_lost()
        session = self._sessions.get(session_id)
        if session is None or not session.can_replay(sequence):
            return None
        if session.outgoing is not None:
            session.outgoing.put_nowait(Close(4000, "resumed elsewhere"))
        session.outgoing, session.lost_at = outgoing, None
        session.replay(sequence)
        session.dispatch("RESUMED", {})
        self.resumed += 1
        self._changes.bump()
        return session

    def lose(self, session: Session, outgoing: asyncio.Queue[Outgoing], *, resumable: bool) -> None:
        """Record that the connection behind `outgoing` is gone."""
        if session.outgoing is not outgoing:
            return  # A newer connection has taken the session over.
        session.outgoing, session.lost_at = None, time.monotonic()
        if not resumable:
            self._sessions.pop(session.id, None)
        self._changes.bump()

    def cut(self, code: int, *, resumable: bool) -> int:
        """Close every connection with `code`, and say how many there were."""
        connected = self.connected()
        for session in connected:
            if session.outgoing is not None:
                session.outgoing.put_nowait(Close(code, "cut by the control API"))
            if not resumable:
                self._sessions.pop(session.id, None)
        return len(connected)

    def connected(self) -> list[Session]:
        """Return the sessions that have a connected client."""
        return [session for session in self._sessions.values() if session.outgoing is not None]

    def _forget_lost(self) -> None:
        now = time.monotonic()
        for session in list(self._sessions.values()):
            if session.lost_at is not None and now - session.lost_at > RESUMABLE_SECONDS:
                del self._sessions[session.id]
