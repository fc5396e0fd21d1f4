"""Run a command between settings and exit code, as the owner of the state, with every error printed once."""

import asyncio
import io
import os
import pwd
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from roas.api.documents import to_document
from roas.api.system_user import current_user
from roas.cli.output import Terminal, print_error
from roas.configuration.environments import environments, plain_names
from roas.configuration.loading import load_settings
from roas.configuration.settings import Settings
from roas.errors import InternalFaultError, InvalidRequestError, RoasError, StateError
from roas.log import configure_logging, get_logger
from roas.models.actor import Actor
from roas.models.deployment import Deployment, Outcome, PhaseStatus
from roas.models.environment import Environment
from roas.models.phases import PhaseName
from roas.redaction import Redactor, hide_everywhere
from roas.shortages import fault_of
from roas.state.journal.place import folder_of_journal, has_journal
from roas.state.manager import StateManager


@dataclass(frozen=True, slots=True)
class Session:
    """Run one command."""

    settings: Settings = field(repr=False)
    terminal: Terminal
    user: Actor

    @property
    def state_dir(self) -> Path:
        """Return the state folder as an absolute path."""
        return self.settings.state_dir.expanduser().resolve()


EnvironmentName = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Which environment, such as staging.")]
AnyEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENVIRONMENT]", help="Which environment; all of them if left out.")
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="What becomes VERSION in the compose file.")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="SERVICE", help="Only this service; may be given several times."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; required where an environment needs approval.")]
Grant = Annotated[
    list[str] | None,
    typer.Option("--grant", metavar="POWER", help="Give the stack a new power, as the plan names it; repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm the request; required where an environment needs approval.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Detach = Annotated[bool, typer.Option("--detach", help="Let the running bot execute it, and do not wait.")]


def find_environment(settings: Settings, name: str) -> Environment:
    """Return an environment by name. Raises InvalidRequestError that names those there are."""
    known = environments(settings)
    if name not in known:
        raise InvalidRequestError(f"There is no environment {name!r}.", hint=f"There are: {', '.join(known)}.")
    return known[name]


def wanted_environments(settings: Settings, name: str | None) -> tuple[Environment, ...]:
    """Return the environment of a name with its hosts, or all of them without these. Raises InvalidRequestError."""
    known = environments(settings)
    return find_environment(settings, name).with_hosts if name else tuple(known[plain] for plain in plain_names(known))


@asynccontextmanager
async def open_journal(session: Session, *, read_only: bool = True) -> AsyncIterator[StateManager]:
    """Open the journal, beside a bot that writes it; who `read_only` makes none where there is none.

    Raises StateError.
    """
    warn_of_first_use(session)
    with folder_of_journal(session.state_dir, read_only=read_only) as folder:
        async with StateManager(folder, instance_prefix="CLI") as state:
            yield state


def warn_of_first_use(session: Session) -> None:
    """Say that nothing is known yet, to whoever only looks: perhaps these are not the settings of the bot."""
    if not has_journal(session.state_dir):
        text = f"warning: {session.state_dir} has no journal yet, so nothing is known of any deployment."
        session.terminal.say(text, on_err=True)
        hint = "Where a bot runs already, use its settings: the same STATE_DIR, .env and roas.toml."
        session.terminal.say(f"→ {hint}", on_err=True)


# From here on a deployment changes what runs.
CHANGING_PHASES = (PhaseName.EXECUTION, PhaseName.ROLLBACK)
LOG_NAME = "command-line.log"
LARGEST_BYTES = 1024 * 1024
FILE_MODE = 0o600
DEFAULT_SOCKET = "/var/run/docker.sock"


class ExitCode(IntEnum):
    """The codes that scripts can rely on; docs/command-line.md explains each."""

    SUCCEEDED = 0
    FAILED = 1
    INVALID_REQUEST = 2
    ROLLED_BACK = 3
    CANCELLED = 4
    LOCKED = 5
    REFUSED = 6
    UNAVAILABLE = 69
    SETTINGS = 78
    INTERRUPTED = 130


BY_KEY = {
    "settings": ExitCode.SETTINGS,
    "lock_held": ExitCode.LOCKED,
    "frozen": ExitCode.LOCKED,
    "window_closed": ExitCode.LOCKED,
    "requirement": ExitCode.REFUSED,
    "cancelled": ExitCode.CANCELLED,
    "invalid_request": ExitCode.INVALID_REQUEST,
    "image_not_found": ExitCode.INVALID_REQUEST,
    "release_not_restorable": ExitCode.INVALID_REQUEST,
    "not_permitted": ExitCode.REFUSED,
    "validation_failed": ExitCode.REFUSED,
    "compose_file": ExitCode.REFUSED,
    "compose_policy": ExitCode.REFUSED,
    "new_powers": ExitCode.REFUSED,
    "second_copy": ExitCode.REFUSED,
    "dependency_cycle": ExitCode.REFUSED,
    "image_changed": ExitCode.REFUSED,
    "image_not_verified": ExitCode.REFUSED,
    "ref_moved": ExitCode.REFUSED,
    "repository": ExitCode.REFUSED,
    "engine_unavailable": ExitCode.UNAVAILABLE,
    "shortage": ExitCode.UNAVAILABLE,
    "registry_unavailable": ExitCode.UNAVAILABLE,
    "repository_unavailable": ExitCode.UNAVAILABLE,
    "not_verifiable_now": ExitCode.UNAVAILABLE,
    "state": ExitCode.UNAVAILABLE,
    "state_folder": ExitCode.UNAVAILABLE,
    "journal_held": ExitCode.UNAVAILABLE,
    "journal_lost": ExitCode.UNAVAILABLE,
    "journal_damaged": ExitCode.UNAVAILABLE,
    "journal_missing": ExitCode.UNAVAILABLE,
    "fenced_off": ExitCode.UNAVAILABLE,
    "control_unavailable": ExitCode.UNAVAILABLE,
    "control_socket_held": ExitCode.UNAVAILABLE,
}
BY_OUTCOME = {
    Outcome.SUCCEEDED: ExitCode.SUCCEEDED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
    Outcome.CANCELLED: ExitCode.CANCELLED,
}


def code_of_fault(key: str) -> ExitCode:
    """Return the code of a kind of fault."""
    return BY_KEY.get(key, ExitCode.FAILED)


def code_of_deployment(deployment: Deployment) -> ExitCode:
    """Return the exit code of an ended deployment; one that failed before it changed anything has its own."""
    if deployment.outcome is None:
        return ExitCode.SUCCEEDED  # it continues without this process (--detach)
    if deployment.outcome is Outcome.FAILED and deployment.problem is not None and not _changed_anything(deployment):
        return code_of_fault(deployment.problem.key)
    return BY_OUTCOME[deployment.outcome]


def _changed_anything(deployment: Deployment) -> bool:
    phases = (deployment.phase(name) for name in CHANGING_PHASES)
    return any(phase is not None and phase.status is not PhaseStatus.PENDING for phase in phases)


def configure_log(settings: Settings, redactor: Redactor) -> None:
    """Send what the parts log to the file, which is made when there is something to write."""
    if is_debugging(settings):
        configure_logging(settings.log_level, settings.log_format, redactor, sys.stderr)
    else:
        path = settings.state_dir.expanduser().resolve() / LOG_NAME
        configure_logging(settings.log_level, "json", redactor, LogFile(path))


def is_debugging(settings: Settings) -> bool:
    """Return whether the user wants to see tracebacks."""
    return settings.log_level.upper() == "DEBUG"


class LogFile(io.StringIO):
    """Append to a file that is opened at the first line; without its folder nothing is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: io.TextIOWrapper | None = None

    def write(self, text: str) -> int:
        """Append text."""
        with suppress(OSError):
            if self._file is None:
                self._file = self._open()
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what was appended."""
        if self._file is not None:
            with suppress(OSError):
                self._file.flush()

    def _open(self) -> io.TextIOWrapper:
        if self._path.is_file() and self._path.stat().st_size > LARGEST_BYTES:
            self._path.replace(self._path.with_suffix(".log.old"))
        self._path.touch(mode=FILE_MODE, exist_ok=True)
        return self._path.open("a", encoding="utf-8")


def become_owner(settings: Settings) -> None:
    """As root, become the owner of the state folder, with the group of the engine's socket. Raises StateError."""
    if os.geteuid() != 0:
        return
    try:
        owner = settings.state_dir.expanduser().resolve().stat()
    except OSError:
        return  # there is none yet: it will be root's
    if owner.st_uid == 0:
        return
    check_readable(owner.st_uid)
    try:
        os.setgroups([owner.st_gid, *_socket_group(settings)])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
    except OSError as error:
        raise StateError(
            f"The state folder belongs to user {owner.st_uid}, and this process cannot become that user.",
            hint=f"Run the command as user {owner.st_uid}.",
        ) from error
    os.environ["HOME"] = _home(owner.st_uid)


def check_readable(uid: int) -> None:
    """Raise StateError where a user could not read this program: half of it is yet to be imported."""
    try:
        os.seteuid(uid)
        for path in (Path(os.__file__), Path(__file__), Path(sys.executable)):
            path.open("rb").close()
    except OSError as error:
        raise StateError(
            f"The state folder belongs to user {uid}, who cannot read this program ({error.filename or sys.prefix}).",
            hint="Run the command where the bot runs (in its container), or install it where that user can read it.",
        ) from error
    finally:
        os.seteuid(0)


def _socket_group(settings: Settings) -> list[int]:
    address = settings.docker_host or os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    with suppress(OSError):
        if address.startswith("unix://"):
            return [Path(address.removeprefix("unix://")).stat().st_gid]
    return []


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


Work = Callable[[Session], Awaitable[int]]


def run_command(work: Work, *, as_json: bool = False, is_bot: bool = False) -> NoReturn:
    """Load the settings, do the work, and exit with its code; the bot itself logs its own way."""
    raise SystemExit(_run(work, Terminal(as_json=as_json), is_bot=is_bot))


def run_before_settings(work: Callable[[Terminal], int], *, as_json: bool = False) -> NoReturn:
    """Run a command that examines the settings themselves, which may be invalid, and exit with its code."""
    terminal = Terminal(as_json=as_json)
    try:
        code = work(terminal)
    except RoasError as error:
        code = _print_and_return(error, terminal)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise SystemExit(code)


def _run(work: Work, terminal: Terminal, *, is_bot: bool) -> int:
    session: Session | None = None
    redactor = Redactor()
    stop_hiding = hide_everywhere(redactor)
    try:
        session = _open_session(terminal, redactor, is_bot=is_bot)
        return asyncio.run(_work(work, session))
    except KeyboardInterrupt:
        terminal.say("Interrupted.", on_err=True)
        return ExitCode.INTERRUPTED
    except Exception as error:
        fault = fault_of(error)
        if isinstance(fault, InternalFaultError) and fault is not error:
            if session is not None and is_debugging(session.settings):
                raise
            get_logger(__name__).error("command broke", exc_info=error)
            hint = "Try again with LOG_LEVEL=DEBUG to see where, and report it."
            fault = InternalFaultError(fault.message, hint=hint)
        return _print_and_return(fault, terminal)
    finally:
        stop_hiding()


async def _work(work: Work, session: Session) -> int:
    return await work(session)


def _open_session(terminal: Terminal, redactor: Redactor, *, is_bot: bool) -> Session:
    settings = load_settings(needs_discord=is_bot)
    session = Session(settings, terminal, current_user())
    if not is_bot:
        become_owner(settings)
        redactor.add(settings.secrets)
        configure_log(settings, redactor)
    return session


def _print_and_return(error: RoasError, terminal: Terminal) -> int:
    print_error(terminal, to_document(error))
    return code_of_fault(error.key)
