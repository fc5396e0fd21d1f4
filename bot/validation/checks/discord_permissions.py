"""Check that the bot may do in its ops channel what it has to do there."""

from bot.models.check import CheckResult, Severity
from bot.validation.finding import failed, listed, passed
from bot.validation.subject import Subject


class DiscordPermissionsCheck:
    """Report the permissions that the bot lacks in the ops channel."""

    name = "discord_permissions"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Name each permission that is missing."""
        facts = await subject.discord_facts() if subject.discord_facts is not None else None
        if facts is None or not facts.channel_found:
            return passed(self, "There is no channel to have permissions in.")
        if facts.missing_permissions is None:
            return failed(self, "The bot's permissions could not be read.", "Look at them in the channel's settings.")
        if facts.missing_permissions:
            message = f"The bot lacks {listed(facts.missing_permissions)} in #{facts.channel_name}."
            return failed(self, message, "Give these to the bot's role in the channel's settings.")
        return passed(self, f"The bot may do all it needs in #{facts.channel_name}.")
