"""What a fault within a phase leads to, by the table of `what_follows`."""

from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.phase_failure import Follows, Tries, awaits_engine, what_follows
from roas.errors import (
    DeploymentCancelledError,
    EnginePartAwayError,
    EngineUnavailableError,
    FencedOffError,
    RegistryUnavailableError,
    ServiceFailedError,
    ShortageError,
)
from roas.limits import MOST_QUORUM_LOSSES
from roas.models.phases import PhaseName, PhasePolicy
from roas.models.swarm import QuorumLosses

EXECUTION = PhasePolicy(PhaseName.EXECUTION, retries=1)


class Stack:
    """Be one machine, or a Swarm that has lost its quorum so often."""

    def __init__(self, losses: int | None = None) -> None:
        self.needs_quorum = losses is not None
        self.losses = losses or 0

    def quorum_losses(self) -> QuorumLosses:
        return QuorumLosses(times=self.losses)


def begun(policy: PhasePolicy = EXECUTION, losses: int | None = None, *, restoring: bool = False) -> tuple[Any, Tries]:
    """Return a deployment and the first try of a phase; a Swarm is seen without a quorum after it has begun."""
    context: Any = SimpleNamespace(stack=Stack(losses), warnings=[], restoring=restoring)
    tries = Tries(policy, context)
    context.stack.losses += 1
    return context, tries


@pytest.mark.parametrize(
    ("fault", "on_machine", "on_swarm"),
    [
        (EnginePartAwayError("containerd"), Follows.ONCE_PASSED, Follows.ONCE_PASSED),
        (ShortageError("memory"), Follows.ONCE_PASSED, Follows.ONCE_PASSED),
        (EngineUnavailableError("broke off"), Follows.RETRY, Follows.ONCE_QUORUM),
        (RegistryUnavailableError("502"), Follows.RETRY, Follows.ONCE_QUORUM),
        (ServiceFailedError("web is unhealthy"), Follows.FAILURE, Follows.ONCE_QUORUM),
        (DeploymentCancelledError("cancelled"), Follows.FAILURE, Follows.FAILURE),
        (FencedOffError("another process has it"), Follows.FAILURE, Follows.FAILURE),
        (KeyError("a fault of ours"), Follows.FAILURE, Follows.FAILURE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_what_follows_a_fault(fault: Exception, on_machine: Follows, on_swarm: Follows) -> None:
    assert await what_follows(*begun(), fault) is on_machine
    assert await what_follows(*begun(losses=0), fault) is on_swarm


async def test_retries_are_those_of_the_phase() -> None:
    context, tries = begun()
    tries.begin_try(context)
    assert await what_follows(context, tries, EngineUnavailableError("broke off")) is Follows.FAILURE


async def test_quorum_is_waited_for_so_often_in_each_try() -> None:
    context, tries = begun(losses=0)
    tries.quorum_waits = MOST_QUORUM_LOSSES
    assert await what_follows(context, tries, EngineUnavailableError("no answer")) is Follows.RETRY


@pytest.mark.parametrize(("restoring", "expected"), [(False, Follows.RETRY), (True, Follows.ONCE_PASSED)])
async def test_what_does_not_pass_is_a_fault_in_time(monkeypatch: pytest.MonkeyPatch, restoring, expected) -> None:
    """And has been waited for; but a rollback waits on."""
    clock = 0.0
    monkeypatch.setattr("roas.deploy.phase_failure.time", SimpleNamespace(monotonic=lambda: clock))
    context, tries = begun(restoring=restoring)
    assert await what_follows(context, tries, ShortageError("memory")) is Follows.ONCE_PASSED
    clock = 121.0
    late = ShortageError("memory")
    assert await what_follows(context, tries, late) is expected
    assert late.was_awaited is not restoring


async def test_completion_waits_for_nothing_that_passes() -> None:
    context, tries = begun(PhasePolicy(PhaseName.COMPLETION))
    assert await what_follows(context, tries, ShortageError("disk space")) is Follows.FAILURE


@pytest.mark.parametrize(
    ("phase", "losses", "awaits"),
    [(PhaseName.EXECUTION, None, True), (PhaseName.VALIDATION, None, False), (PhaseName.EXECUTION, 0, False)],
)
async def test_engine_is_waited_for_once(phase: PhaseName, losses: int | None, awaits: bool) -> None:
    context, tries = begun(PhasePolicy(phase), losses)
    assert awaits_engine(context, tries, EngineUnavailableError("away")) is awaits
    tries.begin_try(context)
    assert not awaits_engine(context, tries, EngineUnavailableError("away"))
