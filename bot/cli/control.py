"""`cancel`, `resume`: stop a deployment, or let it continue."""

import re
from typing import Annotated

import typer

from roas.cli.connection import open_connection
from roas.cli.deploy import finish_orphans
from roas.cli.running import (
    ExitCode,
    Json,
    Session,
    find_environment,
    open_journal,
    run_command,
)
from roas.cli.typed_request import one_line_reason
from roas.errors import InvalidRequestError
from roas.models.deployment import Deployment, DeploymentKind, Operation
from roas.models.plan import PlanRecord
from roas.models.rollout import Choice
from roas.state.documents import to_json
from roas.state.manager import StateManager

PLAN_ID = re.compile(r"PLAN-[0-9A-Z]{26}")
DEPLOYMENT_ID = re.compile(rf"({'|'.join([*DeploymentKind, *Operation])})-[0-9A-Z]{{26}}")
Target = Annotated[str, typer.Argument(metavar="ENVIRONMENT|ID", help="What to stop, or what not to begin.")]


Why = Annotated[str, typer.Option("--reason", help="Why; the channel shows it.")]


def cancel(target: Target, reason: Why = "", as_json: Json = False) -> None:
    """Ask a deployment to stop at its next safe point; what it changed is rolled back. Or cancel what is scheduled."""
    run_command(lambda session: _cancel(session, target, one_line_reason(reason)), as_json=as_json)


async def _cancel(session: Session, target: str, reason: str) -> int:
    async with open_journal(session) as state:
        scheduled = await _find_scheduled(session, state, target)
        found = await find_under_way(session, state, target) if scheduled is None else None
    if found is None:
        return await _cancel_schedule(session, scheduled)
    async with open_connection(session) as connection:
        cancelled = await connection.cancel(found.id, session.user, reason)
        session.terminal.say(f"Asked {found.id} of {found.environment} to stop at its next safe point.")
        # Where its process is dead, no other process would see the request.
        await finish_orphans(session, connection, found.environment)
    if session.terminal.as_json:
        session.terminal.document(to_json(cancelled))
    return ExitCode.SUCCEEDED


async def _find_scheduled(session: Session, state: StateManager, target: str) -> PlanRecord | None:
    """Return what is scheduled under an id, or in an environment of which no deployment is under way."""
    if DEPLOYMENT_ID.fullmatch(target):
        return None
    if PLAN_ID.fullmatch(target):
        return await state.approvals.get(target)
    environment = find_environment(session.settings, target)
    if await state.deployments.active(environment.name) is not None:
        return None
    return next(iter(await state.approvals.scheduled(environment.name)), None)


async def _cancel_schedule(session: Session, scheduled: PlanRecord | None) -> int:
    if scheduled is None:
        raise InvalidRequestError("There is no such plan.", hint="See `roas status`.")
    async with open_connection(session) as connection:
        cancelled = await connection.client.cancel_schedule(scheduled.id, session.user)
    session.terminal.say(f"{scheduled.id} of {scheduled.environment} is cancelled: it does not begin.")
    if session.terminal.as_json:
        session.terminal.document(to_json(cancelled))
    return ExitCode.SUCCEEDED


async def find_under_way(session: Session, state: StateManager, target: str) -> Deployment:
    """Return the deployment of that id, or the running one of that environment. Raises InvalidRequestError."""
    if DEPLOYMENT_ID.fullmatch(target):
        found = await state.deployments.get(target)
        missing = f"There is no deployment {target}."
    else:
        environment = find_environment(session.settings, target)
        found = await state.deployments.active(environment.name)
        missing = f"No deployment of {environment.name} is under way."
    if found is None:
        raise InvalidRequestError(missing, hint="See `roas status` and `roas history`.")
    return found


Paused = Annotated[str, typer.Argument(metavar="ENVIRONMENT|DEPLOYMENT_ID", help="What is paused.")]
Back = Annotated[bool, typer.Option("--roll-back", help="Roll it back instead, as the button of that name does.")]


def resume(target: Paused, roll_back: Back = False, reason: Why = "", as_json: Json = False) -> None:
    """Resume a deployment that paused: new replicas failed, or its canary is inconclusive; or roll it back."""
    run_command(lambda session: _resume(session, target, one_line_reason(reason), roll_back=roll_back), as_json=as_json)


async def _resume(session: Session, target: str, reason: str, *, roll_back: bool) -> int:
    async with open_journal(session) as state:
        found = await find_under_way(session, state, target)
    choice = Choice.ROLL_BACK if roll_back else Choice.GO_ON
    async with open_connection(session) as connection:
        decided = await connection.decide(found.id, choice, session.user, reason)
        what = "is rolled back" if roll_back else "resumes"
        session.terminal.say(f"{found.id} of {found.environment} {what}.")
        # Where its process is dead, no other process would see the decision.
        await finish_orphans(session, connection, found.environment)
    if session.terminal.as_json:
        session.terminal.document(to_json(decided))
    return ExitCode.SUCCEEDED
