"""Defects to plant: a campaign that stays green with one of them proves nothing."""

from collections.abc import Callable
from typing import Any

from roas.deploy.context import DeploymentContext
from roas.leadership.takeover import Takeover, TakeoverReason
from roas.models.deployment import ServiceStep
from roas.models.leader_lease import LeaderLease
from roas.stack import compose_stack
from roas.stack.containers import service_creation
from roas.state import leader_lease as ownership
from roas.state.transaction import Transaction
from tools.campaigns.instrumented.gate import PLANTS


def plant(name: str) -> None:
    """Plant one defect, or none for an empty name."""
    if name:
        _PLANTING[name]()


def _no_fence() -> None:
    """Let every process write, whichever has taken over since."""

    def pass_always(*_arguments: Any) -> None:
        return

    Transaction.check = pass_always  # type: ignore[method-assign,assignment]
    ownership._check = pass_always  # type: ignore[assignment]


def _no_intent() -> None:
    """Act without having written that one is about to."""
    report = DeploymentContext.report

    async def skip_intents(
        context: DeploymentContext, service: str, step: ServiceStep, *text: Any, **more: Any
    ) -> None:
        if not step.value.endswith("ing"):
            await report(context, service, step, *text, **more)

    DeploymentContext.report = skip_intents  # type: ignore[method-assign,assignment]


def _no_sweep() -> None:
    """Leave what a killed Compose left as it is."""

    async def nothing(*_arguments: Any) -> tuple[str, ...]:
        return ()

    compose_stack.repair_containers = nothing  # type: ignore[attr-defined,assignment]
    service_creation.repair_containers = nothing  # type: ignore[attr-defined,assignment]


def _no_watchdog() -> None:
    """Never take back from a hung or unhealthy bot; only the work of a dead one is resumed."""
    find_reason = Takeover._find_reason

    async def see_only_dead_processes(
        takeover: Takeover, lease: LeaderLease | None, now: float
    ) -> TakeoverReason | None:
        reason = await find_reason(takeover, lease, now)
        return reason if reason is TakeoverReason.DIED else None

    Takeover._find_reason = see_only_dead_processes  # type: ignore[method-assign,assignment]


_PLANTING: dict[str, Callable[[], None]] = dict(
    zip(PLANTS, (_no_fence, _no_intent, _no_sweep, _no_watchdog), strict=True)
)
