"""Who may do what: every role, action and environment, and every refusal with its reason."""

from dataclasses import replace
from itertools import product

import pytest

from roas.cogs.permissions import (
    ACTIONS,
    Action,
    Asker,
    Rules,
    cancel_refusal,
    permit,
    place_refusal,
    refusal,
    rules_from,
)
from roas.configuration.settings import Settings
from roas.errors import NotPermittedError
from roas.models.deployment import DeploymentKind
from roas.models.environment import Environment
from tests.unit.cogs.fake_application import an_environment

GUILD, OPS, OTHER_CHANNEL = 1, 2, 3
ROLES = {"deployer": 11, "approver": 12, "hotfix": 13, "other": 99}
RULES = Rules(GUILD, OPS, frozenset({11}), frozenset({12}), frozenset({13}))
ENVIRONMENTS = {"staging": an_environment("staging"), "prod": an_environment("prod", needs_approval=True)}

# The whole of what is allowed: action and environment, and the roles of which one is enough. All else is refused.
ALLOWED: dict[tuple[Action, str], set[str]] = {
    (Action.STATUS, "staging"): {"deployer", "approver", "hotfix", "other", "none"},
    (Action.STATUS, "prod"): {"deployer", "approver", "hotfix", "other", "none"},
    (Action.PLAN, "staging"): {"deployer", "approver"},
    (Action.PLAN, "prod"): {"deployer", "approver"},
    (Action.DEPLOY, "staging"): {"deployer"},
    (Action.DEPLOY, "prod"): {"deployer"},
    (Action.ROLLBACK, "staging"): {"deployer"},
    (Action.ROLLBACK, "prod"): {"deployer"},
    (Action.HOTFIX, "staging"): {"hotfix"},
    (Action.HOTFIX, "prod"): {"hotfix"},
    (Action.APPROVE, "staging"): {"approver"},
    (Action.APPROVE, "prod"): {"approver"},
    (Action.LOGS, "staging"): {"deployer", "approver", "hotfix"},
    (Action.LOGS, "prod"): {"deployer", "approver", "hotfix"},
    (Action.LOCK, "staging"): {"deployer", "approver"},
    (Action.LOCK, "prod"): {"deployer", "approver"},
    (Action.UNLOCK, "staging"): {"deployer", "approver"},
    (Action.UNLOCK, "prod"): {"approver"},
}
CANCEL_ALLOWED: dict[tuple[DeploymentKind, str], set[str]] = {
    (DeploymentKind.DEPLOY, "staging"): {"deployer", "approver"},
    (DeploymentKind.DEPLOY, "prod"): {"deployer", "approver"},
    (DeploymentKind.ROLLBACK, "staging"): {"deployer", "approver"},
    (DeploymentKind.ROLLBACK, "prod"): {"deployer", "approver"},
    (DeploymentKind.HOTFIX, "staging"): {"hotfix", "approver"},
    (DeploymentKind.HOTFIX, "prod"): {"hotfix", "approver"},
}
PEOPLE = (*ROLES, "none")
DEEDS_WITH_A_ROLE = [action for action in Action if action is not Action.STATUS]


def somebody(role: str, *, guild: int | None = GUILD, channel: int | None = OPS) -> Asker:
    return Asker(7, "somebody", guild, channel, frozenset({ROLES[role]} if role in ROLES else ()))


@pytest.mark.parametrize(("action", "environment", "role"), list(product(Action, ENVIRONMENTS, PEOPLE)))
def test_action_allowed_as_in_table(action: Action, environment: str, role: str) -> None:
    why_not = refusal(action, ENVIRONMENTS[environment], somebody(role), RULES)
    assert (why_not is None) == (role in ALLOWED[action, environment])
    if why_not is not None:
        assert environment in why_not
        assert "<@&" in why_not


@pytest.mark.parametrize(("kind", "environment", "role"), list(product(DeploymentKind, ENVIRONMENTS, PEOPLE)))
def test_cancel_allowed_as_in_table(kind: DeploymentKind, environment: str, role: str) -> None:
    why_not = cancel_refusal(kind, ENVIRONMENTS[environment], somebody(role), RULES)
    assert (why_not is None) == (role in CANCEL_ALLOWED[kind, environment])


