"""Log what the settings name and the server does not have: it would show only when somebody needs it."""

from typing import Protocol

from roas.log import get_logger
from roas.settings import Settings
from roas.validation.discord_roles import named_roles

log = get_logger(__name__)


class Server(Protocol):
    """What is known of a server, as discord.py has it."""

    def get_channel_or_thread(self, channel_id: int, /) -> object | None:
        """Return a channel, or a thread that the bot is in."""
        ...

    def get_role(self, role_id: int, /) -> object | None:
        """Return a role."""
        ...


def log_missing(guild: Server, settings: Settings) -> None:
    """Look for the channels and the roles of the settings; what is known of the server is all that is asked."""
    channels = {settings.channel_of(name) for name in ("", *settings.environment_names)}
    for channel_id, setting in sorted(channels, key=lambda one: one[1]):
        if channel_id is not None and guild.get_channel_or_thread(channel_id) is None:
            log.error(
                "the bot does not see a channel of the settings",
                channel_id=channel_id,
                setting=setting,
                hint="Give the bot View Channel there, or correct the id.",
            )
    for setting, role_id in named_roles(settings):
        if guild.get_role(role_id) is None:
            log.error(
                "the server has no such role",
                role_id=role_id,
                setting=setting,
                hint="Copy the id of the role again (server settings, Roles), or take it out.",
            )
