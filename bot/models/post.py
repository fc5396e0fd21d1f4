"""Describe what was posted in Discord, and how far a target outside of it was told."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Post:
    """Remember one message: of what (`subject`), which kind of message, and how it last looked."""

    subject: str
    kind: str
    channel_id: int
    message_id: int | None = None
    content_hash: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True)
class WaitingAlert:
    """Name an alert that a target is told unless somebody acknowledges it in time, and when it fired."""

    alert_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class TargetPosition:
    """Remember up to which change a target was told, which alerts wait, and of which it is to be told the end."""

    sequence: int
    waiting: tuple[WaitingAlert, ...] = ()
    told: tuple[str, ...] = ()
