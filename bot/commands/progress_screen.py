"""Show a deployment's progress on a terminal: phases with their times, a line and a bar per service."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from roas.commands.progress_lines import pause_text, step_text
from roas.commands.terminal import Terminal, printable
from roas.models.deployment import Deployment, PhaseResult, PhaseStatus, ServiceProgress, ServiceStep
from roas.ui.quantities import duration

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
