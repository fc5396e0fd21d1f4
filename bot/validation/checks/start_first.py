"""Check that services which start their successor beside themselves can do so."""

from collections.abc import Mapping
from typing import Any

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.stack import ServiceDefinition
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class StartFirstCheck:
    """Look for what two containers of one service would fight over."""

    name = "start_first"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name what prevents a second container."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        found = await self._own_service(subject, subject.stack.definitions)
        users = [name for name, definition in sorted(subject.stack.definitions.items()) if definition.start_first]
        for name in users:
            if shared := _writable_volumes(subject.services.get(name, {})):
                message = said(
                    "{name} is replaced start-first: two containers will write to {shared} at once.",
                    name=name,
                    shared=listed(shared),
                )
                remedy = said("Use `stop-first`, unless the program supports that.")
                found.append(failed(self, message, remedy, Severity.WARNING))
        return found or [passed(self, said("Every service can be replaced in its configured order."))]

    async def _own_service(self, subject: Subject, definitions: Mapping[str, ServiceDefinition]) -> list[CheckResult]:
        """The bot always starts its successor beside itself: only deployments that would replace it are refused."""
        fixed = {name for name, one in definitions.items() if one.fixed_place and not one.start_first}
        own = await subject.engine.own_container() if fixed else None
        if own is None or own.project != subject.environment.project or own.service not in fixed:
            return []
        place = definitions[own.service].fixed_place
        message = said(
            "{service} is this bot, which cannot be replaced: {place} allows only one container.",
            service=own.service,
            place=place,
        )
        return [failed(self, message, said("Remove it from the compose file."), Severity.WARNING)]


def _writable_volumes(service: dict[str, Any]) -> list[str]:
    mounts = service.get("volumes") or ()
    return sorted(
        str(mount.get("source"))
        for mount in mounts
        if mount.get("type") == "volume" and mount.get("source") and not mount.get("read_only")
    )