@pytest.mark.parametrize(("action", "role"), list(product(Action, PEOPLE)))
@pytest.mark.parametrize(
    ("guild", "channel", "text"),
    [
        (None, OPS, "server"),
        (GUILD + 100, OPS, "server"),
        (GUILD, OTHER_CHANNEL, f"<#{OPS}>"),
        (GUILD, None, f"<#{OPS}>"),
    ],
)
def test_actions_refused_elsewhere(
    action: Action, role: str, guild: int | None, channel: int | None, text: str
) -> None:
    asker = somebody(role, guild=guild, channel=channel)
    assert text in (refusal(action, ENVIRONMENTS["staging"], asker, RULES) or "")
    assert cancel_refusal(DeploymentKind.DEPLOY, ENVIRONMENTS["staging"], asker, RULES) is not None


@pytest.mark.parametrize("role", PEOPLE)
def test_missing_ops_channel_shown_to_role_holders(role: str) -> None:
    why_not = refusal(Action.STATUS, None, somebody(role, channel=OTHER_CHANNEL), replace(RULES, channel_missing=True))
    assert ("DISCORD_OPS_CHANNEL_ID" in (why_not or "")) is (role not in {"other", "none"})
    assert f"<#{OPS}>" in (why_not or "")


@pytest.mark.parametrize(("action", "environment", "role"), list(product(DEEDS_WITH_A_ROLE, ENVIRONMENTS, PEOPLE)))
def test_empty_role_list_refuses_and_names_setting(action: Action, environment: str, role: str) -> None:
    empty = Rules(GUILD, OPS)
    why_not = refusal(action, ENVIRONMENTS[environment], somebody(role), empty) or ""
    assert "_ROLE_IDS` names no role" in why_not
    assert "_role_ids` below `[discord]` in roas.toml" in why_not


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("missing", ["guild_id", "channel_id"])
def test_missing_guild_or_channel_refuses(action: Action, missing: str) -> None:
    asker = replace(somebody("approver"), **{missing: None})
    assert refusal(action, ENVIRONMENTS["staging"], asker, replace(RULES, **{missing: None})) is not None


@pytest.mark.parametrize("action", DEEDS_WITH_A_ROLE)
def test_action_without_environment_refused(action: Action) -> None:
    everything = Asker(7, "x", GUILD, OPS, frozenset(ROLES.values()))
    assert refusal(action, None, everything, RULES) is not None


def test_approval_follows_settings_not_name() -> None:
    strict: Environment = an_environment("dev", needs_approval=True)
    assert refusal(Action.UNLOCK, strict, somebody("deployer"), RULES) is not None
    assert refusal(Action.UNLOCK, an_environment("prod"), somebody("deployer"), RULES) is None


def test_every_deployment_kind_has_action() -> None:
    assert set(ACTIONS) == set(DeploymentKind)


def test_rules_come_from_settings() -> None:
    settings = Settings(  # type: ignore[call-arg]
        _env_file=None,
        discord_guild_id=1,
        discord_ops_channel_id=2,
        discord_deployer_role_ids="11",
        discord_approver_role_ids="12",
        discord_hotfix_role_ids="13",
    )
    assert rules_from(settings) == RULES


def test_refusal_raised_only_if_refused() -> None:
    permit(None)
    with pytest.raises(NotPermittedError, match="no"):
        permit("no")


OWN = replace(RULES, own_channels={"staging": OTHER_CHANNEL})


@pytest.mark.parametrize(("action", "role"), list(product(Action, PEOPLE)))
def test_an_own_channel_is_as_good_for_its_environment(action: Action, role: str) -> None:
    there = refusal(action, ENVIRONMENTS["staging"], somebody(role, channel=OTHER_CHANNEL), OWN)
    assert there == refusal(action, ENVIRONMENTS["staging"], somebody(role), RULES)


@pytest.mark.parametrize(("action", "role"), list(product(Action, PEOPLE)))
def test_an_own_channel_is_of_no_use_for_others(action: Action, role: str) -> None:
    there = somebody(role, channel=OTHER_CHANNEL)
    assert f"ops channel, <#{OPS}>" in (refusal(action, ENVIRONMENTS["prod"], there, OWN) or "")
    assert cancel_refusal(DeploymentKind.DEPLOY, ENVIRONMENTS["prod"], there, OWN) is not None
    assert place_refusal(there, OWN, "") is not None
    assert place_refusal(there, OWN, None) is None


@pytest.mark.parametrize("gone", [False, True])
def test_elsewhere_the_own_channel_is_named(gone: bool) -> None:
    rules = replace(OWN, channel_missing=gone)
    why_not = refusal(Action.STATUS, ENVIRONMENTS["staging"], somebody("deployer", channel=4), rules) or ""
    assert f"<#{OTHER_CHANNEL}>" in why_not
    assert f"<#{OPS}>" in why_not
