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
from roas.stack.interface import PinnedStack
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager
from roas.state.transaction import Fence


class ReleaseKeeper:
    """Keep the releases of a stack, in the journal and as what its engine holds for them.

    What they are made of, `stack.releases` knows. Each write checks the `fence` of the deployment lock.
    """

    def __init__(self, stack: Stack, state: StateManager, fence: Fence) -> None:
        self._stack = stack
        self._state = state
        self._fence = fence

    @property
    def _environment(self) -> str:
        return self._stack.environment.name

    async def adopt(self, actor: Actor, correlation_id: str, *, version: str | None = None) -> Release | None:
        """Create release 0 from what runs, if the environment has no release yet; returns the current release.

        The files are read for the `version` that is asked for: without, they may not be complete. The current release
        is protected again: with containerd's image store, `docker system prune -a` takes our tags of images that run.
        """
        current = await self._state.releases.current(self._environment)
        if current is not None:
            with suppress(ImageNotFoundError):  # then it cannot be restored, which the plan says
                await self._protect(current)
            return current
        pinned = await self._stack.releases.adopt(version)
        if pinned is None:
            return None
        pinned = replace(pinned, version=await self._stack.releases.version_of(pinned.services) or pinned.version)
        release = self._release(pinned, actor, None, state=ReleaseState.ADOPTED)
        return await self._add(release, correlation_id)

    async def create_release(
        self, pinned: PinnedStack, actor: Actor, *, deployment_id: str, correlation_id: str
    ) -> Release:
        """Make a release of a pinned stack: number it, save it, and protect its images from pruning."""
        current = await self._state.releases.current(self._environment)
        replaces = current.number if current else None
        release = self._release(pinned, actor, deployment_id, state=ReleaseState.CANDIDATE, replaces=replaces)
        return await self._add(release, correlation_id)

    async def note_files(self, release: Release, pinned: PinnedStack) -> None:
        """Keep of which files a release is made, where what was pinned is the same in all else."""
        if pinned.files_hash and pinned.files_hash != release.files_hash:
            await self._protect(await self._state.releases.set_files(release, pinned.files_hash, self._fence))

    async def require_images(self, release: Release, services: Collection[str], report: ServiceReport) -> None:
        """Make sure that the images of a release's services are here; one that was pruned is pulled by its digest.

        Raises ReleaseNotRestorableError, before anything is stopped for an image that cannot be had.
        """
        try:
            gone = frozenset(await self._stack.releases.missing_images(release)) & frozenset(services)
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
                await pull(self._stack.images, image, names, report)
            except RoasError as error:
                lost |= dict.fromkeys(names, error.message)
        if gone and not lost:
            await self._protect(release)
        if lost:
            raise not_restorable(release, sorted(lost), [pins[name] for name in sorted(lost)])

    async def forget(self, kept: int, *, runs: int | None) -> None:
        """Write that the releases beyond the last `kept` are not kept any more, but for that which runs."""
        for release in await self._state.releases.beyond(self._environment, kept, runs=runs):
            await self._state.releases.forget(release, self._fence)

    async def forgotten(self, *, runs: int | None) -> tuple[Release, ...]:
        """Return the releases that are not kept any more and still hold something, but for that which runs."""
        held = await self._stack.releases.held()
        return await self._state.releases.forgotten(self._environment, {number for number in held if number != runs})

    async def drop_release(self, release: Release) -> None:
        """Drop what a release that is not kept any more held: its tags, its model, its contents."""
        await self._stack.releases.unprotect(release, needed=await _models_that_run(self._state))

    async def _add(self, release: Release, correlation_id: str) -> Release:
        numbered = await self._state.releases.add(release, self._fence, correlation_id)
        await self._protect(numbered)
        return numbered

    async def _protect(self, release: Release) -> None:
        await self._stack.releases.protect(release, self._state.journal_id)

    def _release(
        self,
        pinned: PinnedStack,
        actor: Actor,
        deployment_id: str | None,
        *,
        state: ReleaseState,
        replaces: int | None = None,
    ) -> Release:
        return Release(
            environment=self._environment,
            number=-1,  # the journal gives it its number
            version=pinned.version,
            state=state,
            services=pinned.services,
            model_hash=pinned.model_hash,
            created_at=datetime.now(UTC),
            created_by=actor,
            deployment_id=deployment_id,
            replaces=replaces,
            files_hash=pinned.files_hash,
        )


async def clear_unused(stacks: Stacks, state: StateManager) -> None:
    """Remove the models and contents that no release of any environment holds and nothing runs."""
    await stacks.clear_unused(await _models_that_run(state))


async def _models_that_run(state: StateManager) -> frozenset[str]:
    """Return the models that environments are on or move to: one with renewed credentials is in no release."""
    unfinished = (*await state.deployments.unfinished(), *await state.drafts.waiting())
    return await state.releases.applied_models() | {deployment.applied_model for deployment in unfinished}


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
