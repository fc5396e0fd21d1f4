"""Run every check of an environment at the same time and gather what they found."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from roas.checks import beside_compose, compose, discord, engine, machine, secrets, services, swarm
from roas.checks.check import Check
from roas.checks.subject import Subject
from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.check import CheckResult, CheckSeverity, ValidationReport
from roas.models.environment import Environment
from roas.shortages import find_passing
from roas.stack.interface import ResolvedStack

log = get_logger(__name__)

CHECK_DEADLINE_SECONDS = 10.0
ORDER = {CheckSeverity.CRITICAL: 0, CheckSeverity.WARNING: 1, CheckSeverity.INFO: 2}

# What these modules define with `@check` runs by being there.
THEMES = (beside_compose, compose, discord, engine, machine, secrets, services, swarm)
CHECKS = tuple(
    sorted(
        (check for theme in THEMES for check in vars(theme).values() if isinstance(check, Check)),
        key=lambda check: check.name,
    )
)
# Gathers the input of the checks: environment, requested version, model hash of a stored release or None, and what was
# just found of the working copy.
Survey = Callable[[Environment, str | None, str | None, ResolvedStack | None], Awaitable[Subject]]


class EnvironmentValidator:
    """Judge an environment by independent checks; none can hide, stop or outlive another."""

    def __init__(
        self, checks: Sequence[Check], survey: Survey, *, deadline_seconds: float = CHECK_DEADLINE_SECONDS
    ) -> None:
        self._checks = tuple(checks)
        self._survey = survey
        self._deadline_seconds = deadline_seconds

    async def validate(
        self,
        environment: Environment,
        version: str | None = None,
        *,
        model_hash: str | None = None,
        found: ResolvedStack | None = None,
    ) -> ValidationReport:
        """Look at an environment as a deployment of `version` would find it.

        With `model_hash` a stored release is looked at instead of the working copy (for a rollback). What was just
        `found` of the working copy is not asked again.
        """
        return await self.examine(await self._survey(environment, version, model_hash, found))

    async def examine(self, subject: Subject) -> ValidationReport:
        """Run every check on what was gathered; the results are ordered by severity, then by name."""
        found = await asyncio.gather(*(self._run(check, subject) for check in self._checks))
        results = sorted((result for results in found for result in results), key=_rank)
        return ValidationReport(subject.environment.name, tuple(results))

    async def _run(self, check: Check, subject: Subject) -> list[CheckResult]:
        deadline = asyncio.timeout(self._deadline_seconds)
        try:
            async with deadline:
                return await check.run(subject)
        except Exception as error:
            return [self._failed(check, subject, error, is_late=deadline.expired())]

    def _failed(self, check: Check, subject: Subject, error: Exception, *, is_late: bool) -> CheckResult:
        if (passing := find_passing(error)) is not None:
            return CheckResult(check.name, check.severity, False, passing.message, passing.hint, passing=True)
        if isinstance(error, EngineUnavailableError):  # reported once, by the engine's own check
            message = said("This could not be checked, since the engine does not answer.")
            return CheckResult(check.name, CheckSeverity.WARNING, False, message)
        if isinstance(error, RoasError):
            return CheckResult(check.name, check.severity, False, error.message, error.hint)
        if is_late:
            message = said(
                "{doing} did not end within {seconds} s.", doing=check.name, seconds=f"{self._deadline_seconds:g}"
            )
            return CheckResult(check.name, check.severity, False, message)
        log.exception("check broke", check=check.name, environment=subject.environment.name, exc_info=error)
        # The exception's own words stay in the log: they may hold what must not be shown.
        message = said("Unexpected internal error ({name}).", name=type(error).__name__)
        return CheckResult(check.name, check.severity, False, message, said("See the bot's log, and report it."))


def _rank(result: CheckResult) -> tuple[int, str]:
    return ORDER[result.severity], result.check
