"""Keep releases: make one, protect its images, bring back what was pruned, drop what is not kept any more."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from roas.errors import ImageNotFoundError, RegistryUnavailableError, ReleaseNotRestorableError, RoasError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.release import ImagePin, Release, ReleaseState
from roas.models.stack import WantedImage
from roas.stack.image_supply import ServiceReport, by_reference, pull
from roas.stack.interface import ReleaseDraft
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager
from roas.state.transaction import Fence


class ReleaseKeeper:
    """Keep the releases of environments, in the journal and as what an engine holds for them."""

    def __init__(self, stacks: Stacks, state: StateManager) -> None:
        self._stacks = stacks
        self._state = state

    async def adopt(
        self,
        stack: Stack,
        actor: Actor,
        fence: Fence,
        correlation_id: str,
        *,
        version: str | None = None,
    ) -> Release | None:
        """Create release 0 from what runs, if the environment has no release yet; returns the current release.

        The files are read for the `version` that is asked for: without, they may not be complete. The current release
        is protected again: with containerd's image store, `docker system prune -a` takes our tags of images that run.
        """
        current = await self._state.releases.current(stack.environment.name)
        if current is not None:
            with suppress(ImageNotFoundError):  # then it cannot be restored, which the plan says
                await self._protect(stack, current)
            return current
        draft = await stack.releases.adopt(version)
        if draft is None:
            return None
        draft = replace(draft, version=await stack.releases.version_of(draft.services) or draft.version)
        release = _release(stack, draft, actor, None, state=ReleaseState.ADOPTED)
        adopted = await self._state.releases.add(release, fence, correlation_id)
        await self._protect(stack, adopted)
        return adopted

    async def create_release(
        self,
        draft: ReleaseDraft,
        stack: Stack,
        actor: Actor,
        fence: Fence,
        *,
        deployment_id: str,
        correlation_id: str,
    ) -> Release:
        """Number a draft, save it, and protect its images from pruning."""
        current = await self._state.releases.current(stack.environment.name)
        replaces = current.number if current else None
        release = _release(stack, draft, actor, deployment_id, state=ReleaseState.CANDIDATE, replaces=replaces)
        numbered = await self._state.releases.add(release, fence, correlation_id)
        await self._protect(stack, numbered)
        return numbered

    async def note_files(self, stack: Stack, release: Release, draft: ReleaseDraft, fence: Fence) -> None:
        """Keep of which files a release is made, where a draft that is the same in all else is made of others."""
        if draft.files_hash and draft.files_hash != release.files_hash:
            await self._protect(stack, await self._state.releases.set_files(release, draft.files_hash, fence))

    async def require_images(
        self, stack: Stack, release: Release, services: Collection[str], report: ServiceReport
    ) -> None:
        """Make sure that the images of a release's services are here; one that was pruned is pulled by its digest.

        Raises ReleaseNotRestorableError, before anything is stopped for an image that cannot be had.
        """
        try:
            gone = frozenset(await stack.releases.missing_images(release)) & frozenset(services)
        except RegistryUnavailableError:  # of a Swarm: a way back that nobody asked for is no place to fail closed
            gone = frozenset()
        pins = {service.name: service.image for service in release.services if service.name in gone}
        lost: dict[str, str] = {}
        for image, names in by_reference({name: _as_wanted(pin) for name, pin in pins.items()}):
            try:
                if image.digest is None:
                    raise ReleaseNotRestorableError(
                        said("{reference} is not in any registry", reference=image.reference)
                    )
                await pull(stack.images, image, names, report)
            except RoasError as error:
                lost |= dict.fromkeys(names, error.message)
        if gone and not lost:
            await self._protect(stack, release)
        if lost:
            raise not_restorable(release, sorted(lost), [pins[name] for name in sorted(lost)])

    async def _protect(self, stack: Stack, release: Release) -> None:
        await stack.releases.protect(release, self._state.journal_id)

    async def forget(self, stack: Stack, kept: int, fence: Fence, *, runs: int | None) -> None:
        """Write that the releases beyond the last `kept` are not kept any more, but for that which runs."""
        for release in await self._state.releases.beyond(stack.environment.name, kept, runs=runs):
            await self._state.releases.forget(release, fence)

    async def forgotten(self, stack: Stack, *, runs: int | None) -> tuple[Release, ...]:
        """Return the releases that are not kept any more and still hold something, but for that which runs."""
        held = await stack.releases.held()
        return await self._state.releases.forgotten(
            stack.environment.name, {number for number in held if number != runs}
        )

    async def drop_release(self, stack: Stack, release: Release) -> None:
        """Drop what a release that is not kept any more held: its tags, its model, its contents."""
        await stack.releases.unprotect(release, needed=await self._models_that_run())

    async def clear_unused(self) -> None:
        """Remove the models and contents that no release holds and nothing runs."""
        await self._stacks.clear_unused(await self._models_that_run())

    async def _models_that_run(self) -> frozenset[str]:
        """Return the models that environments are on or move to: one with renewed credentials is in no release."""
        unfinished = (*await self._state.deployments.unfinished(), *await self._state.drafts.waiting())
        return await self._state.releases.applied_models() | {deployment.applied_model for deployment in unfinished}


def not_restorable(release: Release, services: Sequence[str], images: Sequence[ImagePin]) -> ReleaseNotRestorableError:
    """Return the error that says which images of a release are gone, and how they come back."""
    pulls = sorted({f"`docker pull {image.digest}`" for image in images if image.digest})
    return ReleaseNotRestorableError(
        said(
            "{release} cannot be restored: the images of {services} are gone.",
            release=release.label,
            services=", ".join(services),
        ),
        hint=(
            said("Try {pulls}, choose another release, or deploy that version again.", pulls=", ".join(pulls))
            if pulls
            else said("Choose another release, or deploy that version again.")
        ),
    )


def _as_wanted(pin: ImagePin) -> WantedImage:
    """Ask for exactly the content of a release, whatever its tag means by now."""
    return WantedImage(pin.digest or pin.reference, digest=pin.digest, must_pull=True)


def _release(
    stack: Stack,
    draft: ReleaseDraft,
    actor: Actor,
    deployment_id: str | None,
    *,
    state: ReleaseState,
    replaces: int | None = None,
) -> Release:
    return Release(
        environment=stack.environment.name,
        number=-1,  # the journal gives it its number
        version=draft.version,
        state=state,
        services=draft.services,
        model_hash=draft.model_hash,
        created_at=datetime.now(UTC),
        created_by=actor,
        deployment_id=deployment_id,
        replaces=replaces,
        files_hash=draft.files_hash,
    )
