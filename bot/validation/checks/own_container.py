"""Check that a bot in a container knows which one it is, and sees the same paths as the engine."""

from pathlib import Path, PurePosixPath

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.facts import Mount, OwnContainer
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class OwnContainerCheck:
    """Find the own container by its id, compare its project with the environment and its mounts with the host's."""

    name = "own_container"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """List the paths or projects that differ between the bot's view and the engine's."""
        if not subject.engine.in_container():
            return [self._outside(subject)]
        own = await subject.engine.own_container()
        if own is None:
            remedy = said("Give the bot the socket of the engine that runs it; DOCKER_HOST must not lead elsewhere.")
            message = said("The bot runs in a container that this engine does not know.")
            severity = Severity.CRITICAL if subject.environment.is_home else Severity.WARNING
            return [failed(self, message, remedy, severity)]
        return [*self._home(subject, own), *self._paths(subject, own)] or [
            passed(
                self, said("The bot is the container {own} and sees its folders where the engine does.", own=own.name)
            )
        ]

    def _outside(self, subject: Subject) -> CheckResult:
        if not subject.environment.is_home:
            return passed(self, said("The bot does not run in a container."))
        message = said(
            "{environment} is the home environment, but the bot does not run in a container of it.",
            environment=subject.environment.name,
        )
        remedy = said("Start the bot as a service of the stack, or leave HOME_ENVIRONMENT empty.")
        return failed(self, message, remedy, Severity.WARNING)

    def _home(self, subject: Subject, own: OwnContainer) -> list[CheckResult]:
        environment = subject.environment
        if not environment.is_home or own.project == environment.project:
            return []
        message = said(
            "{environment} is the home environment and is project {project}, but the bot's container {own} belongs "
            "to {other}.",
            environment=environment.name,
            project=environment.project,
            own=own.name,
            other=own.project or said("no project"),
        )
        return [
            failed(
                self,
                message,
                said(
                    "Set COMPOSE_PROJECT_NAME to {project}, or HOME_ENVIRONMENT.",
                    project=own.project or said("that project"),
                ),
            )
        ]

    def _paths(self, subject: Subject, own: OwnContainer) -> list[CheckResult]:
        """Compose reads paths in here, the engine reads them on its machine: they have to be the same."""
        folders = {
            "STATE_DIR": subject.settings.state_dir.absolute(),
            said("the stack's folder"): subject.environment.folder,
        }
        return [
            failed(
                self,
                said("{text} ({folder}) {fault}.", text=text, folder=folder, fault=fault),
                said("Mount it into the bot at the path that it has on the host: `{folder}:{folder}`.", folder=folder),
            )
            for text, folder in folders.items()
            if (fault := _fault(folder, own))
        ]


def _fault(folder: Path, own: OwnContainer) -> str:
    """Describe what is wrong with the source of a folder; empty where the engine sees the same."""
    mount = _mount_of(folder, own.mounts)
    if mount is None:
        return said("is not mounted from the host")
    if mount.kind != "bind":
        return said(
            "lies in the volume mounted at {destination}, which the engine sees elsewhere",
            destination=mount.destination,
        )
    if mount.source == mount.destination:
        return ""
    return said("is {source} on the host", source=mount.source)


def _mount_of(folder: Path, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount of a folder: the one with the longest destination."""
    inside = [mount for mount in mounts if PurePosixPath(folder).is_relative_to(mount.destination)]
    return max(inside, key=lambda mount: len(mount.destination), default=None)
