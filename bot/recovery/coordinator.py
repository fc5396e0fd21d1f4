"""Pass every fault to the handler, one at a time per service, and report the result: the ErrorCoordinator."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from roas.alerts.alert_service import AlertService
from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.events import EventBus, Subscription
from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import Alert, AlertSource, RecoveryStatus
from roas.models.environment import Environment
from roas.models.events import RecoveryCompleted, RecoveryRequested
from roas.models.recovery import Fault, FaultCategory, RecoveryOutcome, RecoveryReport
from roas.recovery.handler import RECOVERED, ErrorHandler
from roas.state.manager import StateManager

log = get_logger(__name__)

SOURCE = "recovery"
RECOVERY_STATUSES = {
    RecoveryOutcome.RECOVERED: RecoveryStatus.SUCCEEDED,
    RecoveryOutcome.ESCALATED: RecoveryStatus.GIVEN_UP,
    RecoveryOutcome.DEFERRED: RecoveryStatus.DEFERRED,
    RecoveryOutcome.NOT_OURS: RecoveryStatus.NONE,
}

OUTCOME_NAMES = {
    RecoveryOutcome.RECOVERED: RECOVERED,
    RecoveryOutcome.ESCALATED: said("escalated"),
    RecoveryOutcome.DEFERRED: said("kept away"),
    RecoveryOutcome.NOT_OURS: said("not ours"),
}

Place = tuple[str, str]


class ErrorCoordinator:
    """Receive faults, recover no service twice at a time, and own the recovery tasks."""

    def __init__(
        self,
        handler: ErrorHandler,
        state: StateManager,
        notes: AlertService,
        bus: EventBus,
        environments: Mapping[str, Environment],
    ) -> None:
        self._handler = handler
        self._state = state
        self._notes = notes
        self._bus = bus
        self._environments = environments
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._waiting: dict[Place, list[Fault]] = defaultdict(list)
        self._in_progress: set[str] = set()
        self._subscription: Subscription | None = None

    def start(self) -> None:
        """Listen for faults."""
        self._subscription = self._bus.subscribe(RecoveryRequested, self._handle_event, name="recovery")

    async def resume(self) -> None:
        """Resume recoveries that a dead process did not finish, or never started. Raises StateError."""
        for alert in await self._state.alerts.open():
            if (alert.environment, alert.service) not in self._tasks and _is_unfinished(alert):
                log.info("resuming a recovery", alert_id=alert.id)
                await self._begin(fault_of(alert))

    async def close(self) -> None:
        """Stop recovery; what was under way is resumed by the next bot."""
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)
            self._subscription = None
        tasks = list(self._tasks.values())
        await end_tasks(*tasks)

    async def _handle_event(self, event: RecoveryRequested) -> None:
        alert = await self._state.alerts.get(event.alert_id)
        if alert is not None and alert.is_open:
            await self._begin(replace(fault_of(alert), correlation_id=event.correlation_id))

    async def _begin(self, fault: Fault) -> None:
        """Recover in a task of its own; a second alert of the same service waits for the same end."""
        environment = self._environments.get(fault.environment)
        if environment is None or fault.category is not FaultCategory.PROCESS:
            await self._complete(_nothing_to_recover(fault))
            return
        place = (fault.environment, fault.service)
        if fault.alert_id in self._in_progress:
            return
        self._in_progress.add(fault.alert_id)
        self._waiting[place].append(fault)
        if place not in self._tasks:
            self._tasks[place] = asyncio.create_task(
                self._recover(place, environment), name=f"recover {'/'.join(place)}"
            )

    async def _recover(self, place: Place, environment: Environment) -> None:
        faults: list[Fault] = []
        try:
            while faults := self._waiting.pop(place, []):
                # An alert of the bot's own says more than one from outside.
                first = min(faults, key=lambda fault: fault.from_outside)
                report = await self._handle(first, environment)
                faults += self._waiting.pop(place, [])  # those that came meanwhile have the same end
                for fault in faults:
                    self._in_progress.discard(fault.alert_id)
                    await self._complete(replace(report, fault=fault))
        except RoasError as error:
            log.error("recovery failed", environment=place[0], service=place[1], error=error.message)
        finally:
            self._tasks.pop(place, None)
            for fault in (*faults, *self._waiting.pop(place, [])):
                self._in_progress.discard(fault.alert_id)

    async def _handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        try:
            return await self._handler.handle(fault, environment)
        except RoasError:
            raise
        except Exception as error:  # a fault in recovery must itself be reported
            log.exception("recovery broke", alert_id=fault.alert_id)
            return RecoveryReport(
                fault, RecoveryOutcome.ESCALATED, said("the recovery itself failed ({name})", name=type(error).__name__)
            )

    async def _complete(self, report: RecoveryReport) -> None:
        """Save the result on the alert, then publish it."""
        fault, escalated = report.fault, report.outcome is RecoveryOutcome.ESCALATED
        text = (
            ""
            if report.succeeded
            else said("{outcome}: {text}", outcome=OUTCOME_NAMES[report.outcome], text=report.text)
        )
        if fault.service or not fault.from_outside:
            await self._notes.note(
                fault.alert_id,
                text,
                healing=RECOVERY_STATUSES[report.outcome],
                escalated=True if escalated else None,
                left_alone=report.outcome is RecoveryOutcome.NOT_OURS,
            )
        self._bus.publish(
            RecoveryCompleted(
                alert_id=fault.alert_id,
                environment=fault.environment,
                service=fault.service,
                succeeded=report.succeeded,
                outcome=report.outcome,
                summary=report.text,
                source=SOURCE,
                correlation_id=fault.correlation_id,
            )
        )


def _is_unfinished(alert: Alert) -> bool:
    """Return whether a recovery was begun and not ended, or is due and was never begun."""
    if alert.healing is RecoveryStatus.UNDER_WAY:
        return True
    is_pending = alert.healing is RecoveryStatus.NONE and alert.source is AlertSource.HEALTH and alert.is_urgent
    return is_pending and not alert.left_alone


def fault_of(alert: Alert) -> Fault:
    """Read the fault from an alert."""
    from_outside = alert.source is not AlertSource.HEALTH
    category = FaultCategory.PROCESS
    if not alert.service or not alert.environment:
        category = FaultCategory.OUTSIDE if from_outside else FaultCategory.ENGINE
    return Fault(
        alert_id=alert.id,
        environment=alert.environment,
        service=alert.service,
        category=category,
        message=alert.summary or alert.title,
        from_outside=from_outside,
        correlation_id=alert.correlation_id,
    )


def _nothing_to_recover(fault: Fault) -> RecoveryReport:
    if fault.category is FaultCategory.ENGINE:
        return RecoveryReport(
            fault, RecoveryOutcome.ESCALATED, said("the bot cannot recover a Docker engine that it cannot reach")
        )
    return RecoveryReport(
        fault,
        RecoveryOutcome.NOT_OURS,
        said("it names no service of this bot's stacks, so there is no automatic recovery"),
    )
