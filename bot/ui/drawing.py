"""Draw embeds within Discord's limits: their icons and colours, their lengths, and where they may be posted."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import discord

from roas.messages.message import FIELD, Field, Message, filled, worded
from roas.models.deployment import Deployment, Outcome, PhaseStatus, ServiceStep
from roas.models.health import Verdict
from roas.models.plan import ServiceAction
from roas.ui.translation import _, template_of, translate

TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
CONTENT = 2000
EMBEDS = 10
TOTAL = 6000
CHOICES = 25
CHOICE = 100
ATTACHMENT_BYTES = 256 * 1024
ATTACHMENT_DESCRIPTION = 1024

# Discord rejects an empty or blank field; this replaces it.
NOTHING = "–"
UNESCAPED_BACKTICK = re.compile(r"(?<!\\)`")
# discord.py escapes the indent of a list's item, not its mark: that would show the backslash.
ESCAPED_INDENT = re.compile(r"^\\(\s+)(?=[-*+])", re.MULTILINE)
MASS_MENTION = re.compile(r"@(everyone|here)")


def clip(text: str, limit: int) -> str:
    """Shorten a text to a limit, with an ellipsis; never ends within an escape (a lone backslash)."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1].rstrip()
    dangling = len(kept) - len(kept.rstrip("\\"))
    return (kept[:-1] if dangling % 2 else kept) + "…"


def plain(text: str, limit: int = DESCRIPTION) -> str:
    """Escape untrusted text so that it shows as written: no markdown, no mass mentions, clipped.

    A mention of one person or role stays readable: within an embed it pings nobody.
    """
    # discord.py escapes the first of the links of a line only, and nothing between that one and the last.
    escaped = "]\\(".join(map(_escaped, text.split("]("))) if "](" in text else _escaped(text)
    return clip(_without_mentions(escaped), limit)


# As the core says when something was: `2026-12-07 07:11:28 UTC`.
SAID_TIME = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2})?) UTC\b")


def marked_up(text: str, limit: int = DESCRIPTION) -> str:
    """Write what the core said: the commands and names that it quotes are code spans, all else is escaped."""
    return _clip_marked_up(_in_own_zone(_marked_up(text)), limit) if isinstance(text, Message) else plain(text, limit)


def marked_up_line(text: str, limit: int) -> str:
    """Write what the core said on one line."""
    if not isinstance(text, Message):
        return one_line(text, limit)
    return _clip_marked_up(_in_own_zone(" ".join(_marked_up(text).split())), limit)


def _in_own_zone(text: str) -> str:
    """Write the times that the core said in UTC so that Discord shows them in the reader's own zone."""
    return SAID_TIME.sub(lambda found: f"<t:{int(datetime.fromisoformat(f'{found[1]}+00:00').timestamp())}:f>", text)


def _clip_marked_up(text: str, limit: int) -> str:
    """Shorten a text to a limit; a code span that is cut has its end."""
    if len(text) <= limit:
        return text
    kept = clip(text, limit - 1)
    return f"{kept}`" if len(UNESCAPED_BACKTICK.findall(kept)) % 2 else kept


def _marked_up(text: Field) -> str:
    if not isinstance(text, Message):
        return plain(str(text))
    spans = worded(template_of(text.key), text.fields).split("`")
    if len(spans) % 2 == 0:  # one of them has no end
        return plain(translate(text))
    parts = []
    for number, span in enumerate(spans):
        if number % 2:
            filled_in = filled(span, {name: translate(str(value)) for name, value in text.fields.items()})
            parts.append(code(filled_in, len(filled_in)))
        else:
            pieces = FIELD.split(span)  # texts, and between them the names of fields
            parts += [
                _marked_up(text.fields.get(piece, f"{{{piece}}}")) if index % 2 else plain(piece)
                for index, piece in enumerate(pieces)
            ]
    return "".join(parts)


