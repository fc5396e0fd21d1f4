"""`init`: describe a stack that runs in `roas.toml`, and show that taking it over changes nothing."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from roas.app.application import open_application
from roas.cli.execution import show_plan
from roas.cli.running import ExitCode, run_command
from roas.cli.session import Session
from roas.cli.stack_survey import FoundStack, survey_stack
from roas.configuration.reading import FILE_NAME
from roas.configuration.settings import load_settings, read_settings
from roas.configuration.writing import with_environment

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the stack's compose files.")]
Environment = Annotated[
    str | None, typer.Option("--environment", help="What to call it here; its project's name if left out.")
]
Project = Annotated[str | None, typer.Option("--project", help="Its Compose project, where several run from there.")]
File = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", help="A compose file of it, where `docker compose` takes others; once for each."),
]
Config = Annotated[Path | None, typer.Option("--config", help="The roas.toml to write; by default the one in use.")]


def init(
    folder: Folder, environment: Environment = None, project: Project = None, file: File = None, config: Config = None
) -> None:
    """Look at a stack that runs, write it into roas.toml, and show the plan of taking it over."""
    run_command(lambda session: _init(session, folder.expanduser().resolve(), environment, project, file or (), config))


async def _init(
    session: Session,
    folder: Path,
    name: str | None,
    project: str | None,
    files: Sequence[str],
    config: Path | None,
) -> int:
    found = await survey_stack(session.settings, folder, name, project, files)
    target = _target(session, config)
    _write(session, target, found)
    if found.allow:
        session.terminal.say(
            "note: Read what is allowed under [policy]: each line is a risk to the machine or to others."
        )
    for note in found.notes:
        session.terminal.say(f"note: {note}")
    await _show_plan(session, target, found)
    return ExitCode.SUCCEEDED


def _target(session: Session, config: Path | None) -> Path:
    """Return the file that is in use; else the named one, or the one of the state folder."""
    if config is not None:
        return config.expanduser().absolute()
    in_use = read_settings(needs_discord=False).files
    named = os.environ.get("ROAS_CONFIG")
    return (in_use[0] if in_use else Path(named) if named else session.state_dir / FILE_NAME).absolute()


def _write(session: Session, target: Path, found: FoundStack) -> None:
    settings = session.settings
    text = target.read_text(encoding="utf-8") if target.is_file() else ""
    before = settings.environment_names if text and "environment_names" in settings.model_fields_set else ()
    names = tuple(dict.fromkeys((*before, *settings.environments, found.name)))
    allow = (*settings.compose_policy_allow, *(f"{found.name}/{entry}" for entry in found.allow))
    changed = with_environment(
        text, found.name, found.values, names=names, allow=tuple(dict.fromkeys(allow)), path=target
    )
    if changed == text:
        session.terminal.say(f"{target} says all of {found.name} already; nothing was written.")
        return
    _replace(target, changed)
    did = "Added to" if text else "Wrote"
    session.terminal.say(f"{did} {target}: the environment {found.name}, {found.running} container(s) of which exist.")
    session.terminal.say(changed.removeprefix(text))


def _replace(target: Path, text: str) -> None:
    """Write a file in one step, with the mode that it had."""
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.chmod(mode)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


async def _show_plan(session: Session, target: Path, found: FoundStack) -> None:
    settings = load_settings(needs_discord=False, environ=os.environ | {"ROAS_CONFIG": str(target)})
    async with open_application(settings, instance_prefix="CLI", only_looks=True) as application:
        plan = await application.orchestrator.plan_unchanged(found.name, session.user)
    show_plan(session.terminal, plan)
    session.terminal.say(f"Next: `roas doctor {found.name}`, then `roas deploy {found.name} VERSION --dry-run`.")
