"""Name every fault that this software can report: what is wrong, and what to do about it."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Self

from roas.messages.message import Message, hide_in, joined, said
from roas.models.deployment import Problem

# What to type next, in the channel or in a terminal.
SEE_STATUS = said("`/status` or `roas status` shows what is under way.")
UNDO = said("`/rollback` or `roas rollback` undoes it.")


class RoasError(Exception):
    """Say what is wrong (`message`) and what to do (`hint`).

    `transient` says whether a retry may help; `report` is longer text for an attachment.
    """

    key = "error"
    transient = False

    def __init__(self, message: str, *, hint: str = "", service: str | None = None, report: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.service = service
        self.report = report

    @property
    def whole(self) -> str:
        """Return what is wrong, and after it what to do."""
        return joined(" ", (self.message, self.hint)) if self.hint else self.message

    def hide(self, redact: Callable[[str], str]) -> Self:
        """Take secrets out of what it says, before anybody reads or keeps it; returns itself."""
        self.message, self.hint, self.report = (
            hide_in(text, redact) for text in (self.message, self.hint, self.report)
        )
        self.args = (self.message,)
        return self

    def problem(self) -> Problem:
        """Return the fault as plain data, for the journal and for people."""
        return Problem(self.key, self.message, self.hint, self.service, self.report)


@contextmanager
def without_secrets(redact: Callable[[str], str]) -> Iterator[None]:
    """Take secrets out of every error of ours that is raised within."""
    try:
        yield
    except RoasError as error:
        error.hide(redact)
        raise


def second_copy(environment: str, found: str, project: str) -> "SecondCopyError":
    """Create the error for a stack that runs already, as another project."""
    return SecondCopyError(
        said(
            "{environment} runs already as the project {found}, and would be created a second time as {project}, with "
            "empty volumes.",
            environment=environment,
            found=found,
            project=project,
        ),
        hint=said(
            'Set `project_name = "{found}"` in [environments.{environment}], or `"{project}"` for a second copy.',
            found=found,
            environment=environment,
            project=project,
        ),
    )


def unknown_environment(name: str, known: Collection[str]) -> "InvalidRequestError":
    """Create the error for an environment that the settings do not have."""
    return InvalidRequestError(
        said("There is no environment {name}.", name=repr(name)),
        hint=said("There {count|is|are} {known}.", count=len(known), known=", ".join(known)),
    )


def unknown_services(unknown: Iterable[str], known: Collection[str]) -> "InvalidRequestError":
    """Create the error for services that a stack does not have."""
    return InvalidRequestError(
        said("The stack has no service {name}.", name=", ".join(unknown)),
        hint=said("There {count|is|are} {known}.", count=len(known), known=", ".join(sorted(known))),
    )


def invalid_version(version: str) -> "InvalidRequestError":
    """Create the error for a version that is none; it is given as it is to be shown."""
    return InvalidRequestError(
        said("{version} is not a valid version.", version=version),
        hint=said(
            "Use letters, digits and . _ + -, starting with a letter or a digit; 128 characters at most."
            " For example v1.4.2."
        ),
    )


def refuse_missing(missing: Iterable[str]) -> None:
    """Raise RequirementError where something is missing that an environment requires."""
    for text in missing:
        raise RequirementError(text, hint=said("Let it be healthy there first, or use a hotfix where it cannot wait."))


def unreadable_file(path: str | PurePath, error: OSError) -> "ComposeFileError":
    """Create the error for a file of a stack that cannot be read."""
    hint = said("Check its permissions, and that nobody replaces it meanwhile.")
    if isinstance(error, PermissionError):
        hint = said(
            "It is read as user {user}: let that user read it and its folders, for instance by `chown {user} FILE`.",
            user=os.geteuid(),
        )
    return ComposeFileError(cannot_read(path, error), hint=hint)


def cannot_read(path: str | PurePath, error: OSError | UnicodeError) -> Message:
    """Say that a file cannot be read, and why."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said("{path} cannot be read: {strerror}.", path=path, strerror=reason)


def not_installed(name: str) -> Message:
    """Say that a program or a library is missing where the bot runs; `name` may end with the version that is needed."""
    return said("{name} is not installed here.", name=name)


