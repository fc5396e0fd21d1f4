"""Send backups to the repository that an environment names, one after the other, and tell where that fails.

Each is read whole before: what is damaged here is none that anybody wants there.

Which were sent is in the journal, so that whichever process leads goes on. No deployment waits for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlerts
from roas.concurrency import in_thread, run_concurrently
from roas.errors import RoasError
from roas.limits import BACKUP_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.backup import DataBackup
from roas.models.environment import Environment, ResticRepository
from roas.redaction import Redactor
from roas.rounds import Rounds
from roas.stack.backups.restic import read_variables, secrets_in, send_to
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
    _alerts: Mapping[str, OwnAlerts] = field(init=False)
    _rounds: tuple[Rounds, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make rounds for each environment, whose repository may take hours, and alerts of its own."""
        self._alerts = {name: OwnAlerts(self.alert_service, _fingerprint(name)) for name in self.environments}
        self._rounds = tuple(
            Rounds(f"offsite backups of {name}", partial(self._run_round, name), LOOK_SECONDS)
            for name in self.environments
        )

    async def start(self) -> None:
        """Begin to look what is to be sent."""
        for rounds in self._rounds:
            rounds.start()

    async def stop(self) -> None:
        """Stop; what is being sent is sent again by the next leader, and takes what restic has of it already."""
        await run_concurrently(rounds.stop() for rounds in self._rounds)

    async def _run_round(self, name: str) -> float:
        return LOOK_SECONDS if await self.send_all(name) else BACKUP_RETRY_SECONDS

    async def send_all(self, name: str) -> bool:
        """Send what is not sent yet of an environment; returns whether all of it was. Raises StateError."""
        environment = self.environments[name]
        problem = "" if environment.restic is None else await self._send_of(environment, environment.restic)
        # Of one that sends none any more, it ends, too.
        await self._alerts[name].report([_report(name, problem)] if problem else [])
        return not problem

    async def _send_of(self, environment: Environment, repository: ResticRepository) -> str:
        """Send the backups of one environment, the oldest first; returns what went wrong first.

        One that is damaged or missing keeps no other from there.
        """
        problems = list[str]()
        for backup in reversed(await self.state.data_backups.list(environment.name)):
            if backup.sent_to == repository.shown:
                continue
            is_whole = False
            try:
                await in_thread(self.stacks.of(environment).data.files.verify, backup)
                is_whole = True
                await self._send(environment, repository, backup)
            except RoasError as error:
                if await self.state.data_backups.get(backup.id) is None:  # a deployment has just dropped it
                    continue
                log.warning("backup could not be sent", backup=backup.id, error=error.message)
                problems.append(joined(" ", filter(None, (f"{backup.id}: {error.message}", error.hint))))
                if is_whole:  # it is the repository's fault
                    break
        return next(iter(problems), "")

    async def _send(self, environment: Environment, repository: ResticRepository, backup: DataBackup) -> None:
        self.redactor.add(secrets_in(await in_thread(read_variables, repository)))
        files = self.stacks.of(environment).data.files.files_of(backup)
        cache = self.state.folder / CACHE
        snapshot = await send_to(repository, backup, files, cache, self.redactor.redact)
        await self.state.data_backups.note_sent(backup.id, repository.shown, snapshot)
        log.info("backup was sent", backup=backup.id, repository=repository.shown, snapshot=snapshot)


def _fingerprint(environment: str) -> str:
    return f"{PREFIX}{environment}:"


def _report(environment: str, problem: str) -> AlertReport:
    return AlertReport(
        _fingerprint(environment),
        AlertSource.INTEGRATION,
        Severity.WARNING,
        NOT_SENT,
        problem,
        environment=environment,
    )