def _escaped(part: str) -> str:
    return ESCAPED_INDENT.sub(r"\1\\", discord.utils.escape_markdown(part, ignore_links=False))


def _without_mentions(text: str) -> str:
    """Break a mass mention with a zero-width character."""
    return MASS_MENTION.sub("@\u200b\\1", text) if "@" in text else text


def one_line(text: str, limit: int) -> str:
    """Escape untrusted text, on one line."""
    return plain(" ".join(text.split()), limit)


def code(text: str, limit: int = 80) -> str:
    """Return a name as a code span; what would end the span early is replaced."""
    inner = " ".join(_without_mentions(text).replace("`", "ʼ").split())
    return f"`{clip(inner, limit) or NOTHING}`"


# A phone shows hardly half of that in one line.
DIFF_WIDTH, DIFF_FRAME = 120, len("```diff\n\n```")


def code_block(text: str, limit: int) -> str:
    """Return the end of a longer text as a code block: of a log, the last lines matter most."""
    inner = _without_mentions(text.strip()).replace("```", "ʼʼʼ")
    room = limit - len("```\n\n```") - 1
    return f"```\n{inner if len(inner) <= room else '…' + inner[-room:]}\n```"


def diff_block(parts: Sequence[str], limit: int) -> str:
    """Return as many lines of a diff as fit, in Discord's colours for it."""
    shown = [clip(_without_mentions(part).replace("```", "ʼʼʼ"), DIFF_WIDTH) for part in parts]
    return f"```diff\n{lines(shown, limit - DIFF_FRAME)}\n```"


def more(count: int) -> str:
    """Say how many are not shown."""
    return _("… and {count} more", count=count)


def lines(parts: Sequence[str], limit: int) -> str:
    """Join as many lines as fit, and say how many did not."""
    text = "\n".join(parts)
    if len(text) <= limit:
        return text
    kept: list[str] = []
    used = 0
    for index, part in enumerate(parts):
        rest = more(len(parts) - index)
        if used + len(part) + 1 + len(rest) > limit:
            return "\n".join([*kept, rest])[:limit]
        kept.append(part)
        used += len(part) + 1
    return "\n".join(kept)


def add_field(embed: discord.Embed, name: str, value: str, *, inline: bool = False) -> None:
    """Add a field, clipped and never empty; the 26th is left out."""
    if len(embed.fields) < FIELDS:
        name, value = clip(name.strip(), FIELD_NAME), clip(value.strip(), FIELD_VALUE)
        embed.add_field(name=name or NOTHING, value=value or NOTHING, inline=inline)


def fit(embeds: Iterable[discord.Embed]) -> list[discord.Embed]:
    """Fit embeds into one message: ten of them, 6000 characters in all; the longest parts are shortened first."""
    kept = [_clip_parts(embed) for embed in list(embeds)[:EMBEDS]]
    share = TOTAL // max(len(kept), 1)
    for embed in kept:
        allowed = share if sum(len(e) for e in kept) > TOTAL else TOTAL
        _shrink(embed, allowed)
    return kept


def _clip_parts(embed: discord.Embed) -> discord.Embed:
    embed.title = clip(embed.title, TITLE) if embed.title else None
    embed.description = clip(embed.description, DESCRIPTION) if embed.description else None
    if embed.footer.text:
        embed.set_footer(text=clip(embed.footer.text, FOOTER))
    return embed


def _shrink(embed: discord.Embed, allowed: int) -> None:
    """Shorten the description first, then drop whole fields from the end."""
    over = len(embed) - allowed
    if over > 0 and embed.description:
        embed.description = clip(embed.description, max(len(embed.description) - over, 200))
    while len(embed) > allowed and embed.fields:
        embed.remove_field(len(embed.fields) - 1)


