"""Describe the wanted look of a message, so that it can be compared with what was posted, by content alone."""

import hashlib
import io
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

import discord

from roas.ui.limits import ATTACHMENT_BYTES, ATTACHMENT_DESCRIPTION, CONTENT, clip
from roas.ui.missing_permission import MissingPermission


@dataclass(frozen=True, slots=True)
class Button:
    """Describe a button; it holds an id only, everything else is read again on click."""

    label: str
    custom_id: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary
    emoji: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """Hold a text that is attached as a file."""

    name: str
    text: str

    def file(self) -> discord.File:
        """Return it as discord.py sends it: its end, where it is too long."""
        return discord.File(io.BytesIO(self.text.encode()[-ATTACHMENT_BYTES:]), filename=self.name)


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold an attached picture, and its alternative text."""

    name: str
    png: bytes
    description: str

    def file(self) -> discord.File:
        """Return it as discord.py sends it."""
        text = clip(self.description, ATTACHMENT_DESCRIPTION)
        return discord.File(io.BytesIO(self.png), filename=self.name, description=text)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Hold the content of one message. `key` marks the embed's footer, by which the message is found again."""

    key: str
    embeds: tuple[discord.Embed, ...]
    content: str = ""
    buttons: tuple[Button, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    picture: Picture | None = None
    # The roles that a new message pings; only a mention of them in `content` does so.
    pings: tuple[int, ...] = ()

    @property
    def content_hash(self) -> str:
        """Return the same value for two messages that look the same."""
        parts = [
            self.content,
            [embed.to_dict() for embed in self.embeds],
            [(b.label, b.custom_id) for b in self.buttons],
            [(a.name, a.text) for a in self.attachments],
            *([] if self.picture is None else [(self.picture.name, self.picture.png.hex(), self.picture.description)]),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def needs(self) -> frozenset[MissingPermission]:
        """Return which permissions it needs beside that to send anything."""
        files = {MissingPermission.FILES} if self.attachments or self.picture is not None else set()
        return frozenset(files | ({MissingPermission.EMBEDS} if self.embeds else set()))

    def without(self, missing_permissions: Set[MissingPermission]) -> "Drawing":
        """Return what is left of it with fewer permissions: without files, and with text in place of embeds."""
        left = replace(self, attachments=(), picture=None) if MissingPermission.FILES in missing_permissions else self
        if MissingPermission.EMBEDS not in missing_permissions:
            return left
        parts = [self.content, *(part for embed in self.embeds for part in _as_text(embed)), self.key]
        text = "\n".join(part for part in parts if part)
        kept = text if len(text) <= CONTENT else f"{clip(text, CONTENT - len(self.key) - 1)}\n{self.key}"
        return replace(left, content=kept, embeds=())

    def view(self) -> discord.ui.View:
        """Return the buttons; the view listens to nothing itself, since the click is answered by the id alone."""
        view = discord.ui.View(timeout=None)
        for button in self.buttons:
            view.add_item(
                discord.ui.Button(
                    label=button.label, custom_id=button.custom_id, style=button.style, emoji=button.emoji
                )
            )
        view.stop()
        return view

    def files(self) -> list[discord.File]:
        """Return what comes along, the picture last."""
        pictures = () if self.picture is None else (self.picture,)
        return [one.file() for one in (*self.attachments, *pictures)]


def _as_text(embed: discord.Embed) -> Iterator[str]:
    """Yield the lines of an embed."""
    yield f"**{embed.title}**" if embed.title else ""
    yield embed.description or ""
    for field in embed.fields:
        yield f"**{field.name}**\n{field.value}"
