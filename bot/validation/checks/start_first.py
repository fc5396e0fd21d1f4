"""Check that services which start their successor beside themselves can do so."""

from typing import Any

from bot.models.check import CheckResult, Severity
from bot.validation.finding import failed, listed, passed
from bot.validation.subject import Subject


class StartFirstCheck:
    """Look for what two containers of one service would fight over."""

    name = "start_first"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name what stands in the way of a second container."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        users = {
            name: definition for name, definition in sorted(subject.stack.definitions.items()) if definition.start_first
        }
        found: list[CheckResult] = []
        for name, definition in users.items():
            if definition.fixed_place:
                message = f"{name} is replaced start-first, but {definition.fixed_place} allows only one container."
                found.append(failed(self, message, "Take it away, or set `update_config.order: stop-first`."))
            if shared := _writable_volumes(subject.services.get(name, {})):
                message = f"{name} is replaced start-first: two containers will write to {listed(shared)} at once."
                remedy = "Use `stop-first`, unless the program is made for that."
                found.append(failed(self, message, remedy, Severity.WARNING))
        return found or [passed(self, "No service is in its own way.")]


def _writable_volumes(service: dict[str, Any]) -> list[str]:
    mounts = service.get("volumes") or ()
    return sorted(
        str(mount.get("source"))
        for mount in mounts
        if mount.get("type") == "volume" and mount.get("source") and not mount.get("read_only")
    )
