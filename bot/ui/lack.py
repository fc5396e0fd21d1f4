"""Name what may be missing for a post, in the words of Discord's own settings."""

from enum import StrEnum


class Lack(StrEnum):
    """What a message needs of its channel."""

    CHANNEL = "the channel"
    VIEW = "View Channel"
    SEND = "Send Messages"
    EMBEDS = "Embed Links"
    FILES = "Attach Files"
    HISTORY = "Read Message History"
