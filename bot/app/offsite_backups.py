"""Send backups to the repository that an environment names, one after the other, and tell where that fails.

Which were sent is in the journal, so that whichever process leads goes on. No deployment waits for it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from roas.alerts.alert_service import AlertService
from roas.concurrency import end_tasks, in_thread, pause
from roas.errors import RoasError
from roas.limits import BACKUP_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.backup import DataBackup
from roas.models.environment import Environment, ResticRepository
from roas.redaction import Redactor
from roas.stack.backups.restic import read_variables, send_to
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)

LOOK_SECONDS = 10.0
CACHE = "restic-cache"
PREFIX, UNKNOWN = "offsite:", "?"
NOT_SENT = said("backups are not sent to their repository")


@dataclass(slots=True)
class OffsiteBackups:
    """Send what is not sent yet, in the leader's process."""

    stacks: Stacks
    state: StateManager
    alert_service: AlertService
    environments: Mapping[str, Environment]
    redactor: Redactor
    _told: dict[str, str] | None = None  # what a bot before this one said is not known
    _rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look what is to be sent."""
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._run(), name="offsite backups")

    async def stop(self) -> None:
        """Stop; what is being sent is sent again by the next leader, and takes what restic has of it already."""
        rounds, self._rounds = self._rounds, None
        if rounds is not None:
            await end_tasks(rounds)

    async def _run(self) -> None:
        while True:
            failed = False
            try:
                failed = not await self.send_all()
            except RoasError as error:
                log.error("backups could not be sent", error=error.message)
            except Exception:  # the rounds must continue
                log.exception("backups could not be sent")
            await pause(BACKUP_RETRY_SECONDS if failed else LOOK_SECONDS)

    async def send_all(self) -> bool:
        """Send what is not sent yet of each environment; returns whether all of it was. Raises StateError."""
        done = True
        if self._told is None:
            opened = (alert.fingerprint for alert in await self.state.alerts.open())
            self._told = {name.removeprefix(PREFIX): UNKNOWN for name in opened if name.startswith(PREFIX)}
        for environment in list(self.environments.values()):
            problem = "" if environment.restic is None else await self._send_of(environment, environment.restic)
            await self._tell(self._told, environment, problem)  # of one that sends none any more, too
            done = done and not problem
        return done

    async def _send_of(self, environment: Environment, repository: ResticRepository) -> str:
        """Send the backups of one environment, the oldest first; returns what went wrong."""
        for backup in reversed(await self.state.data_backups.list(environment.name)):
            if backup.sent_to == repository.shown:
                continue
            try:
                await self._send(environment, repository, backup)
            except RoasError as error:
                log.warning("backup could not be sent", backup=backup.id, error=error.message)
                return joined(" ", filter(None, (f"{backup.id}: {error.message}", error.hint)))
        return ""

    async def _send(self, environment: Environment, repository: ResticRepository, backup: DataBackup) -> None:
        self.redactor.add((await in_thread(read_variables, repository)).values())
        files = self.stacks.of(environment).data.files.files_of(backup)
        cache = self.state.folder / CACHE
        snapshot = await send_to(repository, backup, files, cache, self.redactor.redact)
        await self.state.data_backups.note_sent(backup.id, repository.shown, snapshot)
        log.info("backup was sent", backup=backup.id, repository=repository.shown, snapshot=snapshot)

    async def _tell(self, told: dict[str, str], environment: Environment, problem: str) -> None:
        if told.get(environment.name, "") == problem:
            return
        report = AlertReport(
            f"{PREFIX}{environment.name}",
            AlertSource.INTEGRATION,
            Severity.WARNING,
            NOT_SENT,
            problem,
            environment=environment.name,
            firing=bool(problem),
        )
        await self.alert_service.take([report])
        told[environment.name] = problem
