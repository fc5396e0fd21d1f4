"""`releases`: list the releases that an environment can go back to."""

from roas.commands.arguments import EnvironmentName, Json
from roas.commands.command_runner import run_command
from roas.commands.documents import ReleaseList
from roas.commands.environment import find_environment
from roas.commands.exit_codes import ExitCode
from roas.commands.formatting import at, image, person
from roas.commands.journal import open_journal
from roas.commands.session import Session
from roas.commands.tables import add_row, make_table
from roas.state.documents import to_json

MOST = 100


def releases(environment: EnvironmentName, as_json: Json = False) -> None:
    """List the releases that are kept, the newest first: what they are made of, and which one runs."""
    run_command(lambda session: _releases(session, environment), as_json=as_json)


async def _releases(session: Session, environment: str) -> int:
    find_environment(session.settings, environment)
    async with open_journal(session) as state:
        current = await state.releases.current(environment)
        kept = await state.releases.list(environment, limit=MOST)
    found = ReleaseList(environment, current.number if current else None, kept)
    if session.terminal.as_json:
        session.terminal.document(to_json(found))
    elif kept:
        _show(session, found)
    else:
        session.terminal.say(f"{environment} has no release yet: its first deployment creates one.")
    return ExitCode.SUCCEEDED


def _show(session: Session, found: ReleaseList) -> None:
    table = make_table("release", "version", "state", "made", "by", "images")
    for release in found.releases:
        running = " (runs)" if release.number == found.current else ""
        images = ", ".join(f"{s.name} {s.image.reference} {image(s.image.image_id)}" for s in release.services)
        cells = (
            release.label + running,
            release.version or "-",
            str(release.state),
            at(release.created_at),
            person(release.created_by),
            images,
        )
        add_row(table, cells, ("bold",) if running else ())
    session.terminal.out.print(table)
