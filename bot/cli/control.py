"""`cancel`, `resume`, `lock`, `unlock`: stop a deployment or let it continue, and let nobody begin one."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from roas.app.foundation import open_foundation
from roas.cli.connection import open_connection
from roas.cli.deploy import finish_orphans, one_line_reason
from roas.cli.running import (
    EnvironmentName,
    ExitCode,
    Json,
    Session,
    find_environment,
    open_journal,
    run_command,
    warn_of_first_use,
)
from roas.configuration.environments import environments
from roas.errors import InvalidRequestError
from roas.models.deployment import Deployment, Freeze
from roas.models.rollout import Choice
from roas.state.documents import to_json
from roas.state.manager import StateManager

DEPLOYMENT_ID = re.compile(r"(DEPLOY|HOTFIX|ROLLBACK|RESTART|STOP|START)-[0-9A-Z]{26}")
Target = Annotated[str, typer.Argument(metavar="ENVIRONMENT|DEPLOYMENT_ID", help="What to stop.")]


def cancel(target: Target, as_json: Json = False) -> None:
    """Ask a deployment to stop at its next safe point; what it changed is rolled back."""
    run_command(lambda session: _cancel(session, target), as_json=as_json)


async def _cancel(session: Session, target: str) -> int:
    async with open_journal(session) as state:
        found = await find_under_way(session, state, target)
    async with open_connection(session) as connection:
        cancelled = await connection.cancel(found.id, session.user)
        environment = environments(session.settings).get(found.environment)
        on_swarm = environment is not None and environment.on_swarm
        when = "when Swarm's current updates are over" if on_swarm else "at its next safe point"
        session.terminal.say(f"Asked {found.id} of {found.environment} to stop {when}.")
        # Where its process is dead, no other process would see the request.
        await finish_orphans(session, connection, found.environment)
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
        raise InvalidRequestError(missing, hint="See `status` and `history`.")
    return found


Paused = Annotated[str, typer.Argument(metavar="ENVIRONMENT|DEPLOYMENT_ID", help="What is paused.")]
Back = Annotated[bool, typer.Option("--roll-back", help="Roll it back instead, as the button of that name does.")]


def resume(target: Paused, roll_back: Back = False, as_json: Json = False) -> None:
    """Resume a deployment that paused because new replicas failed (`failure_action: pause`), or roll it back."""
    run_command(lambda session: _resume(session, target, roll_back=roll_back), as_json=as_json)


async def _resume(session: Session, target: str, *, roll_back: bool) -> int:
    async with open_journal(session) as state:
        found = await find_under_way(session, state, target)
    choice = Choice.ROLL_BACK if roll_back else Choice.GO_ON
    async with open_connection(session) as connection:
        decided = await connection.decide(found.id, choice, session.user)
        what = "is rolled back" if roll_back else "resumes"
        session.terminal.say(f"{found.id} of {found.environment} {what}.")
        # Where its process is dead, no other process would see the decision.
        await finish_orphans(session, connection, found.environment)
    if session.terminal.as_json:
        session.terminal.document(to_json(decided))
    return ExitCode.SUCCEEDED


WhyLocked = Annotated[str, typer.Option("--reason", help="Why; shown to anybody who tries to deploy. Required.")]


def lock(environment: EnvironmentName, reason: WhyLocked = "", as_json: Json = False) -> None:
    """Let nobody deploy to an environment, here or in Discord, until it is unlocked; what runs goes on."""
    run_command(lambda session: _lock(session, environment, reason), as_json=as_json)


def unlock(environment: EnvironmentName, as_json: Json = False) -> None:
    """Let people deploy to a locked environment again."""
    run_command(lambda session: _unlock(session, environment), as_json=as_json)


async def _lock(session: Session, name: str, reason: str) -> int:
    environment = find_environment(session.settings, name)
    text = one_line_reason(reason)
    if not text:
        raise InvalidRequestError("A lock needs a reason.", hint=f"Type: roas lock {name} --reason '…'")
    freeze = Freeze(environment.name, session.user, text, datetime.now(UTC))
    warn_of_first_use(session)
    async with open_foundation(session.settings, instance_prefix="CLI") as base:
        state = base.state
        await state.freezes.put(freeze)
        active = await state.deployments.active(environment.name)
    session.terminal.say(f"{environment.name} is locked: nobody can deploy to it.")
    if active is not None:
        session.terminal.say(f"{active.id} is under way and continues; `cancel {environment.name}` stops it.")
    if session.terminal.as_json:
        session.terminal.document(to_json(freeze))
    return ExitCode.SUCCEEDED


async def _unlock(session: Session, name: str) -> int:
    environment = find_environment(session.settings, name)
    warn_of_first_use(session)
    async with open_foundation(session.settings, instance_prefix="CLI", read_only=True) as base:
        state = base.state
        freeze = await state.freezes.lift(environment.name, session.user)
    session.terminal.say(
        f"{environment.name} is unlocked. {freeze.frozen_by.name} had locked it since "
        f"{freeze.since:%Y-%m-%d %H:%M:%S} UTC: {freeze.reason}"
    )
    if session.terminal.as_json:
        session.terminal.document(to_json(freeze))
    return ExitCode.SUCCEEDED
