"""Do beside the first phases of a deployment what later ones would wait for; what changes something is not in it."""

import asyncio
from collections.abc import Mapping

from roas.concurrency import end_tasks
from roas.deployment.candidate import Candidate, PlannedStart
from roas.deployment.components import Components
from roas.deployment.creation_ahead import CreationAhead
from roas.engine.interface import ReleaseDraft
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.check import ValidationReport
from roas.models.environment import Environment
from roas.state.transaction import Fence

log = get_logger(__name__)


class HeadStart:
    """Look by the checks, draft the release, and let the engine get ready to create what is new.

    It goes by what was planned a moment ago: who finds anything else on the way ends it. All of it serves once; a phase
    that is tried again does by itself what it needs.
    """

    def __init__(self, components: Components, environment: Environment, fence: Fence, planned: PlannedStart) -> None:
        self._components = components
        self._environment = environment
        self._fence = fence
        self._candidate = planned.candidate
        self._ahead = planned.ahead
        self._images = {
            name: image.image_id
            for name, image in self._candidate.wanted.items()
            if image.image_id is not None and image.build_hash is None and not image.must_pull
        }
        self._report: asyncio.Task[ValidationReport] | None = asyncio.create_task(
            components.validator.validate(environment, planned.request.version, found=planned.found), name="checks"
        )
        self._draft: asyncio.Task[ReleaseDraft] | None = None
        self._tasks: list[asyncio.Task[object]] = [self._report]
        if self._images.keys() == self._candidate.wanted.keys():  # nothing is pulled or built before
            self._draft = asyncio.create_task(self._make_draft(), name="draft")
            looking = asyncio.create_task(self._let_look(self._report, self._draft), name="to be looked at")
            self._tasks += [self._draft, looking]

    async def report(self) -> ValidationReport | None:
        """Return what the checks found; None where that was asked before. Raises what they raise."""
        report, self._report = self._report, None
        return None if report is None else await report

    async def draft(self, candidate: Candidate, images: Mapping[str, str]) -> ReleaseDraft | None:
        """Return the release of a candidate with these images; None where another was drafted, or it failed."""
        draft, self._draft = self._draft, None
        if draft is None or candidate is not self._candidate or images != self._images:
            return None
        try:
            return await draft
        except RoasError as error:
            log.info("the release is drafted again", error=error.message)
            return None

    async def end(self) -> None:
        """End what is under way. What was not created yet is not any more."""
        await end_tasks(*self._tasks)
        if self._ahead is not None:
            await self._ahead.end()

    async def _make_draft(self) -> ReleaseDraft:
        await self._components.state.locks.check(self._fence)
        candidate = self._candidate
        return await self._components.engine.draft_release(
            candidate.stack, self._images, kept_from=candidate.current, kept_services=candidate.kept
        )

    async def _let_look(self, checks: "asyncio.Task[ValidationReport]", drafting: "asyncio.Task[ReleaseDraft]") -> None:
        """Let look at the engine what gets ready to create, where the checks and the draft, by today's policy, do."""
        await asyncio.wait({drafting})
        if drafting.exception() is not None:
            return
        if self._ahead is None and (new := self._candidate.new) is not None:
            self._ahead = CreationAhead(self._components, self._environment, new)
        await asyncio.wait({checks})
        if self._ahead is not None and checks.exception() is None and checks.result().passed:
            self._ahead.let_look()
