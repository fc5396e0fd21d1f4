"""Start the processes of Compose, read what they print, and end them: none is left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from roas.concurrency import run_concurrently
from roas.errors import EngineError, EngineUnavailableError, RoasError
from roas.messages.message import said
from roas.shortages import find_shortage
from roas.stack.compose.faults import too_much

LEAVE_SECONDS = 2.0
# A model that is larger is no stack's: a few lines of aliases may stand for any number.
MODEL_BYTES = 8 << 20
LINE_LIMIT = 1 << 20
SIGNAL_CODE = 128  # to which a shell adds the number of the signal that ended a program

LineReport = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ComposeOutput:
    """Hold the output of a Compose command."""

    stdout: str
    stderr: str


async def start_process(
    command: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    *,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> asyncio.subprocess.Process:
    """Start a command in a session of its own, by default with nothing to read. Raises EngineError."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env=variables,
            cwd=folder,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,
        )
    except (OSError, RuntimeError) as error:
        raise _not_started(error) from error


async def run_attached(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> int:
    """Run a command with this process's terminal, and return its exit code as a shell would. Raises EngineError.

    A terminal sends its signals to the command, too, which decides; others are passed on.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, lambda: None)
    try:
        child = await asyncio.create_subprocess_exec(*command, env=variables, cwd=folder)
    except (OSError, RuntimeError) as error:
        raise _not_started(error) from error
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, child.send_signal, number)
    code = await child.wait()
    return code if code >= 0 else SIGNAL_CODE - code


def _not_started(error: Exception) -> RoasError:
    if (short := find_shortage(error)) is not None:
        return short
    return EngineError(
        said("Compose cannot be started: {error}", error=error),
        hint=said("Install the Compose plugin: https://docs.docker.com/compose/install/."),
    )


async def read_output(stream: asyncio.StreamReader | None, on_line: LineReport | None = None) -> str:
    """Read to the end; `on_line` is called with each line."""
    if stream is None:
        return ""
    if on_line is None:
        return (await stream.read()).decode(errors="replace")
    lines: list[str] = []
    while raw := await _line(stream):
        lines.append(raw.decode(errors="replace"))
        await on_line(lines[-1].rstrip())
    return "".join(lines)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, or nothing at the end; what is longer than LINE_LIMIT is left out."""
    while True:
        with suppress(ValueError):
            return await stream.readline()


async def read_bounded(stream: asyncio.StreamReader | None) -> str:
    """Read to the end. Raises ComposeFileError where that is too far away."""
    larger = too_much(said("a model of more than {mebibytes} MiB", mebibytes=MODEL_BYTES >> 20))
    return (await read_at_most(stream, MODEL_BYTES, larger)).decode(errors="replace")


async def read_at_most(stream: asyncio.StreamReader | None, most_bytes: int, larger: RoasError) -> bytes:
    """Read to the end. Raises `larger` where that is too far away."""
    read = bytearray()
    while stream is not None and (part := await stream.read(LINE_LIMIT)):
        read += part
        if len(read) > most_bytes:
            raise larger
    return bytes(read)


async def exchange(
    process: asyncio.subprocess.Process, given: bytes, most_bytes: int, larger: RoasError
) -> tuple[bytes, bytes]:
    """Give a command what it reads, and return what it prints, until it ended. Raises `larger` where that is more."""

    async def feed() -> bytes:
        if process.stdin is not None:
            with suppress(ConnectionError):  # it reads no more
                process.stdin.write(given)
                await process.stdin.drain()
            process.stdin.close()
        return b""

    streams = (process.stdout, process.stderr)
    reads = (read_at_most(stream, most_bytes, larger) for stream in streams)
    _none, output, errors = await run_concurrently((feed(), *reads))
    await process.wait()
    return output, errors


@asynccontextmanager
async def deadline(seconds: float, service: str | None = None) -> AsyncIterator[None]:
    """Limit how long Compose may take. Raises EngineUnavailableError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise EngineUnavailableError(
            said("{doing} did not end within {seconds} s.", doing="Compose", seconds=f"{seconds:g}"),
            hint=said("The engine may be stalled or very busy: look at `docker ps` and the load of its machine."),
            service=service,
        ) from error


async def end_process(process: asyncio.subprocess.Process) -> None:
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
            await process.communicate()  # it counts as ended only when all that it wrote is read


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
