"""`deploy`, `hotfix`, `rollback`: plan, start, follow and end a deployment from the command line."""

import asyncio
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from roas.api.application import check_approval
from roas.api.client import ANSWER_SECONDS
from roas.api.documents import ControlUnavailableError
from roas.cli.connection import Connection, open_connection
from roas.cli.follow import DetachedError, Interruption, follow_deployment, interruptions
from roas.cli.output import Terminal, add_row, describe, fault_json, image, make_table, release
from roas.cli.running import (
    Detach,
    DryRun,
    EnvironmentName,
    ExitCode,
    Grant,
    Json,
    Reason,
    Services,
    Session,
    Version,
    Yes,
    code_of_deployment,
    find_environment,
    run_command,
)
from roas.concurrency import begun
from roas.errors import InvalidRequestError
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Operation,
    Outcome,
    PhaseStatus,
    Problem,
)
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.starting_times import local_time, read_when
from roas.state.documents import to_json
from roas.ui.units import duration

RELEASE_PATTERN = re.compile(r"[rR]?(\d{1,9})")
REASON_LENGTH = 500
HEADERS = ("service", "action", "old image", "new image", "changed configuration")
MAYBE = "A question mark: only where the image that is pulled or built is not the one that runs."
ACTION_STYLES = {
    ServiceAction.CREATE: "green",
    ServiceAction.RECREATE: "yellow",
    ServiceAction.RESTART: "yellow",
    ServiceAction.START: "yellow",
    ServiceAction.ADJUST: "yellow",
    ServiceAction.RELOAD: "yellow",
    ServiceAction.REMOVE: "red",
    ServiceAction.STOP: "red",
    ServiceAction.KEEP: "dim",
}
DIFF_STYLES = {"-": "red", "+": "green", "@": "cyan", " ": ""}
OUTCOME_STYLES = {
    Outcome.SUCCEEDED: "bold green",
    Outcome.ROLLED_BACK: "bold yellow",
    Outcome.CANCELLED: "bold",
    Outcome.FAILED: "bold red",
}
# Whoever waits for longer is told what for.
UNANSWERED_SECONDS = 5.0


def make_request(
    session: Session,
    environment: str,
    kind: DeploymentKind,
    *,
    version: str | None = None,
    services: list[str] | None = None,
    target_release: int | None = None,
    reason: str = "",
    granted: list[str] | None = None,
    operation: Operation | None = None,
    promoted_from: str = "",
) -> DeploymentRequest:
    """Return the request. Raises InvalidRequestError."""
    text = one_line_reason(reason)
    return DeploymentRequest(
        environment=as_text(environment),
        kind=kind,
        requested_by=session.user,
        version=None if version is None else as_text(version),
        services=tuple(dict.fromkeys(map(as_text, services or ()))),
        target_release=target_release,
        reason=text,
        granted=tuple(dict.fromkeys(map(as_text, granted or ()))),
        operation=operation,
        promoted_from=as_text(promoted_from),
    )


def as_text(typed: str) -> str:
    """Return what was typed as text: a terminal of another encoding sends bytes that are none here."""
    return typed.encode(errors="surrogateescape").decode(errors="replace")


def one_line_reason(reason: str) -> str:
    """Return a reason on one line. Raises InvalidRequestError where it is too long to be read."""
    text = " ".join(as_text(reason).split())
    if len(text) > REASON_LENGTH:
        raise InvalidRequestError("The reason is too long.", hint=f"{REASON_LENGTH} characters at most.")
    return text


