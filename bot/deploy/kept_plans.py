"""Keep plans with all that they were made of, until they are confirmed: what is carried out is exactly that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roas.deploy.components import Components
from roas.errors import (
    ImageChangedError,
    ReleaseNotRestorableError,
    UnreadableRowError,
)
from roas.messages.message import Message, said
from roas.models.deployment import Deployment, DeploymentKind
from roas.models.environment import Environment
from roas.models.plan import Plan
from roas.models.release import Release, ReleaseState
from roas.models.stack import Obstacle, WantedImage
from roas.stack.interface import ResolvedStack, SharedFiles
from roas.stack.stack import Stack
from roas.state.documents import from_row, to_json
from roas.state.manager import StateManager

ASK_AGAIN = said("Type it again, such as /deploy, for a new plan.")


@dataclass(frozen=True, slots=True)
class PlannedDeployment:
    """Hold a plan with what it was made of, beside the release that was `current`: it is kept in the journal like this.

    A deployment has the stack that it resolved: its model, which has every secret, is in the store of models under
    `model_hash`, all its files are copied by content, and `wanted` are its images; `kept` services stay as they are in
    the current release. A rollback has the `target` release with today's credentials. `inputs` are hashes of secrets,
    settings and policy, by name.
    """

    plan: Plan
    current: Release | None
    inputs: str
    model_hash: str = ""
    version: str = ""
    warnings: tuple[str, ...] = ()
    follows_version: bool = True
    obstacles: tuple[Obstacle, ...] = ()
    beside_files: bool = False
    wanted: Mapping[str, WantedImage] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    target: Release | None = None
    files: SharedFiles = field(default_factory=SharedFiles)

    def with_stack(self, stack: ResolvedStack, model_hash: str) -> "PlannedDeployment":
        """Return it with the stack that is deployed, the model of which is stored."""
        return replace(
            self,
            model_hash=model_hash,
            version=stack.version,
            warnings=stack.warnings,
            follows_version=stack.follows_version,
            obstacles=stack.obstacles,
            beside_files=stack.beside_files,
            wanted=stack.wanted,
            files=stack.files,
        )

    async def load_stack(self, stack: Stack) -> ResolvedStack:
        """Return the stack that is deployed, with its model. Raises ImageChangedError where that is not kept any more.

        So it does for a rollback, which has none.
        """
        if not self.model_hash:
            raise _not_kept()
        model = await self.load_model(stack)
        return ResolvedStack(
            stack.environment,
            self.version,
            model,
            stack.definitions(model),
            warnings=self.warnings,
            follows_version=self.follows_version,
            obstacles=self.obstacles,
            beside_files=self.beside_files,
            is_kept=True,
            files=self.files,
            wanted=self.wanted,
        )

    async def load_model(self, stack: Stack) -> Mapping[str, Any]:
        """Return the model that is to run; of an operation none. Raises ImageChangedError where it is not kept."""
        model_hash = self.model_hash or (self.target.model_hash if self.target is not None else "")
        try:
            return await stack.load_model(model_hash) if model_hash else {}
        except ReleaseNotRestorableError as error:
            raise _not_kept() from error

    @property
    def built(self) -> tuple[str, ...]:
        """Return the names of the copies that are built from."""
        return tuple(image.build_hash for image in self.wanted.values() if image.build_hash is not None)


class KeptPlans:
    """Keep each plan in the journal under its digest, for a day."""

    def __init__(self, components: Components) -> None:
        self._components = components

    async def keep(self, planned: PlannedDeployment) -> None:
        """Keep a plan."""
        await self._components.state.approvals.keep(planned.plan.digest, to_json(planned))

    async def find(self, digest: str) -> PlannedDeployment:
        """Return the plan that was confirmed. Raises ImageChangedError where it is not kept any more."""
        text = await self._components.state.approvals.kept(digest)
        if text is None:
            raise _not_kept()
        try:
            return from_row(PlannedDeployment, text)
        except UnreadableRowError as error:
            raise _not_kept() from error

    async def require_current(self, environment: Environment, planned: PlannedDeployment) -> PlannedDeployment:
        """Return a plan beside the release that runs now.

        Raises ImageChangedError where that is another one, or the settings, a secret or the policy changed.
        """
        stack = self._components.stacks.of(environment)
        goes_back = planned.target is not None
        current = await release_in_use(self._components.state, environment.name, goes_back=goes_back)
        # What ran before the first release is adopted on the way: the plan was made beside just that.
        adopted = planned.current is None and current is not None and current.state is ReleaseState.ADOPTED
        if not adopted and _identity(current) != _identity(planned.current):
            if _label(current) == _label(planned.current):
                raise _changed(said("A service was scaled, or a credential changed, since this was planned."))
            raise _is_elsewhere(environment.name, current)
        if changed := say_changed(planned.inputs, await stack.releases.hash_inputs(await planned.load_model(stack))):
            raise _changed(changed)
        return replace(planned, current=current)


def say_changed(before: str, now: str) -> Message | None:
    """Say which settings or secrets are others than a plan was made with, both hashed by name; None where none is."""
    if before == now:
        return None
    try:
        known, found = json.loads(before), json.loads(now)
        names = sorted(name for name in {*known, *found} if known.get(name) != found.get(name))
    except (ValueError, TypeError, AttributeError):  # of another version of the bot
        return said("The settings, a secret or the policy changed since this was planned.")
    return said("{names} changed since this was planned.", names=", ".join(names))


def _not_kept() -> ImageChangedError:
    return ImageChangedError(
        said("This plan is not kept any more, or is of another version of the bot."),
        hint=ASK_AGAIN,
    )


def _identity(release: Release | None) -> tuple[int, str] | None:
    return None if release is None else (release.number, release.model_hash)


def _label(release: Release | None) -> str:
    return said("no release") if release is None else release.label


def require_release(current: Release | None, deployment: Deployment) -> None:
    """Require that an environment is on the release that an operation is for. Raises ImageChangedError."""
    if current is None or current.number != deployment.from_release:
        raise _is_elsewhere(deployment.environment, current)


def _is_elsewhere(environment: str, current: Release | None) -> ImageChangedError:
    text = said(
        "{environment} is on another release than when this was planned: {release}.",
        environment=environment,
        release=_label(current),
    )
    return _changed(text)


def _changed(message: str) -> ImageChangedError:
    return ImageChangedError(message, hint=ASK_AGAIN)


async def release_in_use(state: StateManager, environment: str, *, goes_back: bool = False) -> Release | None:
    """Return the release that an environment is on, with the model that it runs.

    A deployment that only watches has arrived: whoever asks for something now starts from its release. So does who
    goes back from a canary.
    """
    lock = await state.locks.get(environment)
    watching = None if lock is None else await state.deployments.get(lock.deployment_id)
    has_arrived = watching is not None and (
        watching.only_watches or (goes_back and watching.is_ended_by(DeploymentKind.ROLLBACK))
    )
    if watching is not None and has_arrived and watching.to_release is not None:
        release = await state.releases.get(environment, watching.to_release)
        if release is not None:
            return replace(release, model_hash=watching.applied_model or release.model_hash)
    return await state.releases.applied(environment)
