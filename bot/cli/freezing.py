"""`lock`, `unlock`: let nobody begin a deployment, and let people again."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from roas.app.foundation import open_foundation
from roas.cli.running import EnvironmentName, ExitCode, Json, Session, find_environment, run_command, warn_of_first_use
from roas.cli.typed_request import one_line_reason
from roas.errors import InvalidRequestError
from roas.models.deployment import Freeze
from roas.starting_times import local_time, read_moment
from roas.state.documents import to_json

WhyLocked = Annotated[str, typer.Option("--reason", help="Why; shown to anybody who tries to deploy. Required.")]


UntilOption = Annotated[
    str, typer.Option("--until", metavar="TIME", help="Unlock it by itself then: in 2h, 22:00, 2026-12-01 08:00.")
]


def lock(environment: EnvironmentName, reason: WhyLocked = "", until: UntilOption = "", as_json: Json = False) -> None:
    """Let nobody deploy to an environment, here or in Discord, until it is unlocked; what runs goes on."""
    run_command(lambda session: _lock(session, environment, reason, until), as_json=as_json)


def unlock(environment: EnvironmentName, as_json: Json = False) -> None:
    """Let people deploy to a locked environment again."""
    run_command(lambda session: _unlock(session, environment), as_json=as_json)


async def _lock(session: Session, name: str, reason: str, until: str) -> int:
    environment = find_environment(session.settings, name)
    text = one_line_reason(reason)
    if not text:
        raise InvalidRequestError("A lock needs a reason.", hint=f"Type: roas lock {name} --reason '…'")
    ends = read_moment(until, environment.windows) if until else None
    freeze = Freeze(environment.name, session.user, text, datetime.now(UTC), ends)
    warn_of_first_use(session)
    async with open_foundation(session.settings, instance_prefix="CLI") as base:
        state = base.state
        await state.freezes.put(freeze)
        active = await state.deployments.active(environment.name)
    session.terminal.say(f"{environment.name} is locked. Only a hotfix, or a rollback with a reason, can change it.")
    if ends is not None:
        session.terminal.say(f"The bot unlocks it at {local_time(ends, environment.windows)}.")
    if active is not None:
        session.terminal.say(f"{active.id} is under way and continues; `roas cancel {environment.name}` stops it.")
    if session.terminal.as_json:
        session.terminal.document(to_json(freeze))
    return ExitCode.SUCCEEDED


async def _unlock(session: Session, name: str) -> int:
    environment = find_environment(session.settings, name)
    warn_of_first_use(session)
    async with open_foundation(session.settings, instance_prefix="CLI", read_only=True) as base:
        state = base.state
        freeze = await state.freezes.lift(environment.name, session.user)
        waiting = await state.candidates.waiting(environment.name)
    session.terminal.say(
        f"{environment.name} is unlocked. {freeze.frozen_by.name} had locked it since "
        f"{freeze.since:%Y-%m-%d %H:%M:%S} UTC: {freeze.reason}"
    )
    for candidate in waiting:
        session.terminal.say(
            f"{candidate.version}, which {candidate.source} offers, has waited: it is deployed when nothing else is in "
            "its way."
        )
    if session.terminal.as_json:
        session.terminal.document(to_json(freeze))
    return ExitCode.SUCCEEDED
