"""Hold what a plan found, and let a deployment that starts at once continue with it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roas.engine.interface import FoundStack, ResolvedStack
from roas.models.deployment import DeploymentRequest
from roas.models.plan import Plan
from roas.models.release import Release
from roas.models.stack import WantedImage

# For so long what was planned is what there is: a deployment that begins later plans again.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hold a release in preparation; `kept` services stay as they are in the current one."""

    stack: ResolvedStack = field(repr=False)
    wanted: Mapping[str, WantedImage]
    current: Release | None
    kept: frozenset[str]
    plan: Plan


@dataclass(frozen=True, slots=True)
class PlannedStart:
    """Hold a candidate that was planned to be started at once, with its contents kept, and when that began.

    Its files, its digests and its plan are those that were agreed to: what is deployed is exactly that. What runs is
    inspected again by execution.
    """

    candidate: Candidate
    request: DeploymentRequest
    began: float

    def is_for(self, request: DeploymentRequest) -> bool:
        """Return whether a request asks for what was planned a moment ago, and is bound to that plan."""
        asked, planned = (
            (one.environment, one.kind, one.version, one.services, one.plan_digest)
            for one in (request, replace(self.request, plan_digest=self.candidate.plan.digest))
        )
        return asked == planned and self.is_fresh

    @property
    def is_fresh(self) -> bool:
        """Return whether what was planned is still what there is."""
        return time.monotonic() - self.began < FRESH_SECONDS

    @property
    def found(self) -> FoundStack:
        """Return what the checks need not ask for again."""
        return FoundStack(self.candidate.stack, self.candidate.wanted)
