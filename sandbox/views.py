"""The responses of the control API, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

_EPHEMERAL, _LOADING = 1 << 6, 1 << 7
_BUTTON = 2


@dataclass(frozen=True)
class Button:
    """A button on a message."""

    custom_id: str | None
    label: str
    style: int
    disabled: bool
    url: str | None


@dataclass(frozen=True)
class Message:
    """A message as one person sees it."""

    id: int
    channel_id: int
    author_id: int
    author: str
    content: str
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    ephemeral: bool
    loading: bool
    created_at: datetime
    edited_at: datetime | None
    pinged_users: list[int]
    pinged_roles: list[int]
    pinged_everyone: bool

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Message:
        """Read a message of the control API."""
        edited, flags = data["edited_timestamp"], int(data["flags"])
        return cls(
            id=int(data["id"]),
            channel_id=int(data["channel_id"]),
            author_id=int(data["author"]["id"]),
            author=data["author"]["username"],
            content=data["content"],
            embeds=data["embeds"],
            components=data["components"],
            attachments=data["attachments"],
            ephemeral=bool(flags & _EPHEMERAL),
            loading=bool(flags & _LOADING),
            created_at=datetime.fromisoformat(data["timestamp"]),
            edited_at=datetime.fromisoformat(edited) if edited else None,
            pinged_users=[int(item) for item in data["pinged"]["users"]],
            pinged_roles=[int(item) for item in data["pinged"]["roles"]],
            pinged_everyone=data["pinged"]["everyone"],
        )

    @property
    def buttons(self) -> list[Button]:
        """Return the buttons in all rows, from left to right."""
        return [
            Button(
                item.get("custom_id"),
                item.get("label") or "",
                item["style"],
                bool(item.get("disabled")),
                item.get("url"),
            )
            for row in self.components
            for item in row.get("components", [])
            if item["type"] == _BUTTON
        ]

    @property
    def text(self) -> str:
        """Return all that can be read in the message, to search in."""
        lines = [self.content]
        for embed in self.embeds:
            lines += [embed.get("title") or "", embed.get("description") or ""]
            lines += [f"{item['name']}\n{item['value']}" for item in embed.get("fields") or []]
            lines += [(embed.get(part) or {}).get(key) or "" for part, key in (("author", "name"), ("footer", "text"))]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Interaction:
    """An interaction that was sent; ask for its answer by its id."""

    id: int
    what: str


@dataclass(frozen=True)
class Choice:
    """One suggestion of an autocomplete."""

    name: str
    value: str | int | float


@dataclass(frozen=True)
class Answer:
    """How the bot answered an interaction, as the person who caused it sees it."""

    id: int
    acknowledged: bool
    acknowledged_after: float | None
    kind: str | None
    loading: bool
    complete: bool
    error: str | None
    ephemeral: bool
    original: Message | None
    followups: list[Message]
    choices: list[Choice]
    modal: dict[str, Any] | None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Answer:
        """Read an interaction's state of the control API."""
        original = data["original"]
        return cls(
            id=int(data["id"]),
            acknowledged=data["acknowledged"],
            acknowledged_after=data["acknowledged_after"],
            kind=data["kind"],
            loading=data["loading"],
            complete=data["complete"],
            error=data["error"],
            ephemeral=data["ephemeral"],
            original=Message.from_json(original) if original else None,
            followups=[Message.from_json(item) for item in data["followups"]],
            choices=[Choice(item["name"], item["value"]) for item in data["choices"] or []],
            modal=data["modal"],
        )

    @property
    def message(self) -> Message | None:
        """Return what was said last: the newest follow-up, else the original response."""
        return self.followups[-1] if self.followups else self.original


@dataclass(frozen=True)
class Asked:
    """When something was asked of the bot, acknowledged and answered, in seconds of the sandbox's monotonic clock."""

    id: int
    command: str
    sent: float
    acknowledged: float | None
    answered: float | None
    answers: int
    refused: int

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Asked:
        """Read one of the control API's list of interactions."""
        return cls(**{**data, "id": int(data["id"])})
