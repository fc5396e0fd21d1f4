"""Decide who may do what, from the interaction itself: guild, channel and roles, by id.

| action                                  | needs                                                             |
|---------------------------------------|-------------------------------------------------------------------|
| status, history                       | nothing more than to see the channel                              |
| logs                                  | the deployer, the approver or the hotfix role                     |
| plan (a dry run)                      | the deployer or the approver role                                 |
| deploy, rollback                      | the deployer role                                                 |
| confirm a plan                        | to be the one who asked for it, still with the role for it        |
| approve a plan                        | the approver role, and not to be the one who asked for it         |
| withdraw a plan                       | to be the one who asked for it, or the approver role              |
| hotfix                                | the hotfix role, in every environment; nobody else approves it    |
| cancel                                | what it needs to start the same, or the approver role             |
| resume a pause, or roll it back       | the same as to cancel                                             |
| lock                                  | the deployer or the approver role                                 |
| unlock                                | the same; where approval is needed, the approver role, or to be   |
|                                       | the one who locked it                                             |

Everything happens in the guild of the settings: in the ops channel, and what concerns an environment that has a channel
of its own in that one too, but nothing else there. A setting that is missing, or a list of roles that
is empty, allows nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import discord

from roas.configuration.settings import Settings
from roas.errors import NotPermittedError
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, Freeze
from roas.models.environment import Environment, whole_of
from roas.models.plan import PlanRecord
from roas.ui.formatting import person
from roas.ui.translation import _, word


class Action(StrEnum):
    """What a person can ask for."""

    STATUS = "status"
    PLAN = "plan"
    DEPLOY = "deploy"
    ROLLBACK = "roll back"
    HOTFIX = "hotfix"
    APPROVE = "approve"
    LOGS = "read"
    LOCK = "lock"
    UNLOCK = "unlock"


ACTIONS = {
    DeploymentKind.DEPLOY: Action.DEPLOY,
    DeploymentKind.ROLLBACK: Action.ROLLBACK,
    DeploymentKind.HOTFIX: Action.HOTFIX,
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Identify the member and the channel, as Discord sent them with the interaction."""

    user_id: int
    name: str
    guild_id: int | None
    channel_id: int | None
    role_ids: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold the ids that may use commands."""

    guild_id: int | None
    channel_id: int | None
    deployers: frozenset[int] = field(default_factory=frozenset)
    approvers: frozenset[int] = field(default_factory=frozenset)
    hotfixers: frozenset[int] = field(default_factory=frozenset)
    channel_missing: bool = False
    own_channels: Mapping[str, int] = field(default_factory=dict)

    @property
    def all_roles(self) -> frozenset[int]:
        """Return every role that may do more than look."""
        return self.deployers | self.approvers | self.hotfixers

    def environments_of(self, channel_id: int | None) -> frozenset[str]:
        """Return the environments whose own channel this is."""
        return frozenset(name for name, own in self.own_channels.items() if own == channel_id)

    def is_seen_in(self, channel_id: int | None, environment: str) -> bool:
        """Return whether an environment may be asked for in a channel."""
        return channel_id == self.channel_id or whole_of(environment) in self.environments_of(channel_id)


def rules_from(settings: Settings) -> Rules:
    """Read the rules from the settings."""
    return Rules(
        guild_id=settings.discord_guild_id,
        channel_id=settings.discord_ops_channel_id,
        deployers=settings.discord_deployer_role_ids,
        approvers=settings.discord_approver_role_ids,
        hotfixers=settings.discord_hotfix_role_ids,
        own_channels=settings.own_channels,
    )


def asker_of(interaction: discord.Interaction) -> Asker:
    """Read who asks from an interaction."""
    user = interaction.user
    return Asker(
        user_id=user.id,
        name=user.display_name,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        role_ids=_role_ids(user),
    )


def _role_ids(user: discord.User | discord.Member) -> frozenset[int]:
    """Return the ids that came with the interaction; `roles` would leave out those that the cache does not know yet."""
    if not isinstance(user, discord.Member):
        return frozenset()
    return frozenset(user._roles)


def refusal(action: Action, environment: Environment | None, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not do something, or None where they may.

    Without an environment it is about those of the channel, whichever they are.
    """
    if out_of_place := place_refusal(asker, rules, environment.name if environment is not None else None):
        return out_of_place
    if action is Action.STATUS:
        return None
    if environment is None:
        return _("No environment was given.")
    wanted, called = _wanted_roles(action, environment, rules)
    return None if asker.role_ids & wanted else _missing_role(action, environment, wanted, called)


