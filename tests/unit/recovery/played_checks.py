"""What a recovery asks before it acts, answered as a test says."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import Verdict
from roas.recovery.refusals import RecoveryChecks


async def nobody(environment: Environment) -> OwnContainer | None:
    """Run in no container."""
    return None


def played_checks(
    *,
    verdict: Callable[[], Verdict] = lambda: Verdict.UNHEALTHY,
    manually: Callable[[], bool] = lambda: False,
    answers: bool = True,
    own_container: Callable[[Environment], Awaitable[OwnContainer | None]] = nobody,
) -> RecoveryChecks:
    """Say how every service is, whether a person stopped it, whether its probes answer, and which container is ours."""

    async def all_answer(*_: object) -> bool:
        return answers

    health: Any = SimpleNamespace(verdict=lambda *_: verdict())
    alerts: Any = SimpleNamespace(is_manual_stop=lambda *_: manually(), expect_end=lambda _container_id: None)
    prober: Any = SimpleNamespace(all_answer=all_answer)
    return RecoveryChecks(health, alerts, prober, own_container)
