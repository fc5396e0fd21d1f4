"""Carry out a request from the command line: plan, start, follow, end."""

from dataclasses import dataclass, replace

from bot.commands.carrier import Carrier, open_carrier
from bot.commands.ending import show_end
from bot.commands.environment import find_environment
from bot.commands.exit_codes import ExitCode, code_of_deployment
from bot.commands.faults import fault_json
from bot.commands.following import LeftError, follow_to_its_end
from bot.commands.interruption import interruptions
from bot.commands.plan_view import show_plan
from bot.commands.session import Session
from bot.control.approval import check_approval
from bot.errors import InvalidRequestError
from bot.models.deployment import Deployment, DeploymentRequest, Problem
from bot.state.documents import to_json


@dataclass(frozen=True, slots=True)
class Wishes:
    """Say how a request is to be carried out."""

    dry_run: bool = False
    confirmed: bool = False
    detach: bool = False


async def carry_out(session: Session, request: DeploymentRequest, wishes: Wishes) -> int:
    """Show the plan, carry out exactly that, follow it to its end, and return the exit code."""
    environment = find_environment(session.settings, request.environment)
    if not wishes.dry_run:
        check_approval(environment, request, confirmed=wishes.confirmed)
    async with open_carrier(session) as carrier:
        if wishes.dry_run:
            return await _show_only(session, carrier, request)
        return await _carry_out(session, carrier, request, wishes)


async def _show_only(session: Session, carrier: Carrier, request: DeploymentRequest) -> int:
    plan = await carrier.plan(request)
    if session.terminal.as_json:
        session.terminal.document(to_json(plan))
    else:
        show_plan(session.terminal, plan)
    return ExitCode.SUCCEEDED


async def _carry_out(session: Session, carrier: Carrier, request: DeploymentRequest, wishes: Wishes) -> int:
    if wishes.detach and not carrier.is_bot:
        raise InvalidRequestError(
            "No bot lives that would carry the deployment on its own.", hint="Leave out --detach, or start the bot."
        )
    await finish_what_was_left(session, carrier, request.environment)
    plan = await carrier.plan(request)
    show_plan(session.terminal, plan)
    with interruptions() as wanted:
        exactly_this = replace(request, plan_digest=plan.digest)
        started = await carrier.start(exactly_this, confirmed=wishes.confirmed)
        session.terminal.say(f"Started {started.id}{' in the bot' if carrier.is_bot else ''}.")
        if wishes.detach:
            return _end(session, started)
        try:
            return _end(session, await follow_to_its_end(session, carrier, started.id, wanted))
        except LeftError as left:
            return _leave(session, left)


async def finish_what_was_left(session: Session, carrier: Carrier, environment: str) -> None:
    """Take deployments whose process died to their end first."""
    for left in await carrier.prepare(environment):
        session.terminal.say(f"Taking up {left.id} of {left.environment}, whose process died.")
        with interruptions() as wanted:
            show_end(session.terminal, await follow_to_its_end(session, carrier, left.id, wanted))


def _end(session: Session, deployment: Deployment) -> int:
    show_end(session.terminal, deployment)
    if session.terminal.as_json:
        session.terminal.document(to_json(deployment))
    return code_of_deployment(deployment)


def _leave(session: Session, left: LeftError) -> int:
    hint = "The bot goes on with it." if left.goes_on else "The bot, or the next command typed here, takes it up."
    problem = Problem("interrupted", f"Left {left.deployment_id} before its end.", hint)
    if session.terminal.as_json:
        session.terminal.document(fault_json(problem))
    session.terminal.say(f"{problem.message} {hint}", console=session.terminal.err)
    return ExitCode.INTERRUPTED