def correct_setting(name: str) -> Message:
    """Say what to do about a file that a setting names and that cannot be read."""
    return said("Correct `{name}`, or let the bot's user read that file.", name=name)


def too_large_file(path: str | PurePath) -> "ComposeFileError":
    """Create the error for a file of a stack that is larger than any should be."""
    return ComposeFileError(said("{path} is too large.", path=path))


def missing_files(names: str | PurePath, *, is_followed: bool = False) -> "ComposeFileError":
    """Create the error for files that are not there; `is_followed`, where a repository has them."""
    return ComposeFileError(
        said("There is no such file: {names}.", names=names),
        hint=said("A plan brings it from the repository, if that has it in its `path` and the folder can be written.")
        if is_followed
        else said("Check STACK_DIR and COMPOSE_FILE, or name the file by `roas init --file`."),
    )


class SettingsError(RoasError):
    """A setting is missing or wrong."""

    key = "settings"


class NameClashError(RoasError):
    """A bot that loads the extension has something of its own under a name that the extension needs."""

    key = "name_clash"


class InvalidRequestError(RoasError):
    """A request names something that does not exist or is not allowed in that place."""

    key = "invalid_request"


class NotPermittedError(RoasError):
    """The one who asks may not do this."""

    key = "not_permitted"


class NewPowersError(RoasError):
    """A stack would newly get powers that nobody granted."""

    key = "new_powers"


class ComposeFileError(RoasError):
    """A compose file does not parse, or lacks a variable."""

    key = "compose_file"


class ComposePolicyError(RoasError):
    """A compose file asks for something that the policy does not allow; `entries` would allow it."""

    key = "compose_policy"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        entries: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.entries = entries


class DependencyCycleError(RoasError):
    """Services depend on each other in a cycle."""

    key = "dependency_cycle"


class StateMovedError(RoasError):
    """A release would move the bot's state to another folder than the current one."""

    key = "state_moved"


class SecondCopyError(RoasError):
    """A stack that runs already would be created a second time, under another project and with empty volumes."""

    key = "second_copy"


class EngineError(RoasError):
    """The engine refused to do something."""

    key = "engine"


class EngineUnavailableError(EngineError):
    """The engine cannot be reached, or is too busy to answer; perhaps it `was_awaited` for a while before."""

    key = "engine_unavailable"
    transient = True
    was_awaited = False


class EnginePartAwayError(EngineUnavailableError):
    """The engine answers, but a part that runs containers or builds images (containerd, a shim, BuildKit) does not."""


class ShortageError(EngineUnavailableError):
    """Processes, threads, memory, open files or disk space have run out for a while, here or on the engine's machine.

    Who waits for an engine that is away waits for this, too.
    """

    key = "shortage"


class NoQuorumError(EngineUnavailableError):
    """More than half of a Swarm's managers do not reach each other: nothing is written, and soon nothing is read."""


class NoManagerError(NoQuorumError):
    """The engine that is asked is no manager of its Swarm any more: whether the others have a quorum is not known."""


class OtherSwarmError(EngineUnavailableError):
    """An address leads to another Swarm than the one that the environment was deployed to: that is not written to."""

    key = "other_swarm"


class SwarmLockedError(NoQuorumError):
    """A manager that was restarted waits for the key of its Swarm."""


class ContainerRemovedError(EngineError):
    """Somebody removed a container that was about to be started; another one can be created."""

    key = "container_removed"
    transient = True


class ContainerConflictError(EngineError):
    """Somebody else replaced or removed the same containers at the same moment; the next try finds what is left."""

    key = "container_conflict"
    transient = True


class RepositoryError(RoasError):
    """The repository of an environment's files does not have what the settings name, or git refuses it."""

    key = "repository"


class RepositoryUnavailableError(RepositoryError):
    """The repository of an environment's files cannot be reached."""

    key = "repository_unavailable"
    transient = True


class RefMovedError(RepositoryError):
    """The ref names another commit than the one that was offered."""

    key = "ref_moved"


class RegistryUnavailableError(EngineError):
    """A registry answers with a fault of its own, or not at all."""

    key = "registry_unavailable"
    transient = True


