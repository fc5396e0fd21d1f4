"""A bot that starts says which channels and roles of its settings the server does not have."""

from typing import Any

import pytest

from roas.configuration.settings import GivenSettings
from roas.configuration.tables import EnvironmentSettings
from roas.discord_bot import log_missing


class Server:
    """Stand for a server with one channel and one role."""

    def get_channel_or_thread(self, channel_id: int) -> object:
        return object() if channel_id == 2 else None

    def get_role(self, role_id: int) -> object:
        return object() if role_id == 3 else None


@pytest.mark.parametrize(
    ("channel", "own", "roles", "alert", "told"),
    [
        (2, 2, {3}, 3, []),
        (2, None, set(), None, []),
        (20, None, {3}, 3, ["DISCORD_OPS_CHANNEL_ID"]),
        (2, 20, {3}, 3, ["ENVIRONMENTS__DEV__OPS_CHANNEL_ID"]),
        (2, 2, {3, 30}, 31, ["DISCORD_DEPLOYER_ROLE_IDS", "DISCORD_ALERT_ROLE_ID"]),
    ],
)
def test_what_the_server_lacks_is_logged(  # a case, what is set, and what is said
    caplog: pytest.LogCaptureFixture, channel: int, own: int | None, roles: set[int], alert: int | None, told: list[str]
) -> None:
    settings = GivenSettings(
        discord_ops_channel_id=channel,
        discord_deployer_role_ids=frozenset(roles),
        discord_alert_role_id=alert,
        environments={"dev": EnvironmentSettings(ops_channel_id=own)},
    )
    server: Any = Server()
    log_missing(server, settings)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(told), lines
    assert all(f"setting={setting}" in line for setting, line in zip(told, lines, strict=True)), lines
