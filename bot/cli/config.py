"""`config`: check the settings, show what is in force, and describe `roas.toml` to editors."""

import json
import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

from roas.candidates.source_secrets import SourceSecrets
from roas.cli.output import Terminal, add_row, make_table
from roas.cli.running import ExitCode, Json, become_owner, run_before_settings
from roas.configuration import ENV_FILE
from roas.configuration.loading import load_settings, read_settings
from roas.configuration.overview import misspelt, overview, schema_of
from roas.configuration.reading import Reading
from roas.configuration.settings import Settings
from roas.configuration.sources import SettingFault, SettingPlace
from roas.models.candidate import SourceKind

WITHOUT_DISCORD = "Do not require what only the bot itself needs: token, server and channel."
WithoutDiscord = Annotated[bool, typer.Option("--without-discord", help=WITHOUT_DISCORD)]


def configuration() -> typer.Typer:
    """Gather the commands about the settings."""
    commands = typer.Typer(
        name="config",
        help="Check and show the settings: of the environment, of .env, and of roas.toml.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    commands.command(short_help="Name everything that is wrong, with its place.")(check)
    commands.command(short_help="Show what is in force, and where it comes from.")(show)
    commands.command(short_help="Print a JSON schema of roas.toml.")(schema)
    return commands


def check(without_discord: WithoutDiscord = False, as_json: Json = False) -> None:
    """Check all settings: exit code 0 when the bot could start with them, else 78."""
    run_before_settings(lambda terminal: _check(terminal, needs_discord=not without_discord), as_json=as_json)


def show(as_json: Json = False) -> None:
    """Show each setting with its value and its source; secrets are hidden."""
    run_before_settings(_show, as_json=as_json)


def schema() -> None:
    """Print the JSON schema of roas.toml, for editors that complete and check while one types."""
    run_before_settings(_schema, as_json=True)


def _check(terminal: Terminal, *, needs_discord: bool) -> int:
    reading = _read(needs_discord=needs_discord)
    if reading.settings is not None and not reading.faults:
        for name, source in reading.settings.sources.items():
            SourceSecrets(name, source)  # the bot reads them when it starts
    warnings = [*misspelt(Settings, reading.variables()), *_unreachable(reading.settings)]
    if terminal.as_json:
        found = {"faults": reading.faults, "warnings": warnings}
        documents = {name: [_document(item) for item in those] for name, those in found.items()}
        terminal.document(_json({"passed": not reading.faults, **documents}))
        return ExitCode.SETTINGS if reading.faults else ExitCode.SUCCEEDED
    for warning in warnings:
        terminal.say(str(warning), lead=("warning: ", "yellow"))
    if reading.faults:
        for fault in reading.faults:
            terminal.say(str(fault))
    else:
        terminal.say(f"All settings are valid ({_sources(reading)}).")
    return ExitCode.SETTINGS if reading.faults else ExitCode.SUCCEEDED


def _unreachable(settings: Any) -> Iterator[SettingFault]:
    """Yield the sources in whose name nobody can offer anything."""
    for name, source in settings.sources.items() if settings is not None else ():
        if source.kind is SourceKind.CI and source.token_hash is None and source.oidc is None:
            yield SettingFault(
                SettingPlace(f"sources.{name}"),
                "has neither `token_hash` nor `oidc`: no job can offer a version in its name",
            )


def _read(*, needs_discord: bool) -> Reading[Any]:
    """Read the settings as the bot will: as root, once more as the user that it becomes, who may see less."""
    reading = read_settings(needs_discord=needs_discord)
    if reading.settings is None:
        return reading
    become_owner(reading.settings)
    return read_settings(needs_discord=needs_discord)


def _show(terminal: Terminal) -> int:
    reading = read_settings(needs_discord=False)
    if reading.settings is None:
        load_settings(needs_discord=False)  # says all that is wrong
    lines = overview(reading)
    if terminal.as_json:
        terminal.document(_json({"files": [str(path) for path in reading.files], "settings": lines}))
        return ExitCode.SUCCEEDED
    terminal.say(f"Read: {_sources(reading)}.")
    table = make_table("setting", "value", "source")
    for line in lines:
        style = "dim" if line.source == "default" else ""
        add_row(table, (line.name, line.shown, line.where), (style, style, style))
    terminal.out.print(table)
    return ExitCode.SUCCEEDED


def _schema(terminal: Terminal) -> int:
    terminal.document(_json(schema_of(Settings), indent=2))
    return ExitCode.SUCCEEDED


def _sources(reading: Reading[Any]) -> str:
    dotenv = [named] if (named := os.environ.get(ENV_FILE, "")) else []
    files = [str(path) for path in reading.files] or ["no roas.toml"]
    return ", ".join(["the environment", *dotenv, *files])


def _document(fault: SettingFault) -> dict[str, Any]:
    return {
        "setting": fault.place.name,
        "file": fault.place.file or None,
        "message": fault.message,
    }


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(to_jsonable_python(value), indent=indent, ensure_ascii=False)
