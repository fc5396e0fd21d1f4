"""Check that Discord accepts the token."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class DiscordTokenCheck:
    """Report what Discord said of the token; a deployment works without Discord, so that it never stops one."""

    name = "discord_token"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Check that Discord accepts the token."""
        if subject.discord_facts is None:
            return passed(self, said("DISCORD_TOKEN is not set: the bot can be used from the command line only."))
        facts = await subject.discord_facts()
        if facts.unreachable:
            remedy = said("Deployments continue without Discord; messages arrive when it is back.")
            return failed(self, said("Discord does not answer: {unreachable}.", unreachable=facts.unreachable), remedy)
        if not facts.token_accepted:
            remedy = said(
                "Reset it at https://discord.com/developers/applications (Bot, Reset Token) and set DISCORD_TOKEN."
            )
            return failed(self, said("Discord refuses the token."), remedy)
        return passed(self, said("Discord accepts the token; the bot is {bot_name}.", bot_name=facts.bot_name))
