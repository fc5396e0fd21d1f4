"""Run the Compose CLI: with a scrubbed environment, a deadline, and no child left behind."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from roas.engine.client import engine_address
from roas.engine.compose.faults import compose_fault
from roas.errors import EngineError, EngineUnavailableError
from roas.models.environment import Environment

# This variable in a process's environment names the process of ours that started it.
INSTANCE_VARIABLE = "ROAS_INSTANCE"
INHERITED_VARIABLES = ("PATH", "HOME", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
# Compose takes what an env file sets into its own environment, unless the name is taken there already.
PINNED = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
# A path below which nothing exists or can be created.
NO_PROGRAMS = os.devnull
CONFIG_SECONDS = 30.0
LEAVE_SECONDS = 2.0
LINE_LIMIT = 1 << 20

LineReport = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ComposeOutput:
    """Hold the output of a Compose command."""

    stdout: str
    stderr: str


class ComposeRunner:
    """Run Compose commands for one of our processes, which the marker in the children's environment names."""

    def __init__(self, instance_id: str, redact: Callable[[str], str] = str) -> None:
        self._instance_id = instance_id
        self._redact = redact
        self._command: tuple[str, ...] | None = None

    async def run(
        self,
        arguments: Sequence[str],
        environment: Environment,
        *,
        variables: Mapping[str, str] | None = None,
        timeout_seconds: float = CONFIG_SECONDS,
        service: str | None = None,
        on_line: LineReport | None = None,
        starts_programs: bool = True,
    ) -> ComposeOutput:
        """Run a command to its end; `on_line` is called with each line.

        Without `starts_programs` Compose finds no program that it could start: no git, no ssh, no plugin.
        Raises the fault that its stderr names; EngineUnavailableError where it does not end in time.
        """
        scrubbed = self._scrubbed(environment, variables or {})
        if not starts_programs:
            scrubbed["PATH"] = NO_PROGRAMS
        process = await self._start(arguments, environment, scrubbed)
        try:
            async with asyncio.timeout(timeout_seconds):
                stdout, stderr = await asyncio.gather(_read(process.stdout, on_line), _read(process.stderr, on_line))
                code = await process.wait()
        except TimeoutError as error:
            raise EngineUnavailableError(
                f"Compose did not end within {timeout_seconds:g} s.",
                hint="The engine may be stalled or very busy: look at `docker ps` and the load of its machine.",
                service=service,
            ) from error
        finally:
            await _end(process)
        if code != 0:
            files = ", ".join(path.name for path in environment.compose_files)
            raise compose_fault(stderr or stdout, files=files, service=service).hide(self._redact)
        return ComposeOutput(stdout, stderr)

    def run_in_foreground(self, arguments: Sequence[str], environment: Environment) -> tuple[list[str], dict[str, str]]:
        """Return what to run, and in which environment, for a command that is given the terminal.

        Raises EngineError where there is no Compose.
        """
        return [*_compose_command(), *arguments], self._scrubbed(environment, {})

    async def _start(
        self, arguments: Sequence[str], environment: Environment, variables: Mapping[str, str]
    ) -> asyncio.subprocess.Process:
        command = self._find()
        folder = environment.folder if environment.folder.is_dir() else Path("/")
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                *arguments,
                env=variables,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(
                f"Compose cannot be started: {error}", hint="Install the Docker Compose plugin."
            ) from error

    def _find(self) -> tuple[str, ...]:
        """Find the binary once; called by itself it saves a third of the time that `docker compose` takes."""
        if self._command is None:
            self._command = (*_die_with_parent(), *_compose_command())
        return self._command

    def _scrubbed(self, environment: Environment, variables: Mapping[str, str]) -> dict[str, str]:
        """Leave out everything of our own that could reach a stack or steer Compose."""
        own = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        own.setdefault("HOME", "/")
        own["DOCKER_HOST"] = engine_address(environment)
        own[INSTANCE_VARIABLE] = self._instance_id
        return {**variables, **own, **PINNED}


def _compose_command() -> tuple[str, ...]:
    plugins = (
        Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker")) / "cli-plugins",
        Path("/usr/local/lib/docker/cli-plugins"),
        Path("/usr/local/libexec/docker/cli-plugins"),
        Path("/usr/lib/docker/cli-plugins"),
        Path("/usr/libexec/docker/cli-plugins"),
    )
    for folder in plugins:
        path = folder / "docker-compose"
        if os.access(path, os.X_OK) and path.is_file():
            return (str(path),)
    if docker := shutil.which("docker"):
        return (docker, "compose")
    if standalone := shutil.which("docker-compose"):
        return (standalone,)
    raise EngineError(
        "There is no Docker Compose here.", hint="Install the Compose plugin: https://docs.docker.com/compose/install/."
    )


def _die_with_parent() -> tuple[str, ...]:
    """Have the kernel kill the child when this process is killed, so that it does not start the next service."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


async def _read(stream: asyncio.StreamReader | None, on_line: LineReport | None = None) -> str:
    if stream is None:
        return ""
    if on_line is None:
        return (await stream.read()).decode(errors="replace")
    lines: list[str] = []
    while raw := await stream.readline():
        lines.append(raw.decode(errors="replace"))
        await on_line(lines[-1].rstrip())
    return "".join(lines)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command that still runs: asked first, so that it can tidy up, then by force."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await process.wait()
    finally:
        if process.returncode is None:
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
