"""The stack file by which the bot becomes a service of a Swarm says of it what the shipped Compose file says."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BOT = "discord-bot"


def service(name: str) -> dict[str, Any]:
    """Return the bot's service of a file at the top."""
    return dict(yaml.safe_load((ROOT / name).read_text())["services"][BOT])


def test_bot_on_a_swarm_has_no_more_rights_than_on_one_machine() -> None:
    here, there = service("docker-compose.yml"), service("docker-stack.yml")
    for key in ("init", "read_only", "cap_drop", "cap_add", "stop_grace_period"):
        assert there[key] == here[key], key


def test_bots_are_on_different_managers_and_share_their_state() -> None:
    found = service("docker-stack.yml")
    placement = found["deploy"]["placement"]
    assert (found["deploy"]["replicas"], placement["max_replicas_per_node"]) == (2, 1)
    assert placement["constraints"] == ["node.role == manager"]
    assert found["environment"]["SWARM_STATE_KEY_FILE"] == "/run/secrets/roas_state_key"
    assert {"roas_state_key", "discord_token"} <= set(map(str, found["secrets"]))
    assert found["deploy"]["update_config"]["order"] == "start-first"
