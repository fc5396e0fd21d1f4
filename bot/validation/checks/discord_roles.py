"""Check that the server has the roles of the settings, and that a mention of them reaches somebody."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class DiscordRolesCheck:
    """Report roles that nobody can have, and such that ring nobody's phone: both show only when they are needed."""

    name = "discord_roles"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> CheckResult:
        """Check the roles that may do something, and those that are mentioned."""
        facts = await subject.discord_facts() if subject.discord_facts is not None else None
        if facts is None or not facts.guild_found:
            return passed(self, said("No server was found, so no roles were looked for."))
        if facts.unknown_roles:
            return failed(
                self,
                said("The server has no such role: {roles}.", roles=listed(facts.unknown_roles)),
                said("Copy the id of the role again (server settings, Roles) into the setting, or take it out there."),
            )
        if facts.silent_roles:
            return failed(
                self,
                said("Discord notifies nobody when the bot mentions {roles}.", roles=listed(facts.silent_roles)),
                said(
                    "Let anyone mention the role (server settings, Roles), or the bot all roles. Approvers are not "
                    "mentioned with DISCORD_MENTION_APPROVERS=false."
                ),
            )
        return passed(self, said("The server has the roles of the settings."))
