"""Describe what was posted to Discord, so that any process can redraw it after any crash."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Post:
    """Remember one message: of what (`subject`), which kind of message, and how it last looked."""

    subject: str
    kind: str
    channel_id: int
    message_id: int | None = None
    content_hash: str = ""
    finished: bool = False
