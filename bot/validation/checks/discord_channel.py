"""Check that the bot sees its guild, the ops channel, and the own channel of the environment."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.facts import DiscordFacts
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class DiscordChannelCheck:
    """Report whether the guild and the channels can be seen."""

    name = "discord_channel"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Check that the guild and the channels of the settings exist."""
        settings = subject.settings
        if subject.discord_facts is None:
            return passed(self, said("No channel to look for without a token."))
        facts = await subject.discord_facts()
        if facts.unreachable or not facts.token_accepted:
            return passed(self, said("The channel was not looked for, since Discord did not let the bot in."))
        if not facts.guild_found:
            message = said(
                "The bot is not a member of the guild {discord_guild_id}.", discord_guild_id=settings.discord_guild_id
            )
            return failed(
                self,
                message,
                said("Invite it with the scopes `bot` and `applications.commands`, or correct DISCORD_GUILD_ID."),
            )
        found = [self._channel(facts, *settings.channel_of(subject.environment.name))]
        if facts.ops is not None:
            found.append(self._channel(facts.ops, *settings.channel_of("")))
        return next((one for one in found if not one.passed), found[0])

    def _channel(self, facts: DiscordFacts, channel_id: int | None, setting: str) -> CheckResult:
        """Check that one channel exists and accepts messages."""
        if not facts.channel_found:
            message = said("The bot does not see the channel {channel_id} in its guild.", channel_id=channel_id)
            return failed(self, message, said("Give it View Channel there, or correct {setting}.", setting=setting))
        if not facts.channel_takes_messages:
            return failed(
                self,
                said("#{channel_name} is not a text channel.", channel_name=facts.channel_name),
                said("Set {setting} to a text channel.", setting=setting),
            )
        return passed(self, said("The bot sees #{channel_name}.", channel_name=facts.channel_name))
