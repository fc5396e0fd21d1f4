"""Defects to plant: a campaign that stays green with one of them proves nothing."""

from collections.abc import Callable
from typing import Any

from bot.deployment.context import DeploymentContext
from bot.engine import compose_engine, service_creation
from bot.models.deployment import ServiceStep
from bot.models.ownership import VoiceRecord
from bot.standby import DIED, VoiceKeeper
from bot.state import ownership
from bot.state.journal import Transaction
from campaigns.instrumented.gate import PLANTS


def plant(name: str) -> None:
    """Plant one defect, or none for an empty name."""
    if name:
        _PLANTING[name]()


def _no_fence() -> None:
    """Let everybody write, whoever has taken over since."""

    def pass_always(*_arguments: Any) -> None:
        return

    Transaction.check = pass_always  # type: ignore[method-assign,assignment]
    ownership._check = pass_always  # type: ignore[assignment]


def _no_intent() -> None:
    """Act without having written that one is about to."""
    report = DeploymentContext.report

    async def silent(context: DeploymentContext, service: str, step: ServiceStep, *words: Any, **more: Any) -> None:
        if not step.value.endswith("ing"):
            await report(context, service, step, *words, **more)

    DeploymentContext.report = silent  # type: ignore[method-assign,assignment]


def _no_sweep() -> None:
    """Leave what a killed Compose left as it is."""

    async def nothing(*_arguments: Any) -> tuple[str, ...]:
        return ()

    compose_engine.mend = nothing  # type: ignore[attr-defined,assignment]
    service_creation.mend = nothing  # type: ignore[attr-defined,assignment]


def _no_watchdog() -> None:
    """Never take back from one that hangs or is unwell; only what a dead one left is taken up."""
    fault = VoiceKeeper._fault

    async def see_only_the_dead(keeper: VoiceKeeper, record: VoiceRecord | None, now: float) -> str:
        reason = await fault(keeper, record, now)
        return reason if reason == DIED else ""

    VoiceKeeper._fault = see_only_the_dead  # type: ignore[method-assign,assignment]


_PLANTING: dict[str, Callable[[], None]] = dict(
    zip(PLANTS, (_no_fence, _no_intent, _no_sweep, _no_watchdog), strict=True)
)
