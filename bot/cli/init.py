"""`init`: look at a stack that runs, describe it in `roas.toml`, and show that taking it over changes nothing."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from roas.app.application import open_application
from roas.checks.compose_variables import known_variables, profiles_of, variables_of_images
from roas.cli.drawn_plan import show_plan
from roas.cli.running import ExitCode, Session, run_command
from roas.configuration.environments import environments, ssh_access
from roas.configuration.loading import load_settings, read_settings
from roas.configuration.reading import FILE_NAME
from roas.configuration.settings import NAME_PATTERN, Settings
from roas.configuration.stack_files import compose_variables, find_files, plain_name, usual_project
from roas.configuration.tables import EnvironmentSettings
from roas.configuration.writing import with_environment
from roas.errors import ComposePolicyError, InvalidRequestError
from roas.limits import POLICY_TRIES
from roas.messages.message import counted
from roas.models.environment import Environment, PolicyLevel
from roas.models.facts import FoundProject
from roas.redaction import Redactor
from roas.stack.interface import ResolvedStack
from roas.stack.model.store import is_kept_model
from roas.stack.stacks import Stacks

PROFILES, ALL = "COMPOSE_PROFILES", "*"
Values = dict[str, str | tuple[str, ...] | dict[str, str]]
# A version of the stack is no version of these, which others make.
BOUGHT = re.compile(
    r"postgres|postgis|pgvector|mysql|mariadb|mongo|redis|valkey|memcached|rabbitmq|elasticsearch|nginx|caddy|traefik"
)


@dataclass(frozen=True, slots=True)
class FoundStack:
    """Hold what is written of a stack: its table, what the policy has to allow, and what a person should know."""

    name: str
    values: Values
    allow: tuple[str, ...] = ()
    running: int = 0
    notes: tuple[str, ...] = field(default=())


async def survey_stack(
    settings: Settings, folder: Path, name: str | None, project: str | None, files: Sequence[str] = ()
) -> FoundStack:
    """Return how a folder's stack runs, or would, of these files.

    Raises InvalidRequestError, ComposeFileError, ComposePolicyError.
    """
    found = await _running(settings, folder, project, files)
    values: Values = {"folder": str(folder)}
    values["project_name"] = found.name
    notes: list[str] = []
    values |= {"compose_file": ":".join(files)} if files else _files(found, folder, notes)
    name = _checked_name(name or plain_name(found.name)[:32])
    values |= _profiles(_environment(settings, name, values), found, notes)
    stack, allow = await _resolve(settings, name, values)
    if not stack.follows_version:
        values |= _version_variables(stack.environment, notes)
    if ended := await _ended(settings, stack, allow):
        values["one_shots"] = ended
    return FoundStack(name, values, allow, len(found.containers), tuple(notes))


async def _running(settings: Settings, folder: Path, project: str | None, files: Sequence[str]) -> FoundProject:
    """Return the project that runs from a folder; one of Compose's usual name where none does."""
    access = ssh_access(settings, EnvironmentSettings())
    place = Environment("init", project or "init", folder, (), docker_host=settings.docker_host, ssh=access)
    stacks = _stacks(settings, ())
    try:
        projects = await stacks.of(place).probe().projects()
    finally:
        await stacks.close()
    return _chosen(projects, folder, project, files)


def _chosen(
    projects: tuple[FoundProject, ...], folder: Path, project: str | None, files: Sequence[str]
) -> FoundProject:
    if not folder.is_dir():
        raise InvalidRequestError(f"There is no folder {folder}.", hint="Name the folder of the compose files.")
    if absent := [name for name in files if not (folder / name).is_file()]:
        raise InvalidRequestError(
            f"There is no {', '.join(absent)} in {folder}.", hint="Name each compose file as it lies in that folder."
        )
    if project is not None:
        return next((candidate for candidate in projects if candidate.name == project), FoundProject(project))
    here = [candidate for candidate in projects if folder in {Path(path).resolve() for path in candidate.folders}]
    if len(here) > 1:
        raise InvalidRequestError(
            f"Several projects run from {folder}: {', '.join(project.name for project in here)}.",
            hint="Name one with --project; each may be an environment of its own.",
        )
    if here:
        return here[0]
    env = tuple(path for path in (folder / ".env",) if path.is_file())
    used = [folder / name for name in files] or find_files(folder, "", {}).used
    usual = usual_project(folder, used, env)
    return next(
        (candidate for candidate in projects if candidate.name == usual and not candidate.folders), FoundProject(usual)
    )


