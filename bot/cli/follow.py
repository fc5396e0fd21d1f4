"""Follow a deployment to its end, and let the person at the keyboard cancel it or leave."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from roas.cli.connection import Connection
from roas.cli.output import Terminal, printable
from roas.cli.running import Session
from roas.concurrency import end_tasks
from roas.errors import InternalFaultError, RoasError
from roas.models.deployment import Deployment, PhaseResult, PhaseStatus, ServiceProgress, ServiceStep
from roas.ui.units import duration

UNSAID_STEPS = frozenset({ServiceStep.PENDING})
REDRAWS_PER_SECOND = 8
BAR_WIDTH = 24
ICONS = {
    PhaseStatus.PENDING: ("·", "dim"),
    PhaseStatus.SUCCESS: ("✓", "green"),
    PhaseStatus.FAILED: ("✗", "red"),
    PhaseStatus.CANCELLED: ("−", "yellow"),
}
GOOD_STEPS = frozenset({ServiceStep.HEALTHY, ServiceStep.COMPLETED, ServiceStep.RESTORED, ServiceStep.UNVERIFIED})
QUIET_STEPS = frozenset({ServiceStep.PENDING, ServiceStep.UNCHANGED, ServiceStep.REMOVED})
WITH_CONTAINER = (
    "Another bot carries it on. Where this command runs in the old bot's container, it ends with that, with code 137: "
    "`roas history {environment} --limit 1`, in the new one, says how the deployment ended."
)


class Interruption(Enum):
    """What the person at the keyboard wants."""

    CANCEL = auto()
    LEAVE = auto()


@contextmanager
def interruptions() -> Iterator["asyncio.Queue[Interruption]"]:
    """Yield the person's requests: the first Ctrl-C asks to cancel, the second (or SIGTERM) to leave.

    When the terminal is closed, the work goes on without output: it must not be left half done.
    """
    loop = asyncio.get_running_loop()
    wanted: asyncio.Queue[Interruption] = asyncio.Queue()
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        wanted.put_nowait(Interruption.CANCEL if pressed == 1 else Interruption.LEAVE)

    loop.add_signal_handler(signal.SIGINT, press)
    loop.add_signal_handler(signal.SIGTERM, wanted.put_nowait, Interruption.LEAVE)
    loop.add_signal_handler(signal.SIGHUP, _ignore_hangup)
    try:
        yield wanted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _ignore_hangup() -> None:
    """Handle the closing of the terminal, which does not end the deployment."""


class ProgressLines:
    """Write what is new in each record."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._phases: dict[str, tuple[PhaseStatus, int, str]] = {}
        self._services: dict[str, tuple[str, bool]] = {}
        self._paused = 0

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""

    def note(self, text: str) -> None:
        """Write a remark."""
        self._line(text)

    def update(self, deployment: Deployment) -> None:
        """Write a line for each phase and service that has come further."""
        for phase in deployment.phases:
            state = (phase.status, phase.attempts, phase.summary)
            if phase.status is not PhaseStatus.PENDING and self._phases.get(phase.name) != state:
                self._phases[phase.name] = state
                self._line(_phase_text(phase))
        for service in deployment.services:
            step = (step_text(service), service.changed)
            if service.step not in UNSAID_STEPS and self._services.get(service.service) != step:
                self._services[service.service] = step
                self._line(_service_text(service))

        if deployment.is_waiting and deployment.pause is not None and deployment.pause.number != self._paused:
            self._paused = deployment.pause.number
            self._line(pause_text(deployment))

    def _line(self, text: str) -> None:
        self._terminal.say(f"{datetime.now().astimezone():%H:%M:%S}  {text}")


def pause_text(deployment: Deployment) -> str:
    """Say that a deployment waits, why, and how to decide; empty where it does not wait."""
    if deployment.pause is None or not deployment.is_waiting:
        return ""
    name = deployment.environment
    return f"Paused: {deployment.pause.message} Decide by `roas resume {name}` or `roas resume --roll-back {name}`."


def _phase_text(phase: PhaseResult) -> str:
    text = f"{phase.name:<14} {phase.status.replace('_', ' ')}"
    if phase.attempts > 1:
        text += f" (attempt {phase.attempts})"
    if phase.duration_seconds is not None:
        text += f" after {duration(phase.duration_seconds)}"
    detail = phase.problem.message if phase.problem else phase.summary
    return f"{text}: {detail}" if detail else text


def _service_text(service: ServiceProgress) -> str:
    return f"  {service.service}: {step_text(service)}{f' ({service.detail})' if service.detail else ''}"


def step_text(service: ServiceProgress) -> str:
    """Say how far a service is; of one without a health check, until when it is watched."""
    if service.watched_until is None:
        return service.step
    until = f"unverified until {service.watched_until.astimezone():%H:%M:%S}"
    return f"running, {until}" if service.step is ServiceStep.UNVERIFIED else f"{service.step}, {until}"