def read_release(text: str | None) -> int | None:
    """Read `12` or `r12`. Raises InvalidRequestError."""
    if text is None:
        return None
    matched = RELEASE_PATTERN.fullmatch(text.strip())
    if matched is None:
        raise InvalidRequestError(
            f"{text!r} is not a release.", hint="A release is a number, such as 12 or r12; `roas releases` lists them."
        )
    return int(matched[1])


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Write the plan as a table: per service what happens, old and new image, and the keys that change."""
    goal = release(plan.to_release) if plan.to_release is not None else "a new release"
    if plan.promoted_from:
        goal = f"{release(plan.promoted_release)} of {plan.promoted_from}"
    version = f" ({plan.version})" if plan.version else ""
    terminal.say(f"Plan for {plan.environment}: {release(plan.from_release)} → {goal}{version}")
    _show_services(terminal, plan.services)
    terminal.say(f"Order: {' → '.join(plan.order)}" if plan.order else "Nothing changes.")
    for service in plan.changed:
        for reason in service.reasons:
            terminal.say(f"{service.service}: {reason}")
    for line in plan.diff:
        terminal.say(line, style=DIFF_STYLES.get(line[:1], "bold" if line.endswith(":") else "yellow"))
    for power in plan.new_powers:
        terminal.say(f"{power} (grant it: --grant {shlex.quote(power)})", lead=("new power: ", "yellow"))
    for line in plan.promotion:
        terminal.say(line, lead=("promotion: ", "cyan"))
    if plan.refused:
        terminal.say("As things are, this is refused, and nothing is changed:", style="bold red")
    for refusal in plan.refused:
        terminal.say(refusal, lead=("refused: ", "red"))
    for warning in plan.cautions:
        terminal.say(warning, lead=("warning: ", "yellow"))


def _show_services(terminal: Terminal, services: Sequence[ServicePlan]) -> None:
    rows = [_row(service) for service in services]
    if not terminal.draws:
        widths = [max(map(len, cells)) for cells in zip(HEADERS, *rows, strict=True)]
        for cells in (HEADERS, *rows):
            terminal.say("  ".join(map(str.ljust, cells, widths)).rstrip())
    else:
        table = make_table(*HEADERS)
        for service, cells in zip(services, rows, strict=True):
            add_row(table, cells, ("", ACTION_STYLES[service.action]))
        terminal.talk.print(table)
    if any(service.if_image_differs for service in services):
        terminal.say(MAYBE)


def _row(service: ServicePlan) -> tuple[str, ...]:
    action = f"{service.action} (start-first)" if service.start_first else str(service.action)
    action = f"{action}?" if service.if_image_differs else action
    new = service.new_image
    if new is not None and new == service.old_image and service.action is ServiceAction.RECREATE:
        content = "is built, then compared" if service.is_built else image(service.expected_image)
        new = f"{new} → {content}" if not service.changed_keys else new
    return service.service, action, image(service.old_image), image(new), ", ".join(service.changed_keys)


def show_outcome(terminal: Terminal, deployment: Deployment) -> None:
    """Write the outcome in one line, then the warnings, then the fault and what to do about it."""
    if deployment.outcome is None:
        return
    text = _text(deployment, deployment.outcome)
    terminal.say(text, style=OUTCOME_STYLES[deployment.outcome])
    for warning in deployment.warnings:
        terminal.say(warning, lead=("warning: ", "yellow"))
    if deployment.problem is not None and deployment.outcome is not Outcome.CANCELLED:
        describe(terminal, deployment.problem)


def _text(deployment: Deployment, outcome: Outcome) -> str:
    took = f" in {duration(deployment.duration_seconds)}" if deployment.duration_seconds is not None else ""
    match outcome:
        case Outcome.SUCCEEDED:
            return f"{deployment.id} succeeded{took}: {deployment.environment} is on {release(deployment.to_release)}."
        case Outcome.ROLLED_BACK:
            return f"{deployment.id} was rolled back{took}: {_back(deployment)}."
        case Outcome.CANCELLED:
            by = f" by {deployment.cancel_requested_by.name}" if deployment.cancel_requested_by else ""
            why = f" ({deployment.cancel_reason})" if deployment.cancel_reason else ""
            return f"{deployment.id} was cancelled{by}{why}{took}: {_back(deployment)}."
        case Outcome.FAILED:
            return f"{deployment.id} failed{took}.{_where(deployment)}"


def _back(deployment: Deployment) -> str:
    if deployment.from_release is None:
        return f"{deployment.environment} is as it was before"
    return f"{deployment.environment} is on {release(deployment.from_release)}"


def _where(deployment: Deployment) -> str:
    if deployment.was_put_back:
        return f" {_back(deployment)}: what was well before runs again."
    failed = [phase.name.value for phase in deployment.phases if phase.status is PhaseStatus.FAILED]
    return f" It did not get through {' and '.join(failed)}." if failed else ""


class UnansweredStartError(Exception):
    """The person has left before the bot said whether it starts the deployment; the text is what to do next."""


async def start_deployment(
    session: Session,
    connection: Connection,
    request: DeploymentRequest,
    wanted: "asyncio.Queue[Interruption]",
    *,
    confirmed: bool,
) -> Deployment:
    """Start it. Raises UnansweredStartError where the person leaves, ControlUnavailableError where no answer comes.

    A bot that hangs is asked no second time: it reads the first request once it goes on. So what was asked for stays
    asked for, whoever leaves. Whoever wants to cancel has that done when there is something to cancel.
    """
    if not connection.is_bot:
        return await connection.client.start(request, confirmed=confirmed)
    notice = asyncio.get_running_loop().call_later(UNANSWERED_SECONDS, _say_what_is_waited_for, session)
    try:
        async with begun(connection.client.start(request, confirmed=confirmed)) as starting:
            await _until_answered(session, request, starting, wanted)
            return await starting
    except ControlUnavailableError as error:
        raise ControlUnavailableError(error.message, hint=_next(request)) from error
    finally:
        notice.cancel()


async def _until_answered(
    session: Session,
    request: DeploymentRequest,
    starting: "asyncio.Task[Deployment]",
    wanted: "asyncio.Queue[Interruption]",
) -> None:
    kept: list[Interruption] = []
    while not starting.done():
        async with begun(wanted.get()) as pressed:
            await asyncio.wait({starting, pressed}, return_when=asyncio.FIRST_COMPLETED)
            if not pressed.done():
                continue
            if pressed.result() is Interruption.LEAVE and not starting.done():
                raise UnansweredStartError(_next(request))
            kept.append(pressed.result())
        if not starting.done():
            session.terminal.say(
                "It is cancelled as soon as the bot has answered. Ctrl-C once more leaves it alone.", on_err=True
            )
    for interruption in kept:
        wanted.put_nowait(interruption)


def _say_what_is_waited_for(session: Session) -> None:
    session.terminal.say(
        f"The bot has not answered yet. It is asked only once, and waited for, for at most {ANSWER_SECONDS:g} s."
        " Ctrl-C cancels the deployment as soon as the bot answers; Ctrl-C twice leaves now, and the bot may still"
        " start it.",
        on_err=True,
    )


def _next(request: DeploymentRequest) -> str:
    name = request.environment
    return (
        "The bot may still start the deployment, or have done so. See `roas status"
        f" {name}` before you ask again; `roas cancel {name}` stops it."
    )


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Set how a request is to be executed."""

    dry_run: bool = False
    confirmed: bool = False
    detach: bool = False
    when: str = ""


