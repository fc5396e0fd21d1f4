"""Start Python programs from a process that has loaded `roas` already: loading is most of what a command costs.

`PreloadedPopen` is a `subprocess.Popen` for `python -m MODULE …`. What it starts is a process of its own, a child of
the caller with the environment, folder and files that were asked for; only its modules were loaded before it began. So
whoever tests what is loaded, or how Python itself is started, takes `subprocess.Popen`.
"""

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from testbed.inherited import inherited

ROOT = Path(__file__).resolve().parents[1]
# Its modules are the commands, the bot among them; they load what they need.
LOADED = "roas.cli"
MOST_BYTES = 1 << 20
PR_SET_CHILD_SUBREAPER = 36
# Python reads these before it runs any program.
READ_AT_START = "PYTHON"


class PreloadedPopen(subprocess.Popen[Any]):
    """Run `python -m MODULE …`; `args` begins with the module."""

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:
        """Let the loaded process fork, where Popen would fork and begin again."""
        cwd, env = rest[4], rest[5]
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = rest[9:15]
        files = [p2cread if p2cread != -1 else 0, c2pwrite if c2pwrite != -1 else 1, errwrite if errwrite != -1 else 2]
        try:
            request = {"args": list(args), "cwd": os.fspath(cwd or Path.cwd()), "env": dict(env or os.environ)}
            self.pid = _loaded_process().fork(request, files)
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def start_preloaded(*args: str, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python -m` what `args` begins with; what it says is read by pipes."""
    return PreloadedPopen(
        args,
        cwd=cwd,
        env=env,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_preloaded(*args: str, cwd: Path, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `python -m` what `args` begins with, as `subprocess.run` would; raises TimeoutExpired."""
    with start_preloaded(*args, cwd=cwd, env=env) as child:
        try:
            out, err = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(args, child.returncode, out, err)


def can_be_preloaded(environment: Mapping[str, str]) -> bool:
    """Tell whether a program begins the same with its modules loaded: not where Python is told how to start."""
    return not any(name.startswith(READ_AT_START) and name != "PYTHONPATH" for name in environment)


class _LoadedProcess:
    """Hold the process that has loaded everything, and ask it to fork."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        with its:
            command = [sys.executable, "-m", "testbed.preloaded", str(its.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**inherited(), "PYTHONPATH": str(ROOT)}, pass_fds=[its.fileno()]
            )
        self._socket = ours
        self._asking = threading.Lock()
        atexit.register(self._end)

    def fork(self, request: Mapping[str, object], files: Sequence[int]) -> int:
        """Return the process id of a new child of this process."""
        with self._asking, _adopting():
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
            answer = self._socket.recv(32)
        if not answer:
            raise RuntimeError(f"the loaded process has ended with {self._process.wait()}")
        return int(answer)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def _loaded_process() -> _LoadedProcess:
    return _LoadedProcess()


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what loses its own parent meanwhile."""
    _adopt(wanted=True)
    try:
        yield
    finally:
        _adopt(wanted=False)


def _adopt(*, wanted: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns, in the new process alone, what was requested."""
    while True:
        message, files, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
        if not message:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            own = os.getpid()
            child = os.fork()
            if child == 0:
                while os.getppid() == own:  # the kernel tells of no adoption
                    time.sleep(0.001)
                return {**json.loads(message), "files": files}
            os.write(writing, str(child).encode())
            os._exit(0)  # by which the caller becomes the parent
        os.waitpid(between, 0)
        connection.sendall(os.read(reading, 32))
        for number in (*files, reading, writing):
            os.close(number)


def become(request: Mapping[str, Any]) -> None:
    """Be the program that was requested; ends as it ends."""
    for standard, number in enumerate(request["files"]):
        os.dup2(number, standard)
    os.closerange(3, 256)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        before = getattr(sys, name)
        buffering = 1 if name == "stderr" or os.isatty(number) else -1
        made = open(  # noqa: SIM115 - a descriptor, for as long as the program runs
            number, mode, buffering, encoding=before.encoding, errors=before.errors, closefd=False
        )
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    module, *arguments = request["args"]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        if isinstance(ending.code, str):  # Python says it, and ends with 1
            raise
        end(int(ending.code or 0))
    end(0)


def end(code: int) -> NoReturn:
    """End as Python does, but for taking apart all that was loaded: that copies each page of the loaded process."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more: Python says so, and how it ends
            sys.exit(code)
        except ValueError:  # the program has closed it
            continue
    os._exit(code)


def build_adapters() -> None:
    """Build what reads and writes the journal's documents: each command builds half of it when it first needs it."""
    from roas.models.deployment import Deployment, Lock, PhaseResult, ServiceProgress
    from roas.models.leader_lease import Heartbeat
    from roas.models.release import Release
    from roas.models.state_change import StateChange
    from roas.state.documents import _adapter

    for model in (StateChange, Deployment, Lock, PhaseResult, ServiceProgress, Heartbeat, Release):
        _adapter(model)


def main() -> None:
    """Load everything, fork when asked, and be what was asked for."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the tests ends this by the socket
    connection = socket.socket(fileno=int(sys.argv[1]))
    threshold = gc.get_threshold()
    gc.disable()
    for module in pkgutil.iter_modules(importlib.import_module(LOADED).__path__, f"{LOADED}."):
        importlib.import_module(module.name)
    build_adapters()
    gc.collect()
    gc.freeze()
    request = serve(connection)
    gc.enable()
    gc.set_threshold(*threshold)
    signal.signal(signal.SIGINT, interrupted)
    connection.close()
    become(request)


if __name__ == "__main__":
    main()
