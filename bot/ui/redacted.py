"""Redact secrets before a text is drawn, since escaping would hide them from the search."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

import discord

from roas.messages.message import hide_in
from roas.redaction import hide
from roas.ui.drawing import CONTENT, FIELD_VALUE, Attachment, Button, Drawing, clip, fit

Data = TypeVar("Data")
Redact = Callable[[str], str]


def without_secrets(data: Data, redact: Redact) -> Data:
    """Return plain data with every text in it redacted."""
    clean: Data = _clean(data, redact)
    return clean


def _clean(value: Any, redact: Redact) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return hide_in(value, redact)
    if isinstance(value, tuple):
        return tuple(_clean(item, redact) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _clean(getattr(value, f.name), redact) for f in fields(value) if f.init})
    return value


# What of an embed people read; its addresses are ours.
READ = frozenset({"title", "description", "name", "value", "text"})


def hidden_text(text: str) -> str:
    """Return the content of a message without secrets."""
    return _clipped(text, CONTENT)


def hidden_embeds(embeds: Sequence[discord.Embed]) -> tuple[discord.Embed, ...]:
    """Return embeds without secrets, within Discord's limits."""
    shown = [embed.to_dict() for embed in embeds]
    hidden = [_hidden(item) for item in shown]
    return tuple(embeds) if hidden == shown else tuple(fit([discord.Embed.from_dict(item) for item in hidden]))


def hidden_drawing(drawing: Drawing) -> Drawing:
    """Return a message without secrets, the texts attached to it included."""
    picture = drawing.picture
    return replace(
        drawing,
        content=hidden_text(drawing.content),
        embeds=hidden_embeds(drawing.embeds),
        buttons=tuple(_button(button) for button in drawing.buttons),
        attachments=tuple(
            Attachment(hide(attachment.name), hide(attachment.text)) for attachment in drawing.attachments
        ),
        picture=None if picture is None else replace(picture, description=hide(picture.description)),
    )


def _button(button: Button) -> Button:
    return replace(button, label=hide(button.label))


def _hidden(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _hidden(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, key) for item in value]
    if isinstance(value, str) and key in READ:
        return _clipped(value, FIELD_VALUE) if key == "value" else hide(value)
    return value


def _clipped(text: str, limit: int) -> str:
    hidden = hide(text)
    return hidden if hidden == text else clip(hidden, limit)