def _files(found: FoundProject, folder: Path, notes: list[str]) -> dict[str, str]:
    """Return the files that the project was created from, where they are not those that are found anyway.

    What a deployment created notes the model of its release: that says nothing of the stack's own files.
    """
    if any(is_kept_model(Path(path)) for path in found.files):
        notes.append("It was deployed by ROAS Bot: name its files in `compose_file` if `docker compose` takes others.")
        return {}
    values = {}
    for key, paths in (("compose_file", found.files), ("env_file", found.env_files)):
        files = [Path(path) for path in paths]
        if files and all(path.is_file() and path.resolve().is_relative_to(folder) for path in files):
            values[key] = ":".join(str(path.resolve().relative_to(folder)) for path in files)
    return values


def _profiles(environment: Environment, found: FoundProject, notes: list[str]) -> Values:
    """Return the profiles by which services run that the files alone would not start: `--profile` leaves no trace.

    A profile counts where all of its services are there.
    """
    profiles = profiles_of(environment.compose_files)
    said = compose_variables(environment.env_files).get(PROFILES, "")
    active = {part.strip() for part in said.split(",") if part.strip()}
    whole = {
        item
        for item in frozenset[str]().union(*profiles.values())
        if all(service in found.services for service, named in profiles.items() if item in named)
    }
    asleep = {} if ALL in active else {name: named for name, named in profiles.items() if name in found.services}
    added: list[str] = []
    while asleep := {service: named for service, named in asleep.items() if not named & {*active, *added}}:
        useful = {profile: sum(profile in named for named in asleep.values()) for profile in whole}
        best = max(sorted(useful), key=lambda name: useful[name], default="")
        if not useful.get(best):
            break
        added.append(best)
    if not added:
        return {}
    notes.append(f"Services run by a profile ({', '.join(added)}), which is written as the variable {PROFILES}.")
    return {"variables": {PROFILES: ",".join(sorted({*active, *added}))}}


async def _resolve(settings: Settings, name: str, values: Values) -> tuple[ResolvedStack, tuple[str, ...]]:
    """Return the stack, and all that the policy has to allow for it. Leaves out files that are found anyway."""
    plain = {key: value for key, value in values.items() if key not in {"compose_file", "env_file"}}
    for key in ("compose_file", "env_file"):
        with_it, without = (_environment(settings, name, item) for item in (values, {**plain, **_other(values, key)}))
        if (with_it.compose_files, with_it.env_files) == (without.compose_files, without.env_files):
            values.pop(key, None)
    environment = _environment(settings, name, values)
    allow: tuple[str, ...] = ()
    for _ in range(POLICY_TRIES):
        stacks = _stacks(settings, (*settings.compose_policy_allow, *allow))
        try:
            return await stacks.of(environment).resolve(None, write_contents=False), allow
        except ComposePolicyError as error:
            new = tuple(entry for entry in error.entries if entry not in allow)
            if not new:
                raise
            allow += new
        finally:
            await stacks.close()
    raise InvalidRequestError("The policy refuses more each time that it is asked.", hint="Look at `roas doctor`.")


def _other(values: Values, key: str) -> Values:
    other = "env_file" if key == "compose_file" else "compose_file"
    return {other: values[other]} if other in values else {}


