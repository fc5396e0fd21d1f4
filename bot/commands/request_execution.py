"""Execute a request from the command line: plan, start, follow, end."""

from dataclasses import dataclass, replace

from roas.api.application import check_approval
from roas.commands.connection import Connection, open_connection
from roas.commands.environment import find_environment
from roas.commands.error_output import fault_json
from roas.commands.exit_codes import ExitCode, code_of_deployment
from roas.commands.follow import DetachedError, follow_deployment
from roas.commands.interruption import interruptions
from roas.commands.outcome import show_outcome
from roas.commands.plan_view import show_plan
from roas.commands.session import Session
from roas.commands.starting import UnansweredStartError, start_deployment
from roas.errors import InvalidRequestError
from roas.models.deployment import Deployment, DeploymentRequest, Problem
from roas.state.documents import to_json


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Set how a request is to be executed."""

    dry_run: bool = False
    confirmed: bool = False
    detach: bool = False


async def execute(session: Session, request: DeploymentRequest, options: ExecutionOptions) -> int:
    """Show the plan, execute exactly that, follow it to its end, and return the exit code."""
    environment = find_environment(session.settings, request.environment)
    if not options.dry_run:
        check_approval(environment, request, confirmed=options.confirmed)
    async with open_connection(session, only_looks=options.dry_run) as connection:
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
    if options.detach and not connection.is_bot:
        raise InvalidRequestError(
            "No bot is running that could execute the deployment.", hint="Leave out --detach, or start the bot."
        )
    await finish_orphans(session, connection, request.environment)
    plan = await connection.client.plan(request)
    show_plan(session.terminal, plan)
    with interruptions() as wanted:
        exactly_this = replace(request, plan_digest=plan.digest)
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
