"""`status`: show how environments are."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from roas.api.application import read_status
from roas.api.documents import ControlUnavailableError, StatusReport
from roas.application import open_application
from roas.commands.arguments import AnyEnvironment, Json
from roas.commands.command_runner import run_command
from roas.commands.connection import ASKING_SECONDS, find_running_bot
from roas.commands.environment import wanted_environments
from roas.commands.exit_codes import ExitCode
from roas.commands.journal import warn_of_first_use
from roas.commands.session import Session
from roas.commands.status_view import show_status
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.state.documents import to_json


def status(environment: AnyEnvironment = None, as_json: Json = False) -> None:
    """Show how environments are: their services, their release, and the deployment that is under way."""
    run_command(lambda session: _status(session, environment), as_json=as_json)


async def _status(session: Session, name: str | None) -> int:
    """Ask the running bot; where none lives, or it does not answer, look for ourselves."""
    wanted = wanted_environments(session.settings, name)
    try:
        async with AsyncExitStack() as stack:
            client = await find_running_bot(session.state_dir, stack, silent_seconds=ASKING_SECONDS)
            report = await client.status(name) if client is not None else await _look(session, wanted)
    except ControlUnavailableError as error:
        report = await _look_instead(session, wanted, error)
    return _show(session, report)


def _show(session: Session, report: StatusReport) -> int:
    if session.terminal.as_json:
        session.terminal.document(to_json(report))
    else:
        show_status(session.terminal, report)
    nothing_known = all(environment.fault for environment in report.environments)
    return ExitCode.UNAVAILABLE if nothing_known or report.fault else ExitCode.SUCCEEDED


async def _look_instead(
    session: Session, wanted: Sequence[Environment], fault: ControlUnavailableError
) -> StatusReport:
    """Look beside a bot that does not answer, and say so. Raises its fault where that shows nothing either."""
    try:
        report = await _look(session, wanted)
    except RoasError as error:
        raise fault from error
    text = f"{fault.message} This is what the journal and the engine show."
    session.terminal.say(f"warning: {text}", on_err=True)
    session.terminal.say(f"→ {fault.hint}", on_err=True)
    return replace(report, fault=text)


async def _look(session: Session, wanted: Sequence[Environment]) -> StatusReport:
    warn_of_first_use(session)
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(
            open_application(session.settings, instance_prefix="CLI", only_looks=True)
        )
        parts = (application.state, application.collector)
        return StatusReport(tuple(await asyncio.gather(*(read_status(environment, *parts) for environment in wanted))))