class RequirementError(RoasError):
    """The environment takes only what was healthy for some time in another one, and this was not, or not yet."""

    key = "requirement"


class ImageNotVerifiedError(EngineError):
    """An image is not signed, or not built, as its environment asks."""

    key = "image_not_verified"


class NotVerifiableNowError(EngineError):
    """Whether an image is signed cannot be found out: its registry is away, or cosign."""

    key = "not_verifiable_now"
    transient = True


class ImageNotFoundError(EngineError):
    """An image exists neither here nor in its registry."""

    key = "image_not_found"


class ImageChangedError(EngineError):
    """A tag no longer means what it meant when the plan was created."""

    key = "image_changed"


class BuildFailedError(EngineError):
    """An image could not be built."""

    key = "build_failed"


class BackupError(RoasError):
    """The data of a service could not be backed up, read again, or restored."""

    key = "backup"


class ProxyError(RoasError):
    """The proxy in front of a service cannot be asked, or does not send requests to a container that is well."""

    key = "proxy"


class ServiceFailedError(RoasError):
    """A service exited, restarts in a loop, or did not become healthy; `container_id` is who failed, where known.

    What is done `by_somebody`, a person or a program, says nothing of the release.
    """

    key = "service_failed"
    container_id: str | None = None
    by_somebody = False


class RolloutPausedError(RoasError):
    """Too many new replicas failed, and the compose file asks for a person to decide (`failure_action: pause`)."""

    key = "rollout_paused"


class CanaryUndecidedError(RolloutPausedError):
    """A canary is neither good nor worse by its deadline: a person decides."""

    key = "canary_undecided"


class BakeUndecidedError(CanaryUndecidedError):
    """A bake is neither good nor worse by its end: a person decides."""

    key = "bake_undecided"


class TakenBackError(RoasError):
    """A person chose the way back for a deployment that was paused."""

    key = "taken_back"


class ValidationFailedError(RoasError):
    """A critical check of the environment failed."""

    key = "validation_failed"


class PhaseTimeoutError(RoasError):
    """A phase did not end within its time."""

    key = "phase_timeout"


class DeploymentCancelledError(RoasError):
    """A person requested that the deployment stop."""

    key = "cancelled"


class DraftVoidError(DeploymentCancelledError):
    """What was drafted cannot be carried out as it was approved, or was not approved; nothing was changed."""

    key = "draft_void"


class BotRemovalError(RoasError):
    """What was asked for would leave nobody: the bot's own service, or its container, would be gone."""

    key = "bot_removal"


class OwnContainerError(BotRemovalError):
    """This process would stop, remove or replace the container that it runs in."""

    key = "own_container"


class ReleaseNotRestorableError(RoasError):
    """A release cannot be brought back: it does not exist, or its images are gone."""

    key = "release_not_restorable"


class InternalFaultError(RoasError):
    """An unexpected error; the log has the details."""

    key = "internal_fault"


class StateError(RoasError):
    """The journal cannot be read or written."""

    key = "state"


class JournalUnusableError(StateError):
    """The disk or the database does not take or give what the journal holds: no room, no right, a fault."""


class StateFolderError(JournalUnusableError):
    """What lies beside the journal in the state folder cannot be read or written now; it may be again."""

    key = "state_folder"


class JournalHeldError(JournalUnusableError):
    """Another process locks the journal and does not release it."""

    key = "journal_held"


class JournalLostError(JournalUnusableError):
    """The journal that this process has open is no longer the one at its path: another bot may lead with that one."""

    key = "journal_lost"


class JournalDamagedError(JournalLostError):
    """What lies at the journal's path is no whole journal any more: nothing may be decided by what is left of it."""

    key = "journal_damaged"


class JournalMissingError(JournalLostError):
    """The journal is empty, while the engine has what an earlier one made: its disk may not be mounted."""

    key = "journal_missing"


class UnreadableRowError(StateError):
    """A row of the journal means nothing to this version."""

    key = "unreadable_row"


class FencedOffError(StateError):
    """Another process has taken over what this one wanted to change."""

    key = "fenced_off"
