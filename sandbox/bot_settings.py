"""Say by which settings a bot of ours is in the sandbox instead of at Discord."""

from collections.abc import Mapping
from typing import Any


def bot_settings(sandbox: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings, by the name of their variable, for what a sandbox says of itself when it has started."""
    roles = sandbox["roles"]
    return {
        "DISCORD_TOKEN": str(sandbox["bot_token"]),
        "DISCORD_GUILD_ID": str(sandbox["guild_id"]),
        "DISCORD_OPS_CHANNEL_ID": str(sandbox["ops_channel_id"]),
        "DISCORD_DEPLOYER_ROLE_IDS": str(roles["deployer"]),
        "DISCORD_APPROVER_ROLE_IDS": str(roles["approver"]),
        "DISCORD_HOTFIX_ROLE_IDS": str(roles["hotfix"]),
        "DISCORD_API_URL": str(sandbox["api_url"]),
        "DISCORD_GATEWAY_URL": str(sandbox["gateway_url"]),
    }
