"""Say why a fault cannot be fixed from here, before anything is tried."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import Verdict
from roas.models.recovery import Fault, RecoveryOutcome, RecoveryReport
from roas.recovery.beside_deployment import kept_away_by
from roas.recovery.restart import Answers
from roas.state.manager import StateManager


class Handler(Protocol):
    """Recover services."""

    async def handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Recover a service or say why not. Raises StateError."""
        ...


@dataclass(frozen=True, slots=True)
class RecoveryChecks:
    """Hold what a handler depends on: the stable verdict, manual stops, the bot's own service, the probes.

    `expect_end` is called with each container before the handler stops it, so that it does not count as a manual stop.
    """

    verdict: Callable[[str, str], Verdict]
    is_manual_stop: Callable[[str, str], bool]
    is_own: Callable[[Environment, str], Awaitable[bool]]
    answers: Answers
    expect_end: Callable[[str], None]


async def find_refusal(
    state: StateManager, checks: RecoveryChecks, fault: Fault, environment: Environment
) -> RecoveryReport | None:
    """Return why a fault cannot be fixed from here, or None where it can. Raises StateError."""
    if (kept_away := kept_away_by(fault, await state.deployments.holding(fault.environment))) is not None:
        return kept_away
    if checks.is_manual_stop(fault.environment, fault.service):
        return RecoveryReport(fault, RecoveryOutcome.NOT_OURS, said("it was stopped manually, so it is left as it is"))
    verdict = checks.verdict(fault.environment, fault.service)
    if fault.from_outside and verdict is not Verdict.UNHEALTHY:
        text = said("no automatic recovery: the bot sees the service as {verdict}", verdict=verdict)
        return RecoveryReport(fault, RecoveryOutcome.NOT_OURS, text)
    if await checks.is_own(environment, fault.service):
        return RecoveryReport(
            fault, RecoveryOutcome.ESCALATED, said("it is the bot itself, which has no automatic recovery")
        )
    return None
