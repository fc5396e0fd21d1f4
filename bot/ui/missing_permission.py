"""Name the permissions that a post needs, as Discord's own settings call them."""

from enum import StrEnum


class MissingPermission(StrEnum):
    """What a message needs of its channel."""

    CHANNEL = "the channel"
    VIEW = "View Channel"
    SEND = "Send Messages"
    EMBEDS = "Embed Links"
    FILES = "Attach Files"
    HISTORY = "Read Message History"
