"""Show a deployment's progress as plain lines, one per change: for logs, pipes and continuous integration."""

from datetime import datetime

from roas.commands.terminal import Terminal
from roas.models.deployment import Deployment, PhaseResult, PhaseStatus, ServiceProgress, ServiceStep
from roas.ui.quantities import duration

QUIET_STEPS = frozenset({ServiceStep.PENDING})


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
            if service.step not in QUIET_STEPS and self._services.get(service.service) != step:
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
    return f"Paused: {deployment.pause.message} Decide by `roas go-on {name}` or `roas go-on --roll-back {name}`."


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