class ProgressScreen:
    """Redraw the deployment in place; what was drawn last stays."""

    def __init__(self, terminal: Terminal) -> None:
        self._deployment: Deployment | None = None
        self._spinner = Spinner("dots")
        self._live = Live(
            console=terminal.talk,
            get_renderable=self._draw,
            refresh_per_second=REDRAWS_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "ProgressScreen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Draw the last state and leave the terminal as it was."""
        self._live.stop()

    def note(self, text: str) -> None:
        """Write a remark above the drawing."""
        self._live.console.print(Text(printable(text), style="yellow"))

    def update(self, deployment: Deployment) -> None:
        """Show another state."""
        self._deployment = deployment

    def _draw(self) -> RenderableType:
        if self._deployment is None:
            return Text("")
        phases = Table.grid(padding=(0, 2))
        for phase in self._deployment.phases:
            phases.add_row(*self._phase(phase))
        services = Table.grid(padding=(0, 2))
        for service in self._deployment.services:
            services.add_row(*_service(service, finished=self._deployment.finished))
        paused = Text(printable(pause_text(self._deployment)), style="yellow")
        return Group(Text(self._deployment.id, style="bold"), phases, services, *([paused] if paused else []))

    def _phase(self, phase: PhaseResult) -> tuple[RenderableType, ...]:
        name = f"{phase.name} (attempt {phase.attempts})" if phase.attempts > 1 else str(phase.name)
        detail = phase.problem.message if phase.problem else phase.summary
        if phase.status is PhaseStatus.IN_PROGRESS:
            return self._spinner, Text(name, style="bold"), Text(duration(_elapsed(phase))), Text(printable(detail))
        icon, style = ICONS[phase.status]
        took = duration(phase.duration_seconds)
        return Text(icon, style=style), Text(name, style=style), Text(took), Text(printable(detail), style="dim")


def _service(service: ServiceProgress, *, finished: bool) -> tuple[RenderableType, ...]:
    failed = service.step is ServiceStep.FAILED
    style = "red" if failed else "green" if service.step in GOOD_STEPS else "dim" if service.step in QUIET_STEPS else ""
    bar: RenderableType = Text("")
    if service.fraction is not None and 0 <= service.fraction < 1:
        bar = ProgressBar(total=1.0, completed=service.fraction, width=BAR_WIDTH)
    detail = Text(printable(service.detail), style="dim", overflow="ellipsis", no_wrap=True)
    text = service.step if finished else step_text(service)
    return Text(" "), Text(printable(service.service)), Text(text, style=style), bar, detail


def _elapsed(phase: PhaseResult) -> float | None:
    return (datetime.now(UTC) - phase.started_at).total_seconds() if phase.started_at else None


class Progress(Protocol):
    """Show how far a deployment has come."""

    def __enter__(self) -> "Progress":
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        ...

    def note(self, text: str) -> None:
        """Show a remark."""
        ...

    def update(self, deployment: Deployment) -> None:
        """Show another state."""
        ...


class DetachedError(Exception):
    """The person has left before the end; `deployment_id` is what was left."""

    def __init__(self, deployment_id: str, *, continues: bool) -> None:
        super().__init__(deployment_id)
        self.deployment_id = deployment_id
        self.continues = continues


def progress_on(terminal: Terminal) -> Progress:
    """Choose a screen for a terminal, lines for everything else."""
    if terminal.draws:
        return ProgressScreen(terminal)

    return ProgressLines(terminal)


async def follow_deployment(
    session: Session, connection: Connection, deployment_id: str, wanted: "asyncio.Queue[Interruption]"
) -> Deployment:
    """Show the progress and return the record with the outcome. Raises DetachedError, ControlUnavailableError."""
    with progress_on(session.terminal) as progress:
        following = asyncio.create_task(_show(connection, deployment_id, progress), name="following")
        listening = asyncio.create_task(wanted.get(), name="keyboard")
        try:
            while True:
                await asyncio.wait({following, listening}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    return following.result()
                if listening.result() is Interruption.LEAVE:
                    raise DetachedError(deployment_id, continues=connection.is_bot)
                progress.note(await _cancel(session, connection, deployment_id))
                listening = asyncio.create_task(wanted.get(), name="keyboard")
        finally:
            await end_tasks(following, listening)


async def _show(connection: Connection, deployment_id: str, progress: Progress) -> Deployment:
    noted = False
    async with aclosing(connection.follow(deployment_id)) as records:
        async for record in records:
            progress.update(record)
            if connection.may_end_with_container and not noted and not record.finished:
                noted = True
                progress.note(WITH_CONTAINER.format(environment=record.request.environment))
            if record.finished:
                return record
    raise InternalFaultError(f"{deployment_id} was followed, but its end was not seen.", hint="See `history`.")


async def _cancel(session: Session, connection: Connection, deployment_id: str) -> str:
    """Ask it to stop, and say so."""
    try:
        await connection.cancel(deployment_id, session.user)
    except RoasError as error:
        return f"It cannot be cancelled: {error.message}"
    return "Asked to cancel: it stops at the next safe point. Ctrl-C once more leaves it alone."