def _version_variables(environment: Environment, notes: list[str]) -> Values:
    """Return the variables of the stack's own images that have one value; note where there is none, or what else is."""
    found = variables_of_images(environment.compose_files)
    own = {name: uses for name, uses in found.items() if not all(BOUGHT.search(image) for _, image in uses)}
    if not own:
        notes.append("No image has a variable: a deployed version changes nothing until one has `${VERSION}`.")
        return {}
    known = known_variables(environment.env_files)
    today = {name: known.get(name) or _default(name, uses[0][1]) for name, uses in own.items()}
    # One version is deployed: what has another one today is another program. The most count, then the first.
    value = max(today.values(), key=list(today.values()).count)
    same = tuple(name for name, its in today.items() if its == value)
    if bought := found.keys() - own.keys():
        notes.append(f"Left out of version_variables, since it is no version of this stack: {_listed(bought)}.")
    if others := own.keys() - set(same):
        notes.append(
            f"Left out of version_variables, since it has another value today than {same[0]}: {_listed(others)}. "
            "Change it where the stack sets it, and deploy."
        )
    return {"version_variables": same}


def _default(name: str, image: str) -> str:
    found = re.search(rf"\$\{{{re.escape(name)}:?-([^}}]*)\}}", image)
    return found[1] if found else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


async def _ended(settings: Settings, stack: ResolvedStack, allow: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services that have ended as they should, and of which the compose file does not say so."""
    stacks = _stacks(settings, allow)
    try:
        ended = await stacks.of(stack.environment).probe().ended_services()
    finally:
        await stacks.close()
    known = stack.definitions
    return tuple(name for name in ended if name in known and not known[name].ends_well)


def _environment(settings: Settings, name: str, values: Mapping[str, object]) -> Environment:
    own = EnvironmentSettings.model_validate(values)
    changed = settings.model_copy(update={"environments": {name: own}, "environment_names": (name,)})
    environment = environments(changed)[name]
    # What nobody is asked about later is written down now, for whoever makes this file to read.
    return replace(environment, policy=PolicyLevel.DEFAULT) if environment.policy == PolicyLevel.ASK else environment


def _stacks(settings: Settings, allow: tuple[str, ...]) -> Stacks:
    state_dir = settings.state_dir.expanduser().resolve()
    return Stacks(state_dir=state_dir, instance_id="CLI-init", policy_allow=allow, redactor=Redactor())


def _checked_name(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidRequestError(
            f"{name!r} is no name for an environment.", hint="Name one with --environment: small letters, digits, - _."
        )
    return name


Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the stack's compose files.")]
EnvironmentOption = Annotated[
    str | None, typer.Option("--environment", help="What to call it here; its project's name if left out.")
]
Project = Annotated[str | None, typer.Option("--project", help="Its Compose project, where several run from there.")]
File = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", help="A compose file of it, where `docker compose` takes others; once for each."),
]
Config = Annotated[Path | None, typer.Option("--config", help="The roas.toml to write; by default the one in use.")]


def init(
    folder: Folder,
    environment: EnvironmentOption = None,
    project: Project = None,
    file: File = None,
    config: Config = None,
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
    running = counted(found.running, "container of which exists", "containers of which exist")
    session.terminal.say(f"{did} {target}: the environment {found.name}, {running}.")
    session.terminal.say(changed.removeprefix(text))


def _replace(target: Path, text: str) -> None:
    """Write a file in one step, with the mode that it had."""
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        written.write_text(text, encoding="utf-8")
        written.chmod(mode)
        written.replace(target)
    finally:
        written.unlink(missing_ok=True)


async def _show_plan(session: Session, target: Path, found: FoundStack) -> None:
    settings = load_settings(needs_discord=False, environ=os.environ | {"ROAS_CONFIG": str(target)})
    async with open_application(settings, instance_prefix="CLI", read_only=True) as application:
        plan = await application.orchestrator.plan_unchanged(found.name, session.user)
        in_container = application.stacks.of(application.environments[found.name]).probe().in_container()
    show_plan(session.terminal, plan)
    session.terminal.say(f"Next: `roas doctor {found.name}`, then `roas deploy {found.name} VERSION --dry-run`.")
    if in_container:
        session.terminal.say(
            "Type them in the bot's container: start the bot, and write `docker compose exec SERVICE` before each, "
            "where SERVICE is that of the bot."
        )
