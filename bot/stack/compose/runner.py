"""Run the Compose CLI: with a scrubbed environment, a deadline, and no child left behind.

Where it reads what a stack's author wrote it is confined (`jail.py`), and reads a copy.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from roas.concurrency import in_thread, run_concurrently
from roas.errors import EngineError, not_installed
from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.compose.faults import compose_fault, resolution_fault, too_much
from roas.stack.compose.jail import CPU_SECONDS, MEMORY_BYTES, confined, has_landlock
from roas.stack.compose.jail_container import ContainerJail, JailedOutput
from roas.stack.compose.processes import (
    MODEL_BYTES,
    ComposeOutput,
    LineReport,
    deadline,
    end_process,
    read_bounded,
    read_output,
    start_process,
)
from roas.stack.docker.api_errors import find_passing_fault
from roas.stack.docker.engine import EngineClients, engine_address
from roas.stack.docker.sdk import LOCAL_SCHEMES, EngineClient, path_of
from roas.stack.sources.snapshot import SourceSnapshot

# This variable in a process's environment names the process of ours that started it.
INSTANCE_VARIABLE = "ROAS_INSTANCE"
INHERITED_VARIABLES = ("PATH", "HOME", "DOCKER_CONFIG")
# With these, Docker's programs speak TLS on a socket of this machine, too, where no engine does.
TLS_VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
NO_ENGINE = "/dev/null"
# Compose takes what an env file sets into its own environment, unless the name is taken there already.
PINNED = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}
CGROUPS = Path("/proc/self/cgroup")
CONFIG_SECONDS = 30.0
VERSION_SECONDS = 8.0
# In which words a Go program says that it got no more memory, or no more threads, which need some.
RAN_OUT = ("out of memory", "cannot allocate memory", "pthread_create failed", "new OS thread", "SIGABRT: abort")


class ComposeRunner:
    """Run Compose commands for one of our processes, which the marker in the children's environment names."""

    # By the mark of what is installed: the same for every runner of this process.
    _versions: ClassVar[dict[tuple[str, ...], str]] = {}

    def __init__(
        self, instance_id: str, redact: Callable[[str], str] = str, clients: EngineClients | None = None
    ) -> None:
        self._clients = clients
        self._instance_id = instance_id
        self._redact = redact
        self._command: tuple[str, ...] | None = None
        self._asking = asyncio.Lock()

    async def run(
        self,
        arguments: Sequence[str],
        environment: Environment,
        *,
        variables: Mapping[str, str] | None = None,
        timeout_seconds: float = CONFIG_SECONDS,
        service: str | None = None,
        on_line: LineReport | None = None,
        engine_socket: str | None = None,
    ) -> ComposeOutput:
        """Run a command to its end; `on_line` is called with each line. It may reach the engine by a socket of ours.

        Raises the fault that its stderr names; EngineUnavailableError where it does not end in time, or where the
        engine's host is not reached.
        """
        folder = environment.folder if environment.folder.is_dir() else Path("/")
        address = await self._reached(environment) if engine_socket is None else f"unix://{engine_socket}"
        scrubbed = self._scrubbed(address, variables or {})
        process = await start_process((*self._find(), *arguments), scrubbed, folder)
        try:
            async with deadline(timeout_seconds, service):
                stdout, stderr = await asyncio.gather(
                    read_output(process.stdout, on_line), read_output(process.stderr, on_line)
                )
                code = await process.wait()
        finally:
            await end_process(process)
        if code != 0:
            text = _as_known(stderr or stdout, address, self._known_address(environment))
            raise compose_fault(text, files=_names(environment), service=service, redact=self._redact)
        return ComposeOutput(stdout, stderr)

    async def run_jailed(
        self,
        arguments: Sequence[str],
        environment: Environment,
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
    ) -> ComposeOutput:
        """Run a command that sees a snapshot and no other file, no network, no engine and no program.

        Raises the fault that its stderr names, with the real paths in it; ComposeFileError where it would take too
        much; EngineUnavailableError where it does not end in time; EngineError where nothing here can confine it.
        """
        scrubbed = snapshot.variables(_interpolated(environment, variables))
        folder = snapshot.mapping.to_copy(environment.folder)
        folder.mkdir(parents=True, exist_ok=True)
        command = (str(compose_binary()), *arguments)
        refused = forks_refused()
        if has_landlock():
            stdout, stderr, code = await self._run_confined(command, snapshot, scrubbed, folder)
        else:
            stdout, stderr, code = await self._run_in_container(command, environment, snapshot, scrubbed, folder)
        stderr = snapshot.mapping.text_back(stderr)
        if forks_refused() > refused and (short := find_passing_fault(stderr)) is not None:
            raise short
        if has_run_out(code, stderr):
            raise too_much(
                said(
                    "more than {mebibytes} MiB of memory or {seconds} s of a processor",
                    mebibytes=MEMORY_BYTES >> 20,
                    seconds=CPU_SECONDS,
                )
            )
        if code != 0:
            text = stderr or snapshot.mapping.text_back(stdout)
            raise resolution_fault(text, files=_names(environment), redact=self._redact)
        return ComposeOutput(stdout, stderr)

    async def run_without_engine(
        self, arguments: Sequence[str], environment: Environment, *, timeout_seconds: float = CONFIG_SECONDS
    ) -> ComposeOutput:
        """Run a command that asks no engine, so that it works while that is away. Raises as `run` does."""
        return await self.run(arguments, environment, timeout_seconds=timeout_seconds, engine_socket=NO_ENGINE)

    async def version(self, environment: Environment, *, timeout_seconds: float = VERSION_SECONDS) -> str:
        """Return the version of Compose, asked once for each that is installed. Raises as `run` does."""
        mark = await in_thread(self.installed)
        async with self._asking:
            if mark not in self._versions:
                asked = ("version", "--short")
                output = await self.run_without_engine(asked, environment, timeout_seconds=timeout_seconds)
                self._versions[mark] = output.stdout.strip()
            return self._versions[mark]

    def installed(self) -> tuple[str, ...]:
        """Return what changes when another Compose is installed; empty where there is none."""
        program = find_plugin() or shutil.which("docker-compose") or shutil.which("docker")
        return mark(Path(program)) if program else ()

    def jailed_inputs(
        self, environment: Environment, snapshot: SourceSnapshot, variables: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Name all that reaches a jailed command besides its arguments: with the same, its output is the same.

        Raises EngineError where there is no Compose.
        """
        seen = sorted(f"{name}={value}" for name, value in _interpolated(environment, variables).items())
        return snapshot.digest(), str(environment.folder), *seen, *mark(compose_binary())

    async def _run_confined(
        self,
        command: tuple[str, ...],
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
        folder: Path,
    ) -> tuple[str, str, int]:
        jailed = confined(command[:1], snapshot.scratch)
        process = await start_process((*jailed, *command[1:]), variables, folder)
        try:
            async with deadline(CONFIG_SECONDS):
                stdout, stderr = await run_concurrently(map(read_bounded, (process.stdout, process.stderr)))
                code = await process.wait()
        finally:
            await end_process(process)
        return stdout, stderr, code

    async def _run_in_container(
        self,
        command: tuple[str, ...],
        environment: Environment,
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
        folder: Path,
    ) -> tuple[str, str, int]:
        if self._clients is None:
            raise EngineError(said("Compose cannot be confined here: it needs Landlock (Linux 5.13 or newer)."))
        engine = self._clients.of(environment)
        jails: list[ContainerJail] = []

        def run(client: EngineClient) -> JailedOutput | None:
            jails.append(ContainerJail(client))
            return jails[0].run(command, snapshot.scratch, variables, folder, MODEL_BYTES)

        try:
            async with deadline(CONFIG_SECONDS):
                done = await engine.call(run)
        except BaseException:
            if jails:
                with suppress(EngineError):  # why it has to end is what is told
                    await engine.act(lambda _client: jails[0].stop())
            raise
        if done is None:
            raise too_much(said("a model of more than {mebibytes} MiB", mebibytes=MODEL_BYTES >> 20))
        return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.code

    def run_in_foreground(self, arguments: Sequence[str], address: str) -> tuple[list[str], dict[str, str]]:
        """Return what to run, and in which environment, for a command that is given the terminal.

        The engine is reached at an address of this machine's. Raises EngineError where there is no Compose.
        """
        return [*compose_command(), *arguments], self._scrubbed(address, {})

    def _find(self) -> tuple[str, ...]:
        """Find the binary once; called by itself it saves a third of the time that `docker compose` takes."""
        if self._command is None:
            self._command = (*die_with_parent(), *compose_command())
        return self._command

    async def _reached(self, environment: Environment) -> str:
        """Return where this machine reaches the engine. Raises EngineUnavailableError."""
        return engine_address(environment) if self._clients is None else await self._clients.of(environment).reached()

    def _known_address(self, environment: Environment) -> str:
        """Return the address that people know of the engine that answers."""
        return engine_address(environment) if self._clients is None else self._clients.of(environment).address

    def _scrubbed(self, address: str, variables: Mapping[str, str]) -> dict[str, str]:
        """Leave out everything of our own that could reach a stack or steer Compose."""
        inherited = INHERITED_VARIABLES if address.startswith(LOCAL_SCHEMES) else (*INHERITED_VARIABLES, *TLS_VARIABLES)
        own = {name: os.environ[name] for name in inherited if name in os.environ}
        own.setdefault("HOME", "/")
        own["DOCKER_HOST"] = address
        own[INSTANCE_VARIABLE] = self._instance_id
        return {**variables, **own, **PINNED}


def _interpolated(environment: Environment, variables: Mapping[str, str]) -> dict[str, str]:
    """Return all that Compose has of a process's environment where it reads a stack's files, which may name it.

    It is what the environment gives them, and the folder, as in the shell of whoever types Compose there.
    """
    return {**variables, "PWD": str(environment.folder), **PINNED}


def _names(environment: Environment) -> str:
    return ", ".join(path.name for path in environment.compose_files)


def _as_known(text: str, used: str, address: str) -> str:
    """Name the engine by the address that people know, where Compose was given a socket of ours."""
    if used == address:
        return text
    ours, theirs = path_of(used), path_of(address) if address.startswith(LOCAL_SCHEMES) else address
    return text.replace(used, address).replace(ours, theirs).replace(quote(ours, safe=""), quote(theirs, safe=""))


def has_run_out(code: int, said: str) -> bool:
    """Return whether a jailed command ended since it may take no more: by a signal, or with Go's own words."""
    return code < 0 or (code != 0 and any(words in said for words in RAN_OUT))


def forks_refused() -> int:
    """Return how often the limit on processes of this process's control group has refused one; 0 where none tells."""
    with suppress(OSError, ValueError):
        for line in CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            root = Path("/sys/fs/cgroup", "pids" if controllers else "")
            if controllers in {"", "pids"}:
                for events in (root / path.lstrip("/") / "pids.events", root / "pids.events"):
                    if events.is_file():
                        return int(events.read_text().split()[1])
    return 0


def compose_command() -> tuple[str, ...]:
    """Return how Compose is called, by itself where that can be. Raises EngineError where there is none."""
    if plugin := find_plugin():
        return (str(plugin),)
    if docker := shutil.which("docker"):
        return (docker, "compose")
    return (str(compose_binary()),)


def compose_binary() -> Path:
    """Find Compose itself: what is confined starts no other program. Raises EngineError."""
    if plugin := find_plugin():
        return plugin
    if standalone := shutil.which("docker-compose"):
        return Path(standalone)
    raise EngineError(
        not_installed("Docker Compose"),
        hint=said("Install the Compose plugin: https://docs.docker.com/compose/install/."),
    )


def mark(program: Path) -> tuple[str, ...]:
    """Return what changes with a program that is replaced; whoever could forge that could run any other, too."""
    status = program.stat()
    return str(program), *map(
        str, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )


def find_plugin() -> Path | None:
    """Return the Compose plugin of the Docker CLI, or None."""
    plugins = (
        Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker")) / "cli-plugins",
        Path("/usr/local/lib/docker/cli-plugins"),
        Path("/usr/local/libexec/docker/cli-plugins"),
        Path("/usr/lib/docker/cli-plugins"),
        Path("/usr/libexec/docker/cli-plugins"),
    )
    paths = (folder / "docker-compose" for folder in plugins)
    return next((path for path in paths if os.access(path, os.X_OK) and path.is_file()), None)


def die_with_parent() -> tuple[str, ...]:
    """Have the kernel kill the child when this process is killed, so that it does not start the next service."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
