"""`go-on`: let a deployment that is paused go on, or take it back."""

from typing import Annotated

import typer

from roas.commands.arguments import Json
from roas.commands.cancel import find_under_way
from roas.commands.command_runner import run_command
from roas.commands.connection import open_connection
from roas.commands.exit_codes import ExitCode
from roas.commands.journal import open_journal
from roas.commands.request_execution import finish_orphans
from roas.commands.session import Session
from roas.models.rollout import Choice
from roas.state.documents import to_json

Target = Annotated[str, typer.Argument(metavar="ENVIRONMENT|DEPLOYMENT_ID", help="What is paused.")]
Back = Annotated[bool, typer.Option("--roll-back", help="Roll it back instead, as the button of that name does.")]


def go_on(target: Target, roll_back: Back = False, as_json: Json = False) -> None:
    """Let a deployment go on that paused because new replicas failed (`failure_action: pause`), or roll it back."""
    run_command(lambda session: _go_on(session, target, roll_back=roll_back), as_json=as_json)


async def _go_on(session: Session, target: str, *, roll_back: bool) -> int:
    async with open_journal(session) as state:
        found = await find_under_way(session, state, target)
    choice = Choice.ROLL_BACK if roll_back else Choice.GO_ON
    async with open_connection(session) as connection:
        decided = await connection.decide(found.id, choice, session.user)
        what = "is rolled back" if roll_back else "goes on"
        session.terminal.say(f"{found.id} of {found.environment} {what}.")
        # Where its process is dead, no other process would see the decision.
        await finish_orphans(session, connection, found.environment)
    if session.terminal.as_json:
        session.terminal.document(to_json(decided))
    return ExitCode.SUCCEEDED
