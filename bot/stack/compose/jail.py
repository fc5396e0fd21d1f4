"""Confine Compose while it reads what a stack's author wrote.

It sees the copy of the stack's files and the libraries that it is linked with, nothing else: Landlock keeps it from
every other file, a seccomp filter from sockets (the engine's too), io_uring and the memory of other processes, and the
limits of the process from taking the machine's memory and time. Where the kernel has no Landlock, a container takes
their place (`jail_container.py`).
"""

import ctypes
import platform
import shutil
import struct
import subprocess
import sys
from enum import StrEnum
from functools import cache
from pathlib import Path

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 20
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
LOADERS = "lib*/ld-*.so*"
NULL = "/dev/null"
HELPER = Path(__file__).with_name("jail_exec.py")
FILTER = "seccomp"
SYS_LANDLOCK_CREATE_RULESET = 444
LANDLOCK_VERSION = 1

# A filter's instructions and answers, as the kernel defines them.
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1
NUMBER_AT, ARCHITECTURE_AT = 0, 4
# Numbers from here on are those of another ABI of the same processor.
X32 = 0x40000000
# The same on every architecture: io_uring, and other processes by descriptor.
COMMON = (424, 425, 426, 427, 438)
# socket, socketpair, ptrace, process_vm_readv, process_vm_writev, kill, and the architecture's own name.
GENERIC = (198, 199, 117, 270, 271, 129)
ARCHITECTURES = {
    "x86_64": (0xC000003E, (41, 53, 101, 310, 311, 62)),
    "aarch64": (0xC00000B7, GENERIC),
    "riscv64": (0xC00000F3, GENERIC),
}


class JailKind(StrEnum):
    """How Compose is confined on this machine."""

    SETPRIV = "setpriv"
    HELPER = "helper"
    CONTAINER = "container"


@cache
def jail_kind() -> JailKind:
    """Find out what this machine offers; asked once for each process."""
    if platform.machine() not in ARCHITECTURES or not has_landlock():
        return JailKind.CONTAINER
    return JailKind.SETPRIV if _setpriv_confines() else JailKind.HELPER


def has_landlock() -> bool:
    """Return whether the kernel has Landlock, and lets this process use it."""
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(
        ctypes.c_long(SYS_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(LANDLOCK_VERSION)
    )
    return version >= 1


def confined(command: tuple[str, ...], scratch: Path, kind: JailKind) -> tuple[str, ...]:
    """Return what to run for a command that may read a folder and nothing else."""
    (scratch / FILTER).write_bytes(seccomp_filter())
    readable = [str(scratch), *filter(_exists, LIBRARIES)]
    executable = [command[0], *map(str, Path("/").glob(LOADERS))]
    build = _by_setpriv if kind is JailKind.SETPRIV else _by_helper
    return (*build(scratch / FILTER, readable, executable), *command)


def seccomp_filter(machine: str | None = None) -> bytes:
    """Return a filter, as the kernel runs it, that refuses sockets, io_uring and other processes."""
    architecture, numbers = ARCHITECTURES[machine or platform.machine()]
    refused = (*numbers, *COMMON)
    program = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_IF_AT_LEAST, len(refused) + 1, 0, X32),
        *((JUMP_IF_EQUAL, len(refused) - index, 0, number) for index, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _by_setpriv(filter_file: Path, readable: list[str], executable: list[str]) -> list[str]:
    rules = [f"read-file,read-dir:{path}" if Path(path).is_dir() else f"read-file:{path}" for path in readable]
    rules += [f"read-file,execute:{path}" for path in executable]
    rules += [f"read-file,write-file:{NULL}"]
    limits = [f"--data={MEMORY_BYTES}", f"--cpu={CPU_SECONDS}", "--fsize=0", "--core=0"]
    options = [option for rule in rules for option in ("--landlock-rule", f"path-beneath:{rule}")]
    prlimit, setpriv = _programs()
    return [
        *(prlimit, *limits, setpriv, "--pdeathsig", "KILL", "--no-new-privs"),
        *("--landlock-access", "fs", *options, "--seccomp-filter", str(filter_file), "--"),
    ]


def _by_helper(filter_file: Path, readable: list[str], executable: list[str]) -> list[str]:
    rules = [option for path in readable for option in ("--read", path)]
    rules += [option for path in executable for option in ("--execute", path)]
    limits = ["--data", str(MEMORY_BYTES), "--cpu", str(CPU_SECONDS)]
    return [sys.executable, "-I", "-S", str(HELPER), *limits, "--filter", str(filter_file), *rules, "--"]


def _setpriv_confines() -> bool:
    prlimit, setpriv = _programs()
    if not prlimit or not setpriv:
        return False
    offered = subprocess.run((setpriv, "--help"), capture_output=True, text=True, check=False).stdout
    return "--landlock-rule" in offered and "--seccomp-filter" in offered


def _programs() -> tuple[str, str]:
    """Find what confines: what is confined has no PATH."""
    return shutil.which("prlimit") or "", shutil.which("setpriv") or ""


def _exists(path: str) -> bool:
    return Path(path).exists()
