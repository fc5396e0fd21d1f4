"""Follow a deployment to its end, and let the person at the keyboard cancel it or leave."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from enum import Enum, auto

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
from roas.ui.units import duration, phase_detail, step_text

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
    """Write what is new in each record: no colours and no redrawing, so that it reads well in a log."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._written: dict[str, str] = {}
        self._paused = 0

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""

    def note(self, text: str) -> None:
        """Write a remark."""
        self._terminal.say(f"{clock(datetime.now(UTC))}  {text}")

    def update(self, deployment: Deployment) -> None:
        """Write a line for each phase and service that has come further."""
        for phase in deployment.phases:
            self.phase(phase.name, phase.status, phase.attempts, phase.duration_seconds, _detail(phase))
        for service in deployment.services:
            if service.step is not ServiceStep.PENDING:
                self.service(service.service, step_text(service, clock), service.detail)

        pause = deployment.waits_in
        if pause is not None and pause.number != self._paused:
            self._paused = pause.number
            self.note(pause_text(deployment))

    def phase(self, name: str, status: str, attempts: int, seconds: float | None, detail: str) -> None:
        """Write how far a phase is, where that is new."""
        if status == PhaseStatus.PENDING:
            return
        text = f"{name:<14} {status.replace('_', ' ')}"
        if attempts > 1:
            text += f" (attempt {attempts})"
        if seconds is not None:
            text += f" after {duration(seconds)}"
        text = f"{text}: {detail}" if detail else text
        self._write(name, text, text)

    def service(self, name: str, step: str, detail: str) -> None:
        """Write how far a service is, where that is new; what it is doing there is told once."""
        self._write(f"  {name}", step, f"  {name}: {step}{f' ({detail})' if detail else ''}")

    def _write(self, key: str, state: str, text: str) -> bool:
        """Write a text where the state is new, and return whether it is."""
        if self._written.get(key) == state:
            return False
        self._written[key] = state
        self.note(text)
        return True


def _detail(phase: PhaseResult) -> str:
    """Return what a phase said of itself; why it failed is said once, with the outcome."""
    return "" if phase.status is PhaseStatus.FAILED else phase_detail(phase)


def clock(moment: datetime) -> str:
    """Write a time of today as the terminal's clock has it."""
    return f"{moment.astimezone():%H:%M:%S}"


def pause_text(deployment: Deployment) -> str:
    """Say that a deployment waits, why, and how to decide; empty where it does not wait."""
    if (pause := deployment.waits_in) is None:
        return ""
    name = deployment.environment
    return f"Paused: {pause.message} Decide by `roas resume {name}` or `roas resume --roll-back {name}`."


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
        detail = _detail(phase)
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
    text = step_text(service, clock, finished=finished)
    return Text(" "), Text(printable(service.service)), Text(text, style=style), bar, detail


def _elapsed(phase: PhaseResult) -> float | None:
    return (datetime.now(UTC) - phase.started_at).total_seconds() if phase.started_at else None


# Shows how far a deployment has come.
Progress = ProgressLines | ProgressScreen


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
    raise InternalFaultError(f"{deployment_id} was followed, but its end was not seen.", hint="See `roas history`.")


async def _cancel(session: Session, connection: Connection, deployment_id: str) -> str:
    """Ask it to stop, and say so."""
    try:
        await connection.cancel(deployment_id, session.user)
    except RoasError as error:
        return f"It cannot be cancelled: {error.message}"
    return "Asked to cancel: it stops at the next safe point. Ctrl-C once more leaves it alone."
