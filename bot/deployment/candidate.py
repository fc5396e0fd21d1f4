"""Hold what a plan found, and let a deployment that starts at once go on with it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roas.deployment.components import Components
from roas.deployment.creation_ahead import CreationAhead, NewContainers
from roas.engine.interface import FoundStack, ResolvedStack
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment
from roas.models.plan import Plan, ServiceAction
from roas.models.release import Release
from roas.models.stack import WantedImage

# For so long what was planned is what there is: a deployment that begins later plans again.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hold a release in preparation; `kept` services stay as they are in the current one.

    `model` is that of the release, where all its images are known.
    """

    stack: ResolvedStack = field(repr=False)
    wanted: Mapping[str, WantedImage]
    current: Release | None
    kept: frozenset[str]
    plan: Plan
    model: Mapping[str, Any] = field(repr=False)

    @property
    def new(self) -> NewContainers | None:
        """Return what it creates; None where that is nothing, or an image is yet to be pulled or built."""
        plans, wanted = self.plan.services, self.wanted.values()
        is_known = all(one.image_id and not one.must_pull and one.build_hash is None for one in wanted)
        if not is_known or not any(one.action is ServiceAction.CREATE for one in plans):
            return None
        untouched = {ServiceAction.KEEP, ServiceAction.REMOVE}
        return NewContainers(self.model, frozenset(one.service for one in plans if one.action not in untouched))

    @property
    def judged(self) -> NewContainers | None:
        """Return that where today's policy has judged all of it: what is kept is of an earlier release."""
        return None if self.kept else self.new


@dataclass(frozen=True, slots=True)
class PlannedStart:
    """Hold a candidate that was planned to be started at once, with its contents kept, and when that began.

    Its files, its digests and its plan are those that were agreed to: what is deployed is exactly that. What runs is
    looked at again by execution, as ever. What gets `ahead` to create what is new is the deployment's to end.
    """

    candidate: Candidate
    request: DeploymentRequest
    began: float
    ahead: CreationAhead | None = None

    def is_for(self, request: DeploymentRequest) -> bool:
        """Return whether a request asks for what was planned, and is bound to that plan."""
        asked, planned = (
            (one.environment, one.kind, one.version, one.services, one.plan_digest)
            for one in (request, replace(self.request, plan_digest=self.candidate.plan.digest))
        )
        return asked == planned

    @property
    def found(self) -> FoundStack | None:
        """Return what was found, while that is fresh."""
        if time.monotonic() - self.began >= FRESH_SECONDS:
            return None
        return FoundStack(self.candidate.stack, self.candidate.wanted)

    async def candidate_now(self, components: Components, environment: Environment) -> Candidate | None:
        """Return the candidate while it is fresh and the environment is on the release that it was compared with."""
        if self.found is None or await components.state.releases.applied(environment.name) != self.candidate.current:
            return None
        return self.candidate


class PlannedStarts:
    """Keep the last of each environment, until it is taken by the deployment that it was made for."""

    def __init__(self) -> None:
        self._kept: dict[str, PlannedStart] = {}

    def keep(self, planned: PlannedStart) -> None:
        """Keep what was planned, in place of what was planned before; it holds secrets, and so does no other one."""
        self._kept = {name: one for name, one in self._kept.items() if one.found is not None}
        self._kept[planned.request.environment] = planned

    def take(self, request: DeploymentRequest) -> PlannedStart | None:
        """Return what was planned for a request, once; None where that was something else, or too long ago."""
        planned = self._kept.pop(request.environment, None)
        return planned if planned is not None and planned.is_for(request) and planned.found is not None else None
