"""`deploy`, `hotfix`, `rollback`: plan, start, follow and end a deployment from the command line."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from roas.api.approval import check_approval
from roas.api.control_client import ANSWER_SECONDS
from roas.api.documents import ControlUnavailableError
from roas.cli.connection import Connection, open_connection
from roas.cli.drawn_plan import show_outcome, show_plan
from roas.cli.follow import DetachedError, Interruption, follow_deployment, interruptions
from roas.cli.output import fault_json
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
from roas.cli.typed_request import as_text, make_request, read_release
from roas.concurrency import begun
from roas.errors import InvalidRequestError
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Problem,
)
from roas.starting_times import local_time, read_when
from roas.state.documents import to_json

# Whoever waits for longer is told what for.
UNANSWERED_SECONDS = 5.0


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


async def _plan_and_follow(
    session: Session, request: DeploymentRequest, *, dry_run: bool, yes: bool, detach: bool
) -> int:
    """Show the plan, execute exactly that, follow it to its end, and return the exit code."""
    environment = find_environment(session.settings, request.environment)
    if not dry_run:
        check_approval(environment, request, confirmed=yes)
    async with open_connection(session, read_only=dry_run) as connection:
        if dry_run:
            return await _show_only(session, connection, request)
        if request.starts_at is not None:
            return await _schedule(session, connection, request, confirmed=yes)
        return await _execute(session, connection, request, confirmed=yes, detach=detach)


async def _show_only(session: Session, connection: Connection, request: DeploymentRequest) -> int:
    plan = await connection.client.plan(request)
    if session.terminal.as_json:
        session.terminal.document(to_json(plan))
    else:
        show_plan(session.terminal, plan)
    return ExitCode.SUCCEEDED


async def _execute(
    session: Session, connection: Connection, request: DeploymentRequest, *, confirmed: bool, detach: bool
) -> int:
    if detach and not connection.is_bot:
        raise InvalidRequestError(
            "No bot is running that could execute the deployment.", hint="Leave out --detach, or start the bot."
        )
    await finish_orphans(session, connection, request.environment)
    plan = await connection.client.plan(request)
    show_plan(session.terminal, plan)
    with interruptions() as wanted:
        exactly_this = plan.bind(request)
        try:
            started = await start_deployment(session, connection, exactly_this, wanted, confirmed=confirmed)
        except UnansweredStartError as left:
            return _leave(session, Problem("interrupted", "Left before the bot had answered.", str(left)))
        session.terminal.say(f"Started {started.id}{' in the bot' if connection.is_bot else ''}.")
        if detach and wanted.empty():  # else it is to be cancelled
            return _end(session, started)
        try:
            return _end(session, await follow_deployment(session, connection, started.id, wanted))
        except DetachedError as left:
            return _detach(session, left)


async def _schedule(session: Session, connection: Connection, request: DeploymentRequest, *, confirmed: bool) -> int:
    """Let the bot begin a deployment at its time."""
    if not connection.is_bot:
        raise InvalidRequestError(
            "No bot is running that could begin it at its time.", hint="Leave out --when, or start the bot."
        )
    plan = await connection.client.plan(request)
    show_plan(session.terminal, plan)
    scheduled = await connection.client.schedule(plan.bind(request), confirmed=confirmed)
    starts_at = scheduled.request.starts_at or scheduled.created_at
    at = local_time(starts_at, find_environment(session.settings, request.environment).windows)
    session.terminal.say(f"Scheduled {scheduled.id}: it begins at {at}, if nothing changes.")
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


# What each command that plans and acts takes, beside what it is about.
PLANNED_OPTIONS = (
    Parameter("dry_run", Parameter.KEYWORD_ONLY, default=False, annotation=DryRun),
    Parameter("yes", Parameter.KEYWORD_ONLY, default=False, annotation=Yes),
    Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=Json),
    Parameter("detach", Parameter.KEYWORD_ONLY, default=False, annotation=Detach),
)


def planned_command(make: Callable[..., DeploymentRequest]) -> Callable[..., None]:
    """Return the command that carries out a request: `make` is given the session, and what was typed of its own."""

    @wraps(make)
    def command(*, dry_run: bool, yes: bool, as_json: bool, detach: bool, **typed: Any) -> None:
        run_command(
            lambda session: _plan_and_follow(session, make(session, **typed), dry_run=dry_run, yes=yes, detach=detach),
            as_json=as_json,
        )

    _, *own = signature(make).parameters.values()
    command.__signature__ = Signature([*own, *PLANNED_OPTIONS])  # type: ignore[attr-defined]  # typer reads it
    return command


When = Annotated[
    str, typer.Option("--when", metavar="TIME", help="Let the bot begin it then: in 2h, 22:00, next window.")
]


@planned_command
def deploy(
    session: Session,
    environment: EnvironmentName,
    version: Version,
    service: Services = None,
    when: When = "",
    reason: Reason = "",
    grant: Grant = None,
) -> DeploymentRequest:
    """Deploy a version: all phases, and back to the old release by itself where it fails."""
    request = make_request(session, environment, version=version, services=service, reason=reason, granted=grant)
    return _scheduled(session, request, when)


@planned_command
def promote(
    session: Session,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The environment whose release is brought.")],
    environment: Annotated[str, typer.Argument(metavar="TO", help="The environment that it is brought to.")],
    when: When = "",
    reason: Reason = "",
    grant: Grant = None,
) -> DeploymentRequest:
    """Deploy what runs in another environment: the same images and shared files, with its own overrides and secrets."""
    request = make_request(session, environment, reason=reason, granted=grant, promoted_from=as_text(source))
    return _scheduled(session, request, when)


def _scheduled(session: Session, request: DeploymentRequest, when: str) -> DeploymentRequest:
    """Return a request with the time at which the bot is to begin it. Raises InvalidRequestError."""
    if not when:
        return request
    windows = find_environment(session.settings, request.environment).windows
    return replace(request, starts_at=read_when(as_text(when), windows))


@planned_command
def hotfix(
    session: Session,
    environment: EnvironmentName,
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why it cannot wait.")],
    service: Services = None,
) -> DeploymentRequest:
    """Bring a fix without building and pruning, within short times; it is rolled back if it fails."""
    kind = DeploymentKind.HOTFIX
    return make_request(session, environment, kind=kind, version=version, services=service, reason=reason)


ReleaseNumber = Annotated[
    str | None, typer.Option("--to", metavar="N", help="Which release, such as 12 or r12; the one before if left out.")
]


Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="BACKUP",
        help="Restore a backup, too, by its id; `with` stands for those made before the release was left.",
    ),
]


@planned_command
def rollback(
    session: Session,
    environment: EnvironmentName,
    to: ReleaseNumber = None,
    data: Data = None,
    reason: Reason = "",
    grant: Grant = None,
) -> DeploymentRequest:
    """Go back to an earlier release, the whole of it: images and configuration; with --data, the data too."""
    return request_rollback(session, environment, to=to, data=data, reason=reason, grant=grant)


def request_rollback(
    session: Session,
    environment: str,
    *,
    to: str | None,
    data: list[str] | None,
    reason: str,
    grant: list[str] | None,
) -> DeploymentRequest:
    """Return the request of a rollback, with what was typed. Raises InvalidRequestError."""
    return make_request(
        session,
        environment,
        kind=DeploymentKind.ROLLBACK,
        target_release=read_release(to),
        data=tuple(dict.fromkeys(map(as_text, data or ()))),
        reason=reason,
        granted=grant,
    )