async def execute(session: Session, request: DeploymentRequest, options: ExecutionOptions) -> int:
    """Show the plan, execute exactly that, follow it to its end, and return the exit code."""
    environment = find_environment(session.settings, request.environment)
    if not options.dry_run:
        check_approval(environment, request, confirmed=options.confirmed)
    async with open_connection(session, read_only=options.dry_run) as connection:
        if options.dry_run:
            return await _show_only(session, connection, request)
        return await _execute(session, connection, request, options)


async def _show_only(session: Session, connection: Connection, request: DeploymentRequest) -> int:
    plan = await connection.client.plan(request)
    if session.terminal.as_json:
        session.terminal.document(to_json(plan))
    else:
        show_plan(session.terminal, plan)
    return ExitCode.SUCCEEDED


async def _execute(
    session: Session, connection: Connection, request: DeploymentRequest, options: ExecutionOptions
) -> int:
    if options.when:
        return await _schedule(session, connection, request, options)
    if options.detach and not connection.is_bot:
        raise InvalidRequestError(
            "No bot is running that could execute the deployment.", hint="Leave out --detach, or start the bot."
        )
    await finish_orphans(session, connection, request.environment)
    plan = await connection.client.plan(request)
    show_plan(session.terminal, plan)
    with interruptions() as wanted:
        exactly_this = plan.bind(request)
        try:
            started = await start_deployment(session, connection, exactly_this, wanted, confirmed=options.confirmed)
        except UnansweredStartError as left:
            return _leave(session, Problem("interrupted", "Left before the bot had answered.", str(left)))
        session.terminal.say(f"Started {started.id}{' in the bot' if connection.is_bot else ''}.")
        if options.detach and wanted.empty():  # else it is to be cancelled
            return _end(session, started)
        try:
            return _end(session, await follow_deployment(session, connection, started.id, wanted))
        except DetachedError as left:
            return _detach(session, left)


