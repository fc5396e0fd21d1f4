"""`status`: how environments are."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

from rich.text import Text

from roas.api.documents import ControlUnavailableError, EnvironmentStatus, StatusReport
from roas.cli.connection import ASKING_SECONDS, find_running_bot, read_status_itself
from roas.cli.output import Terminal, add_row, at, image, make_table, person, printable
from roas.cli.running import (
    AnyEnvironment,
    ExitCode,
    Json,
    Session,
    run_command,
    wanted_environments,
)
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ServiceHealth, Verdict
from roas.models.release import Release, ReleaseState
from roas.state.documents import to_json
from roas.ui.units import duration, size

WARNING = ("  warning: ", "yellow")
STYLES = {Verdict.HEALTHY: "green", Verdict.DEGRADED: "yellow", Verdict.UNHEALTHY: "bold red"}


def show_status(terminal: Terminal, report: StatusReport) -> None:
    """Write each environment: a line about it, then a table of its services."""
    for position, status in enumerate(report.environments):
        if position:
            terminal.say("")
        _show_environment(terminal, status)
    for delivery in report.deliveries:
        note = printable(delivery.note) or "The bot looks for what it tells of."
        became = note if delivery.is_handled else f"not yet: {note}"
        terminal.say(f"\nlast webhook of {delivery.source}, {at(delivery.received_at)}: {became}")


def _show_environment(terminal: Terminal, status: EnvironmentStatus) -> None:
    verdict = status.health.verdict if status.health and status.health.services else None
    heading = Text(status.environment, style="bold")
    heading.append(f"  {verdict or 'nothing runs' if _is_known(status) else 'not known'}", style=_style(verdict))
    terminal.say(heading)
    if status.release is not None:
        made = f"{at(status.release.created_at)} by {person(status.release.created_by)}"
        origin = status.release.state.value if status.release.state is ReleaseState.ADOPTED else ""
        known = ", ".join(filter(None, dict.fromkeys((status.release.version, origin))))
        version = f" ({known})" if known else ""  # the files may follow none
        terminal.say(f"  release {status.release.label}{version}, made {made}")
    else:
        terminal.say("  no release yet")
    _show_holder(terminal, status)
    if (freeze := status.freeze) is not None:
        until = "" if freeze.until is None else f" until {at(freeze.until)}"
        since = f"{person(freeze.frozen_by)} since {at(freeze.since)}{until}"
        terminal.say(f"  locked by {since}: {printable(freeze.reason)}")
    _show_schedule(terminal, status)
    for hold in status.holds:
        what = f"{hold.version} is on hold" if hold.version else "automation is on hold"
        terminal.say(f"  {what} since {at(hold.since)}: {printable(hold.reason)}")
    if status.fault:
        terminal.say(status.fault, lead=WARNING)
    if status.health is not None and status.health.remembered:
        seconds = int((datetime.now(UTC) - status.health.taken_at).total_seconds())
        terminal.say(f"  as it was seen {at(status.health.taken_at)}, {seconds} s ago:")
    if status.health is not None and status.health.manager:
        terminal.say(f"  asked: the manager at {status.health.manager}")
    for drift in status.health.drift if status.health is not None else ():
        how = f"is as {drift.left_by} left it" if drift.left_by else "was changed by hand"
        terminal.say(f"{drift.service} {how}: {drift.reason}", lead=WARNING)
    if status.health is not None and status.health.lost:
        terminal.say(f"cannot be restored: {', '.join(status.health.lost)}; images were pruned", lead=WARNING)
    if status.health is not None and status.health.services:
        _show_services(terminal, status.health.services, status.release)


def _show_schedule(terminal: Terminal, status: EnvironmentStatus) -> None:
    """Write what waits for an approval, for its time, and for a window."""
    if (drafted := status.drafted) is not None:
        asked = f"{drafted.id} of {person(drafted.request.requested_by)}, {at(drafted.created_at)}"
        terminal.say(f"  awaiting approval: {asked}")
    if status.requires:
        soak = f" for {duration(status.soak_seconds)}" if status.soak_seconds else ""
        order = f"{status.requires} → {status.environment}"
        terminal.say(f"  takes only what was healthy in {status.requires}{soak}: {order}")
    if status.next_window is not None:
        terminal.say(f"  outside of its windows until {at(status.next_window)}")
    for plan in status.scheduled:
        begins = at(plan.request.starts_at or plan.created_at)
        waits = f"; {printable(plan.note)}" if plan.note else ""
        asker = person(plan.request.requested_by)
        terminal.say(f"  scheduled: {plan.id}, deploy {plan.request.version} by {asker}, {begins}{waits}")


def _show_holder(terminal: Terminal, status: EnvironmentStatus) -> None:
    """Write what holds the environment, and whether that lives."""
    if status.active is not None:
        terminal.say(f"  under way: {_active(status)}")
    elif status.lock is not None:
        terminal.say(f"  held by {person(status.lock.held_by)} since {at(status.lock.since)}: {status.lock.purpose}")
    if status.abandoned:
        text = "its process died, and nobody carries it out: a bot that starts or the next `roas deploy` resumes it; "
        text += f"`roas cancel {status.environment}` takes it back"
        terminal.say(text, lead=WARNING)


def _is_known(status: EnvironmentStatus) -> bool:
    """Return whether the engine said how the services are."""
    return status.health is not None and not status.fault


def _active(status: EnvironmentStatus) -> str:
    deployment = status.active
    if deployment is None:
        return ""
    by = person(deployment.request.requested_by)
    text = f"{deployment.id} by {by} since {at(deployment.created_at)}"
    purpose = f": {status.lock.purpose}" if status.lock else ""
    if (pause := deployment.waits_in) is not None:
        name = deployment.environment
        since, why = at(pause.since), printable(pause.message)
        decide = f"`roas resume {name}` or `roas resume --roll-back {name}`"
        return f"{text}{purpose}\n  paused since {since}: {why}\n  decide by {decide}"
    if (phase := deployment.current_phase) is None:
        return f"{text}{purpose}"
    waits = f", which {printable(phase.summary)}" if phase.summary else ""
    return f"{text}{purpose}, now in {phase.name}{waits}"


def _show_services(terminal: Terminal, services: tuple[ServiceHealth, ...], release: Release | None) -> None:
    on_swarm = any(service.nodes for service in services)
    columns = ("  service", "verdict", "image", *(["node"] if on_swarm else []), "cpu", "memory", "restarts", "reason")
    table = make_table(*columns)
    for service in services:
        references = dict.fromkeys(_image(container, release) for container in service.containers)
        cells = (
            f"  {service.service}",
            str(service.state),
            ", ".join(references) or "-",
            *([", ".join(service.nodes) or "-"] if on_swarm else []),
            "" if service.cpu_percent is None else f"{service.cpu_percent:.1f} %",
            _memory(service),
            str(service.restart_count),
            "; ".join(filter(None, (service.reason, service.note))),
        )
        add_row(table, cells, ("", _style(service.verdict)))
    terminal.talk.print(table)


def _memory(service: ServiceHealth) -> str:
    """Write the memory that is known of; other nodes of a Swarm know of theirs alone."""
    known = size(service.memory_bytes)
    if not service.unmeasured:
        return known
    return f"{known} + not known" if known else "not known"


def _image(container: ContainerSnapshot, release: Release | None) -> str:
    """Write the image as the release names it, where the container runs just that."""
    pinned = release.service(container.service) if release is not None else None
    runs_it = pinned is not None and pinned.image.image_id == container.image_id
    return image(pinned.image.reference if pinned is not None and runs_it else container.image_reference)


def _style(verdict: Verdict | None) -> str:
    return "dim" if verdict is None else STYLES.get(verdict, "")


def status(environment: AnyEnvironment = None, as_json: Json = False) -> None:
    """Show how environments are: their services, their release, and the deployment that is under way."""
    run_command(lambda session: _status(session, environment), as_json=as_json)


async def _status(session: Session, name: str | None) -> int:
    return _show(session, await find_status(session, name))


async def find_status(session: Session, name: str | None) -> StatusReport:
    """Ask the running bot; where none lives, or it does not answer, look for ourselves. Raises RoasError."""
    wanted = wanted_environments(session.settings, name)
    try:
        async with AsyncExitStack() as stack:
            client = await find_running_bot(session.state_dir, stack, unanswered_seconds=ASKING_SECONDS)
            return await client.status(name) if client is not None else await read_status_itself(session, wanted)
    except ControlUnavailableError as error:
        return await _read_instead(session, wanted, error)


def _show(session: Session, report: StatusReport) -> int:
    if session.terminal.as_json:
        session.terminal.document(to_json(report))
    else:
        show_status(session.terminal, report)
    nothing_known = all(environment.fault for environment in report.environments)
    return ExitCode.UNAVAILABLE if nothing_known or report.fault else ExitCode.SUCCEEDED


async def _read_instead(
    session: Session, wanted: Sequence[Environment], fault: ControlUnavailableError
) -> StatusReport:
    """Look beside a bot that does not answer, and say so. Raises its fault where that shows nothing either."""
    try:
        report = await read_status_itself(session, wanted)
    except RoasError as error:
        raise fault from error
    text = f"{fault.message} This is what the journal and the engine show."
    session.terminal.say(f"warning: {text}", on_err=True)
    session.terminal.say(f"→ {fault.hint}", on_err=True)
    return replace(report, fault=text)
