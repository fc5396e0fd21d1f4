"""Send backups to the repository that an environment names, one after the other, and tell where that fails.

Which were sent is in the journal, so that whichever process leads goes on. No deployment waits for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlerts
from roas.concurrency import in_thread
from roas.errors import RoasError
from roas.limits import BACKUP_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.backup import DataBackup
from roas.models.environment import Environment, ResticRepository
from roas.redaction import Redactor
from roas.rounds import Rounds
from roas.stack.backups.restic import read_variables, send_to
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)

LOOK_SECONDS = 10.0
CACHE = "restic-cache"
PREFIX = "offsite:"
NOT_SENT = said("backups are not sent to their repository")


@dataclass(slots=True)
class OffsiteBackups:
    """Send what is not sent yet, in the leader's process."""

    stacks: Stacks
    state: StateManager
    alert_service: AlertService
    environments: Mapping[str, Environment]
    redactor: Redactor
    _alerts: OwnAlerts = field(init=False)
    _rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        """Make rounds of its own, and alerts of one kind."""
        self._alerts = OwnAlerts(self.alert_service, PREFIX)
        self._rounds = Rounds("offsite backups", self._run_round, LOOK_SECONDS)

    async def start(self) -> None:
        """Begin to look what is to be sent."""
        self._rounds.start()

    async def stop(self) -> None:
        """Stop; what is being sent is sent again by the next leader, and takes what restic has of it already."""
        await self._rounds.stop()

    async def _run_round(self) -> float:
        return LOOK_SECONDS if await self.send_all() else BACKUP_RETRY_SECONDS

    async def send_all(self) -> bool:
        """Send what is not sent yet of each environment; returns whether all of it was. Raises StateError."""
        wrong = [
            _report(environment.name, problem)
            for environment in list(self.environments.values())
            if environment.restic is not None and (problem := await self._send_of(environment, environment.restic))
        ]
        await self._alerts.report(wrong)  # ends that of an environment that sends none any more, too
        return not wrong

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


def _report(environment: str, problem: str) -> AlertReport:
    return AlertReport(
        f"{PREFIX}{environment}",
        AlertSource.INTEGRATION,
        Severity.WARNING,
        NOT_SENT,
        problem,
        environment=environment,
    )
