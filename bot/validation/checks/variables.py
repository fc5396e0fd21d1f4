"""Check that every variable that the compose files demand has a value."""

from roas.concurrency import in_thread
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.compose_variables import Use, known_variables, variable_uses
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class VariablesCheck:
    """Name all missing variables at once; Compose names only the first."""

    name = "variables"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name every variable without a value."""
        if not subject.reads_working_copy:
            return [passed(self, said("The release has its values already."))]
        return await in_thread(self._look, subject)

    def _look(self, subject: Subject) -> list[CheckResult]:
        environment = subject.environment
        known = {
            **known_variables(environment.env_files),
            **environment.variables,
            **subject.variables,
            "COMPOSE_PROJECT_NAME": environment.project,  # Compose gives it by itself
        }
        uses = variable_uses(environment.compose_files, known)
        missing = {use.name: use for use in uses if use.missing(known) and use.required}
        blank = sorted({use.name for use in uses if use.missing(known) and not use.required} - set(missing))
        found = []
        if missing:
            text = listed(_text(missing[name]) for name in sorted(missing))
            message = said(
                "{missing} required variable{plural} no value: {text}.",
                missing=len(missing),
                plural=" has" if len(missing) == 1 else "s have",
                text=text,
            )
            found.append(
                failed(
                    self, message, said("Set {names} in {place}.", names=listed(sorted(missing)), place=_place(subject))
                )
            )
        if blank:
            message = said("No value, so treated as empty: {blank}.", blank=listed(blank))
            remedy = said("Set them in {place}, or give them a default.", place=_place(subject))
            found.append(failed(self, message, remedy, Severity.WARNING))
        return found or [passed(self, said("Every variable has a value."))]


def _text(use: Use) -> str:
    return f"{use.name} ({use.message})" if use.message else use.name


def _place(subject: Subject) -> str:
    files = subject.environment.env_files
    return str(files[-1]) if files else str(subject.environment.folder / f".env.{subject.environment.name}")