async def _schedule(
    session: Session, connection: Connection, request: DeploymentRequest, options: ExecutionOptions
) -> int:
    """Let the bot begin a deployment at its time."""
    if not connection.is_bot:
        raise InvalidRequestError(
            "No bot is running that could begin it at its time.", hint="Leave out --when, or start the bot."
        )
    windows = find_environment(session.settings, request.environment).windows
    request = replace(request, starts_at=read_when(as_text(options.when), windows))
    plan = await connection.client.plan(request)
    show_plan(session.terminal, plan)
    exactly_this = plan.bind(request)
    scheduled = await connection.client.schedule(exactly_this, confirmed=options.confirmed)
    starts_at = scheduled.request.starts_at or scheduled.created_at
    session.terminal.say(
        f"Scheduled {scheduled.id}: it begins at {local_time(starts_at, windows)}, if nothing changes."
    )
    if session.terminal.as_json:
        session.terminal.document(to_json(scheduled))
    return ExitCode.SUCCEEDED


async def finish_orphans(session: Session, connection: Connection, environment: str) -> None:
    """First complete deployments whose process died."""
    for left in await connection.resume(environment):
        session.terminal.say(f"Resuming {left.id} of {left.environment}, whose process died.")
        with interruptions() as wanted:
            show_outcome(session.terminal, await follow_deployment(session, connection, left.id, wanted))


def _end(session: Session, deployment: Deployment) -> int:
    show_outcome(session.terminal, deployment)
    if session.terminal.as_json:
        session.terminal.document(to_json(deployment))
    return code_of_deployment(deployment)


def _detach(session: Session, left: DetachedError) -> int:
    hint = "The bot continues it." if left.continues else "The bot, or the next command run here, resumes it."
    return _leave(session, Problem("interrupted", f"Left {left.deployment_id} before its end.", hint))


def _leave(session: Session, problem: Problem) -> int:
    if session.terminal.as_json:
        session.terminal.document(fault_json(problem))
    session.terminal.say(f"{problem.message} {problem.hint}", on_err=True)
    return ExitCode.INTERRUPTED


When = Annotated[
    str, typer.Option("--when", metavar="TIME", help="Let the bot begin it then: in 2h, 22:00, next window.")
]


def deploy(
    environment: EnvironmentName,
    version: Version,
    service: Services = None,
    when: When = "",
    dry_run: DryRun = False,
    reason: Reason = "",
    grant: Grant = None,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Deploy a version: all phases, and back to the old release by itself where it fails."""
    run_command(
        lambda session: execute(
            session,
            make_request(
                session,
                environment,
                DeploymentKind.DEPLOY,
                version=version,
                services=service,
                reason=reason,
                granted=grant,
            ),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach, when=when),
        ),
        as_json=as_json,
    )


def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The environment whose release is brought.")],
    environment: Annotated[str, typer.Argument(metavar="TO", help="The environment that it is brought to.")],
    when: When = "",
    dry_run: DryRun = False,
    reason: Reason = "",
    grant: Grant = None,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Deploy what runs in another environment: the same images and shared files, with its own overrides and secrets."""
    run_command(
        lambda session: execute(
            session,
            make_request(
                session, environment, DeploymentKind.DEPLOY, reason=reason, granted=grant, promoted_from=source
            ),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach, when=when),
        ),
        as_json=as_json,
    )


def hotfix(
    environment: EnvironmentName,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why it cannot wait.")],
    service: Services = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Bring a fix without building and pruning, within short times; it is rolled back if it fails."""
    run_command(
        lambda session: execute(
            session,
            make_request(session, environment, DeploymentKind.HOTFIX, version=version, services=service, reason=reason),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )


ReleaseNumber = Annotated[
    str | None, typer.Option("--to", metavar="N", help="Which release, such as 12 or r12; the one before if left out.")
]


def rollback(
    environment: EnvironmentName,
    to: ReleaseNumber = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
    detach: Detach = False,
) -> None:
    """Go back to an earlier release, the whole of it: images and configuration."""
    run_command(
        lambda session: execute(
            session,
            make_request(session, environment, DeploymentKind.ROLLBACK, target_release=read_release(to), reason=reason),
            ExecutionOptions(dry_run=dry_run, confirmed=yes, detach=detach),
        ),
        as_json=as_json,
    )