def cancel_refusal(kind: DeploymentKind, environment: Environment, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not cancel a deployment, or None where they may."""
    if out_of_place := place_refusal(asker, rules, environment.name):
        return out_of_place
    return None if asker.role_ids & rules.approvers else refusal(ACTIONS[kind], environment, asker, rules)


def permit(why_not: str | None) -> None:
    """Raise NotPermittedError where there is a reason to refuse."""
    if why_not is not None:
        raise NotPermittedError(
            why_not,
            hint=_("Ask somebody who may do this, or who manages the roles, the channels and the bot's settings."),
        )


def place_refusal(asker: Asker, rules: Rules, environment: str | None) -> str | None:
    """Return why an environment cannot be used in a channel, or None where it can.

    None means those of the channel, an empty name what concerns no environment.
    """
    environment = environment and whole_of(environment)
    if rules.guild_id is None or rules.channel_id is None:
        return _("DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are not set, so nobody may do anything.")
    if asker.guild_id != rules.guild_id:
        return _("This only works in the server that the bot manages.")
    here = rules.environments_of(asker.channel_id)
    if asker.channel_id == rules.channel_id or (here and environment is None) or environment in here:
        return None
    if (own := rules.own_channels.get(environment or "")) is not None:
        return _(
            "{environment} has a channel of its own: this only works in <#{own}>, or in the ops channel, <#{channel}>.",
            environment=environment,
            own=own,
            channel=rules.channel_id,
        )
    if rules.channel_missing and asker.role_ids & rules.all_roles:
        return _(
            "The ops channel, <#{channel}>, is gone, or the bot cannot see it: commands and notifications do "
            "not work there. Give the bot View Channel, or set DISCORD_OPS_CHANNEL_ID to a channel that "
            "exists and restart the bot.",
            channel=rules.channel_id,
        )
    return _("This only works in the ops channel, <#{channel}>.", channel=rules.channel_id)


def _wanted_roles(action: Action, environment: Environment, rules: Rules) -> tuple[frozenset[int], str]:
    """Return the roles of which one is needed, and the setting that names them."""
    deployer, approver, hotfix = "DISCORD_DEPLOYER_ROLE_IDS", "DISCORD_APPROVER_ROLE_IDS", "DISCORD_HOTFIX_ROLE_IDS"
    anyone_who_deploys = (rules.deployers | rules.approvers, deployer)
    wanted = {
        Action.PLAN: anyone_who_deploys,
        Action.DEPLOY: (rules.deployers, deployer),
        Action.ROLLBACK: (rules.deployers, deployer),
        Action.HOTFIX: (rules.hotfixers, hotfix),
        Action.APPROVE: (rules.approvers, approver),
        Action.LOGS: (rules.all_roles, deployer),
        Action.LOCK: anyone_who_deploys,
        Action.UNLOCK: (rules.approvers, approver) if environment.needs_approval else anyone_who_deploys,
    }
    return wanted.get(action, (frozenset(), deployer))


def unlock_refusal(freeze: Freeze, environment: Environment, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not lift a freeze, or None where they may: their own always, if they may freeze."""
    own = freeze.frozen_by.id == str(asker.user_id) and freeze.frozen_by.kind is ActorKind.DISCORD
    return refusal(Action.LOCK if own else Action.UNLOCK, environment, asker, rules)


def confirm_refusal(plan_record: PlanRecord, environment: Environment, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not confirm a plan, or None where they may."""
    if why_not := refusal(ACTIONS[plan_record.request.kind], environment, asker, rules):
        return why_not
    if not _asked_for(plan_record, asker):
        return _(
            "This plan is not yours: only {person} can confirm it.", person=person(plan_record.request.requested_by)
        )
    return None


def approve_refusal(plan_record: PlanRecord, environment: Environment, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not approve a plan, or None where they may."""
    if why_not := refusal(Action.APPROVE, environment, asker, rules):
        return why_not
    if _asked_for(plan_record, asker):
        return said("You asked for this plan yourself: a second person has to approve it.")
    return None


def withdraw_refusal(plan_record: PlanRecord, environment: Environment, asker: Asker, rules: Rules) -> str | None:
    """Return why a member may not cancel a plan, or None where they may."""
    if out_of_place := place_refusal(asker, rules, environment.name):
        return out_of_place
    return None if _asked_for(plan_record, asker) else refusal(Action.APPROVE, environment, asker, rules)


def approvers_refusal(environment: Environment, rules: Rules) -> str | None:
    """Return why no member could ever approve a plan, or None where one can."""
    return None if rules.approvers else _missing_role(Action.APPROVE, environment, (), "DISCORD_APPROVER_ROLE_IDS")


def _asked_for(plan_record: PlanRecord, asker: Asker) -> bool:
    return plan_record.is_from(Actor(ActorKind.DISCORD, str(asker.user_id), asker.name))


def _missing_role(action: Action, environment: Environment, wanted: Iterable[int], setting: str) -> str:
    key = setting.removeprefix("DISCORD_").lower()
    values = {"action": word(action), "environment": environment.name, "setting": setting, "key": key}
    roles = ", ".join(f"<@&{role}>" for role in sorted(wanted))
    if not roles:
        return _(
            "Nobody may {action} {environment}: `{setting}` names no role (`{key}` below `[discord]` in roas.toml).",
            **values,
        )
    return _("To {action} {environment}, one of these roles is needed: {roles}.", roles=roles, **values)
