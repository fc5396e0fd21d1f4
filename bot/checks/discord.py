"""Check that the bot can reach people, in Discord and outside of it, and what reaches it from sources."""

from roas.checks.check import Finding, check, failed, listed, passed
from roas.checks.subject import Subject
from roas.messages.message import said
from roas.models.check import CheckSeverity
from roas.models.facts import DiscordFacts


@check("discord_token", CheckSeverity.WARNING)
async def discord_token(subject: Subject) -> Finding:
    """Report what Discord said of the token; a deployment works without Discord, so that it never stops one."""
    if subject.discord_facts is None:
        return passed(said("DISCORD_TOKEN is not set: the bot can be used from the command line only."))
    facts = await subject.discord_facts()
    if facts.unreachable:
        remedy = said("Deployments continue without Discord; messages arrive when it is back.")
        return failed(said("Discord does not answer: {unreachable}.", unreachable=facts.unreachable), remedy)
    if not facts.token_accepted:
        remedy = said(
            "Reset it at https://discord.com/developers/applications (Bot, Reset Token) and set DISCORD_TOKEN."
        )
        return failed(said("Discord refuses the token."), remedy)
    return passed(said("Discord accepts the token; the bot is {bot_name}.", bot_name=facts.bot_name))


@check("discord_channel", CheckSeverity.WARNING)
async def discord_channel(subject: Subject) -> Finding | list[Finding]:
    """Report whether the guild and the channels can be seen; the check of the token says where Discord is away."""
    settings = subject.settings
    facts = await subject.discord_facts() if subject.discord_facts is not None else None
    if facts is None or facts.unreachable or not facts.token_accepted:
        return []
    if not facts.guild_found:
        message = said(
            "The bot is not a member of the guild {discord_guild_id}.", discord_guild_id=settings.discord_guild_id
        )
        return failed(
            message,
            said("Invite it with the scopes `bot` and `applications.commands`, or correct DISCORD_GUILD_ID."),
        )
    found = [_judge_channel(facts, *settings.channel_of(subject.environment.name))]
    if facts.ops is not None:
        found.append(_judge_channel(facts.ops, *settings.channel_of("")))
    return next((finding for finding in found if not finding.passed), found[0])


def _judge_channel(facts: DiscordFacts, channel_id: int | None, setting: str) -> Finding:
    """Check that one channel exists and accepts messages."""
    if not facts.channel_found:
        message = said("The bot does not see the channel {channel_id} in its guild.", channel_id=channel_id)
        return failed(message, said("Give it View Channel there, or correct {setting}.", setting=setting))
    if not facts.channel_takes_messages:
        return failed(
            said(
                "{setting} names #{channel_name}, which is not a text channel.",
                setting=setting,
                channel_name=facts.channel_name,
            )
        )
    return passed()


@check("discord_permissions", CheckSeverity.WARNING)
async def discord_permissions(subject: Subject) -> Finding | list[Finding]:
    """Report the permissions that the bot lacks in the ops channel, and in the environment's own."""
    facts = await subject.discord_facts() if subject.discord_facts is not None else None
    channels = [channel for channel in (facts, facts and facts.ops) if channel is not None and channel.channel_found]
    if not channels:
        return []
    if any(channel.missing_permissions is None for channel in channels):
        return failed(said("The bot's permissions could not be read."))
    wrong = [channel for channel in channels if channel.missing_permissions]
    return [
        failed(
            said(
                "The bot lacks {lacks} in #{name}.",
                lacks=listed(channel.missing_permissions or ()),
                name=channel.channel_name,
            )
        )
        for channel in wrong
    ] or passed()


@check("discord_roles", CheckSeverity.WARNING)
async def discord_roles(subject: Subject) -> Finding | list[Finding]:
    """Report roles that nobody can have, and such that ring nobody's phone: both show only when they are needed."""
    facts = await subject.discord_facts() if subject.discord_facts is not None else None
    if facts is None or not facts.guild_found:
        return []
    if facts.unknown_roles:
        return failed(said("The server has no such role: {roles}.", roles=listed(facts.unknown_roles)))
    if facts.unnotified_roles:
        return failed(
            said("Discord notifies nobody when the bot mentions {roles}.", roles=listed(facts.unnotified_roles)),
            said(
                "Let anyone mention the role (server settings, Roles), or the bot all roles. Approvers are not "
                "mentioned with DISCORD_MENTION_APPROVERS=false."
            ),
        )
    return passed()


@check("notify", CheckSeverity.WARNING)
async def notify(subject: Subject) -> Finding | list[Finding]:
    """Report the targets outside of Discord that Apprise cannot use; nothing is sent."""
    if subject.unusable_targets is None:
        return []
    unusable = await subject.unusable_targets()
    if not unusable:
        return passed()
    return [
        failed(said("[notify.{target}]: {problem}", target=name, problem=error.message), error.hint)
        for name, error in unusable.items()
    ]


@check("webhooks", CheckSeverity.INFO)
async def webhooks(subject: Subject) -> list[Finding]:
    """Report why nothing has come yet of the webhooks of a source."""
    return [
        failed(
            said(
                "Nothing has come yet of the webhooks of {source}. The last one, at {time} UTC: {note}",
                source=delivery.source,
                time=f"{delivery.received_at:%Y-%m-%d %H:%M}",
                note=delivery.note,
            ),
            said("Compare what it sends with [sources.{source}] in roas.toml.", source=delivery.source),
        )
        for delivery in (await subject.idle_webhooks() if subject.idle_webhooks is not None else ())
    ]
