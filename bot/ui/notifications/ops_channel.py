"""Post to the ops channel, and distinguish the ways in which that can fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import discord

from roas.ui.command_names import drawing_found_as, grouped
from roas.ui.drawing import Drawing, MissingPermission
from roas.ui.embeds.outcome import outcome_key
from roas.ui.redacted import hidden_drawing

# discord.py itself waits out rate limits and repeats a POST after a 5xx (with the same nonce); this is for a call
# that hangs for ever.
DEADLINE_SECONDS = 120.0
UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
MISSING_ACCESS = 50001
MISSING_PERMISSIONS = 50013
REPLY_NEEDS_HISTORY = 160002
THREAD_IS_THERE = 160004
LONGEST_THREAD_NAME = 100
CLOCK_SKEW = timedelta(minutes=5)
# A lost message is among the newest, since the outbox looks for it as soon as it runs again.
SEARCHED_MESSAGES = 1000


class PostError(Exception):
    """A message could not be posted."""


class DiscordAwayError(PostError):
    """Discord cannot be reached, or has a fault of its own: it is worth trying again."""


class ChannelClosedError(PostError):
    """The channel is gone, or we may not post there. `missing_permission` says what is missing."""

    def __init__(self, reason: str, missing_permission: MissingPermission | None = None) -> None:
        super().__init__(reason)
        self.missing_permission = missing_permission


class PermissionMissingError(ChannelClosedError):
    """We see the channel, but may not do all that this message needs."""


class MessageGoneError(PostError):
    """The message was deleted by a person."""


class MessageRefusedError(PostError):
    """Discord does not accept the message as it is: trying the same again is of no use."""


class OpsChannel:
    """Send, edit and find our messages in one channel, without needing it in the cache."""

    def __init__(
        self, client: discord.Client, guild_id: int, channel_id: int, command_group: str | None = None
    ) -> None:
        self._command_group = command_group
        self.id = channel_id
        self._client = client
        self._guild_id = guild_id
        self._known_locale: discord.Locale | None = None

    def link(self, message_id: int | None = None) -> str:
        """Return the address of a message, or of the channel."""
        base = f"https://discord.com/channels/{self._guild_id}/{self.id}"
        return f"{base}/{message_id}" if message_id is not None else base

    async def locale(self) -> discord.Locale:
        """Return the guild's preferred locale, from Discord's API until the gateway sent it. Raises PostError."""
        guild = self._client.get_guild(self._guild_id)
        if guild is not None:
            self._known_locale = guild.preferred_locale
        if self._known_locale is None:
            async with _typed_errors():
                fetched = await self._client.fetch_guild(self._guild_id, with_counts=False)
            self._known_locale = fetched.preferred_locale
        return self._known_locale

    async def send(self, drawing: Drawing, *, nonce: str, reply_to: int | None = None) -> int:
        """Post a message and return its id; the same nonce never posts twice. Raises PostError."""
        drawing = self._as_sent(drawing)
        options: dict[str, Any] = {"nonce": nonce, "embeds": drawing.embeds, "view": drawing.view()}
        if reply_to is not None:
            options["reference"] = self._reference(reply_to)
        async with _typed_errors():
            message: discord.Message = await self._channel.send(
                drawing.content or None,
                files=drawing.files(),
                allowed_mentions=_pinged_by(drawing),
                **options,
            )
        return message.id

    async def edit(self, message_id: int, drawing: Drawing) -> None:
        """Edit a message to look as drawn. Raises PostError."""
        drawing = self._as_sent(drawing)
        async with _typed_errors():
            await self._channel.get_partial_message(message_id).edit(
                content=drawing.content or None,
                embeds=drawing.embeds,
                view=drawing.view(),
                allowed_mentions=discord.AllowedMentions.none(),
            )

    def _as_sent(self, drawing: Drawing) -> Drawing:
        with grouped(self._command_group):
            return hidden_drawing(drawing_found_as(drawing))

    async def find(self, key: str, *, after: datetime) -> int | None:
        """Return the id of our newest message whose footer is `key`, posted after a time, or None. Raises PostError."""
        ourselves = self._client.user
        async with _typed_errors():
            # Not by `after`: discord.py would read on beyond it, and yield nothing by which to see that.
            async for message in self._channel.history(limit=SEARCHED_MESSAGES, oldest_first=False):
                if message.created_at < after - CLOCK_SKEW:
                    break
                if ourselves is not None and message.author.id == ourselves.id and _has_key(message, key):
                    return message.id
        return None

    async def below(self, message_id: int, name: str) -> "OpsChannel":
        """Return the thread below a message, opened where there is none: it has the message's id. Raises PostError."""
        async with _typed_errors():
            try:
                await self._channel.get_partial_message(message_id).create_thread(name=name[:LONGEST_THREAD_NAME])
            except discord.HTTPException as error:
                if error.code != THREAD_IS_THERE:
                    raise
            except ValueError as error:  # the gateway has not sent the guild yet
                raise DiscordAwayError(str(error)) from error
        return OpsChannel(self._client, self._guild_id, message_id, self._command_group)

    @property
    def _channel(self) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(self.id, guild_id=self._guild_id)

    def _reference(self, message_id: int) -> discord.MessageReference:
        return discord.MessageReference(
            message_id=message_id, channel_id=self.id, guild_id=self._guild_id, fail_if_not_exists=False
        )


def _pinged_by(drawing: Drawing) -> discord.AllowedMentions:
    """Let a new message ping whom it is meant to ping, and nobody else whatever its text says."""
    roles = [discord.Object(role) for role in drawing.pings] or False
    users = False if drawing.pinged_person is None else [discord.Object(drawing.pinged_person)]
    return discord.AllowedMentions(everyone=False, users=users, roles=roles, replied_user=False)


def _has_key(message: discord.Message, key: str) -> bool:
    """Return whether a message ends with the key: in its embed, or in its text where embeds are not allowed.

    A live message that became the outcome ends with the key of that.
    """
    ends = (key, outcome_key(key))
    return any(embed.footer.text in ends for embed in message.embeds) or message.content.endswith(ends)


@asynccontextmanager
async def _typed_errors() -> AsyncIterator[None]:
    """Convert what discord.py raises to a PostError that says what to do about it."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except discord.NotFound as error:
        if error.code == UNKNOWN_MESSAGE:
            raise MessageGoneError(str(error)) from error
        raise ChannelClosedError(
            str(error), MissingPermission.CHANNEL if error.code == UNKNOWN_CHANNEL else None
        ) from error
    except discord.Forbidden as error:
        if error.code in {MISSING_PERMISSIONS, REPLY_NEEDS_HISTORY}:
            raise PermissionMissingError(str(error)) from error
        raise ChannelClosedError(
            str(error), MissingPermission.VIEW if error.code == MISSING_ACCESS else None
        ) from error
    except discord.RateLimited as error:
        raise DiscordAwayError(str(error)) from error
    except discord.HTTPException as error:
        if error.code == REPLY_NEEDS_HISTORY:  # Discord answers 400 here, not 403
            raise PermissionMissingError(str(error)) from error
        away = error.status >= 500 or error.status in {401, 408, 429}
        raise (DiscordAwayError if away else MessageRefusedError)(str(error)) from error
    except (TimeoutError, OSError, aiohttp.ClientError) as error:
        raise DiscordAwayError(repr(error)) from error
