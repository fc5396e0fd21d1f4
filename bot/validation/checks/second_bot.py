"""Check that a stack which is not home holds no second bot of the same identity."""

from collections.abc import Mapping
from typing import Any

from bot.models.check import CheckResult, Severity
from bot.validation.finding import failed, listed, passed
from bot.validation.subject import Subject


class SecondBotCheck:
    """Look for this bot's token in the services' variables; two bots of one token answer each command twice."""

    name = "second_bot"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Name the services that would be a second bot."""
        token = subject.settings.discord_token
        if token is None or subject.stack is None:
            return passed(self, "There is no token, or no stack, to look for.")
        services: Mapping[str, Mapping[str, Any]] = subject.stack.model.get("services", {})
        twins = sorted(
            name
            for name, service in services.items()
            if token.get_secret_value() in (service.get("environment") or {}).values()
        )
        if twins and not subject.environment.is_home:
            message = f"{listed(twins)} would be a second bot with this bot's own token."
            remedy = "Give it a token of its own, or name this environment in HOME_ENVIRONMENT."
            return failed(self, message, remedy)
        return passed(self, "No other service has this bot's token.")
