"""A bot that dies at any step between a candidate and its deployment loses nothing, and does nothing twice."""

import contextlib
from typing import Any

import pytest

from roas.models.candidate import CandidateState, Origin, SourceMode
from roas.models.deployment import Outcome


class KilledError(BaseException):
    """Stand for the end of the process: nothing after it happens."""


class Killing:
    """Let the process die before or after one of its steps: whatever it asks the journal or the orchestrator."""

    def __init__(self, at: int, when: str) -> None:
        self.at, self.when, self.count = at, when, 0

    def around(self, step: Any) -> Any:
        async def counted(*arguments: Any, **named: Any) -> Any:
            number, self.count = self.count, self.count + 1
            if number == self.at and self.when == "before":
                raise KilledError
            result = await step(*arguments, **named)
            if number == self.at:
                raise KilledError
            return result

        return counted


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(6))
async def test_killed_at_any_step(make_coordinator, state, orchestrator, reaches, monkeypatch, at, when):
    coordinator, killing = make_coordinator(), Killing(at, when)
    offered = await coordinator.offer(
        "shop", "dev", "v1", mode=SourceMode.AUTO, origin=Origin(commit="a" * 40), key="job-1"
    )
    with monkeypatch.context() as patched:
        for subject, names in ((state.candidates, ("move",)), (orchestrator, ("plan", "start"))):
            for name in names:
                patched.setattr(subject, name, killing.around(getattr(subject, name)))
        with contextlib.suppress(KilledError):
            await coordinator._advance(offered)
    again = make_coordinator()
    assert (await again.offer("shop", "dev", "v1", mode=SourceMode.AUTO, origin=offered.origin, key="job-1")).id == (
        offered.id
    ), "the job asks again, and it is the same"
    await again.start()
    started = await reaches(offered, CandidateState.STARTED)
    assert len(await state.deployments.list("dev")) == 1
    await orchestrator.finish(Outcome.SUCCEEDED)
    await again.stop()
    assert (await state.candidates.get(started.id)).deployment_id == started.deployment_id
