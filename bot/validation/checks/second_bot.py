"""Check that a stack which is not home holds no second bot of the same identity."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class SecondBotCheck:
    """Look for this bot's token and its state folder: two bots of one identity answer each command twice."""

    name = "second_bot"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the services that would be a second bot."""
        if subject.stack is None or subject.environment.is_home:
            return []
        twins = {name: _shared(subject, service) for name, service in sorted(subject.services.items())}
        remedy = said("Give it a token and a STATE_DIR of its own, or name this environment in HOME_ENVIRONMENT.")
        found = [
            failed(
                self,
                said("{name} would be a second bot with this bot's own {shared}.", name=name, shared=listed(shared)),
                remedy,
            )
            for name, shared in twins.items()
            if shared
        ]
        return found or [passed(self, said("No service has this bot's token or its state folder."))]


def _shared(subject: Subject, service: Mapping[str, Any]) -> list[str]:
    """Describe what a service has in common with this bot."""
    token = subject.settings.discord_token
    state = subject.settings.state_dir.absolute()
    values = (service.get("environment") or {}).values()
    sources = [Path(str(mount["source"])) for mount in service.get("volumes") or () if mount.get("type") == "bind"]
    return [
        *([said("token")] if token is not None and token.get_secret_value() in values else []),
        *([said("state folder")] if state in sources else []),
    ]
