"""Advise on services that are likely to take ten seconds to stop."""

from typing import Any

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

SHELLS = frozenset({"sh", "bash", "ash", "dash", "/bin/sh", "/bin/bash", "/bin/ash", "/bin/dash", "/usr/bin/bash"})


class StopSignalsCheck:
    """Look for services without `init: true`: as PID 1, a program without a handler ignores its stop signal."""

    name = "stop_signals"
    severity = Severity.INFO

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the services that may not stop on their signal."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        without = {name: service for name, service in subject.services.items() if not service.get("init")}
        shells = sorted(name for name, service in without.items() if _starts_a_shell(service))
        rest = sorted(set(without) - set(shells))
        found: list[CheckResult] = []
        if shells:
            message = said(
                "PID 1 is a shell, which does not pass its stop signal on: {shells} will take 10 s to stop.",
                shells=listed(shells),
            )
            found.append(
                failed(self, message, said("Add `init: true`, or start the program with `exec`."), Severity.WARNING)
            )
        if rest:
            message = said("Without `init: true`: {rest}.", rest=listed(rest))
            remedy = said(
                "Add it unless the program handles its stop signal (SIGTERM, or that of its image) itself; without a "
                "handler each stop takes 10 s."
            )
            found.append(failed(self, message, remedy))
        return found or [passed(self, said("Every service stops on its stop signal."))]


def _starts_a_shell(service: dict[str, Any]) -> bool:
    """Return whether a shell stays as PID 1; a script that ends in `exec` makes way."""
    text = [str(word) for word in service.get("entrypoint") or service.get("command") or ()]
    return len(text) > 2 and text[0] in SHELLS and text[1] == "-c" and "exec " not in text[2]