class MissingPermission(StrEnum):
    """What a message needs of its channel."""

    CHANNEL = "the channel"
    VIEW = "View Channel"
    SEND = "Send Messages"
    EMBEDS = "Embed Links"
    FILES = "Attach Files"
    HISTORY = "Read Message History"


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
    # The person that a new message pings, likewise.
    pinged_person: int | None = None

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
        return [attachment.file() for attachment in (*self.attachments, *pictures)]


def _as_text(embed: discord.Embed) -> Iterator[str]:
    """Yield the lines of an embed."""
    yield f"**{embed.title}**" if embed.title else ""
    yield embed.description or ""
    for field in embed.fields:
        yield f"**{field.name}**\n{field.value}"


RUNNING = discord.Colour(0x5865F2)
GOOD = discord.Colour(0x2ECC71)
CAREFUL = discord.Colour(0xF1C40F)
BAD = discord.Colour(0xE74C3C)
QUIET = discord.Colour(0x95A5A6)

PHASES: dict[PhaseStatus, str] = {
    PhaseStatus.PENDING: "⬜",
    PhaseStatus.IN_PROGRESS: "🔄",
    PhaseStatus.SUCCESS: "✅",
    PhaseStatus.FAILED: "❌",
    PhaseStatus.CANCELLED: "🚫",
}

STEPS: dict[ServiceStep, str] = {
    ServiceStep.PENDING: "⬜",
    ServiceStep.PULLING: "⬇️",
    ServiceStep.PULLED: "📦",
    ServiceStep.BUILDING: "🔨",
    ServiceStep.BUILT: "📦",
    ServiceStep.CREATING: "🔄",
    ServiceStep.STARTING: "🔄",
    ServiceStep.WAITING: "⏳",
    ServiceStep.PAUSED: "⏸️",
    ServiceStep.HEALTHY: "🟢",
    ServiceStep.UNVERIFIED: "⚪",
    ServiceStep.COMPLETED: "🟢",
    ServiceStep.UNCHANGED: "▫️",
    ServiceStep.REMOVING: "🔄",
    ServiceStep.REMOVED: "➖",
    ServiceStep.RESTORING: "↩️",
    ServiceStep.RESTORED: "↩️",
    ServiceStep.FAILED: "🔴",
    ServiceStep.STOPPING: "🔄",
    ServiceStep.STOPPED: "⏹️",
}

OUTCOMES: dict[Outcome, tuple[str, discord.Colour]] = {
    Outcome.SUCCEEDED: ("✅", GOOD),
    Outcome.ROLLED_BACK: ("↩️", CAREFUL),
    Outcome.CANCELLED: ("🚫", QUIET),
    Outcome.FAILED: ("🆘", BAD),
}
# It failed before it changed anything: what runs, runs on, and nobody has to hurry.
HARMLESS = ("❌", BAD)


def mark(deployment: Deployment) -> tuple[str, discord.Colour]:
    """Return the icon and the colour of a deployment that has ended."""
    outcome = deployment.outcome or Outcome.FAILED
    return HARMLESS if outcome is Outcome.FAILED and not deployment.touched else OUTCOMES[outcome]


VERDICTS: dict[Verdict, tuple[str, discord.Colour]] = {
    Verdict.HEALTHY: ("🟢", GOOD),
    Verdict.UNVERIFIED: ("⚪", QUIET),
    Verdict.DEGRADED: ("🟡", CAREFUL),
    Verdict.UNHEALTHY: ("🔴", BAD),
    Verdict.UNKNOWN: ("❔", QUIET),
}

# `unknown` is not the service's own fault.

ACTIONS: dict[ServiceAction, str] = {
    ServiceAction.CREATE: "➕",
    ServiceAction.RECREATE: "🔄",
    ServiceAction.RESTART: "🔁",
    ServiceAction.START: "▶️",
    ServiceAction.ADJUST: "↕️",
    ServiceAction.RELOAD: "🔁",
    ServiceAction.REMOVE: "➖",
    ServiceAction.STOP: "⏹️",
    ServiceAction.KEEP: "▫️",
}
