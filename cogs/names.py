"""Name our cogs, in one place: a bot that loads the extension may have some of its own called Logs or Status."""

from enum import StrEnum


class CogName(StrEnum):
    """What the cogs are called; all begin alike, so that a clash is a deliberate one."""

    APPLICATION = "ROAS"
    ALERTS = "ROAS Alerts"
    DEPLOYMENT = "ROAS Deployment"
    FREEZE = "ROAS Freeze"
    HISTORY = "ROAS History"
    LOGS = "ROAS Logs"
    STATUS = "ROAS Status"
