"""Check that the bot may do in its channels what it has to do there."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class DiscordPermissionsCheck:
    """Report the permissions that the bot lacks in the ops channel, and in the environment's own."""

    name = "discord_permissions"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Name each permission that is missing."""
        facts = await subject.discord_facts() if subject.discord_facts is not None else None
        there = [one for one in (facts, facts and facts.ops) if one is not None and one.channel_found]
        if not there:
            return passed(self, said("No channel was found, so no permissions were checked."))
        if any(one.missing_permissions is None for one in there):
            return failed(
                self, said("The bot's permissions could not be read."), said("Check them in the channel's settings.")
            )
        wrong = [one for one in there if one.missing_permissions]
        if not wrong:
            return passed(
                self, said("The bot may do all it needs in #{channel_name}.", channel_name=there[0].channel_name)
            )
        lacks, name = listed(wrong[0].missing_permissions or ()), wrong[0].channel_name
        message = said("The bot lacks {lacks} in #{name}.", lacks=lacks, name=name)
        if len(wrong) > 1:
            lacks_too, ops = listed(wrong[1].missing_permissions or ()), wrong[1].channel_name
            message = said(
                "The bot lacks {lacks} in #{name}, and {lacks_too} in #{ops}.",
                lacks=lacks,
                name=name,
                lacks_too=lacks_too,
                ops=ops,
            )
        return failed(self, message, said("Give these to the bot's role in the channel's settings."))
