"""Confine Compose while it reads what a stack's author wrote.

It sees the copy of the stack's files and the libraries that it is linked with, nothing else: Landlock keeps it from
every other file, a seccomp filter from sockets (the engine's too), io_uring and the memory of other processes, and the
limits of the process from taking the machine's memory and time. Where the kernel has no Landlock, a container takes
their place (`jail_container.py`).
"""

import ctypes
import platform
import struct
import sys
from functools import cache
from pathlib import Path

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 20
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
LOADERS = "lib*/ld-*.so*"
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


@cache
def has_landlock() -> bool:
    """Return whether the kernel has Landlock, and lets this process use it; asked once for each process."""
    if platform.machine() not in ARCHITECTURES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(
        ctypes.c_long(SYS_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(LANDLOCK_VERSION)
    )
    return version >= 1


def confined(command: tuple[str, ...], scratch: Path) -> tuple[str, ...]:
    """Return what to run for a command that may read a folder and nothing else."""
    (scratch / FILTER).write_bytes(seccomp_filter())
    allowed = [f"r{path}" for path in (scratch, *filter(Path.exists, map(Path, LIBRARIES)))]
    allowed += [f"x{path}" for path in (command[0], *Path("/").glob(LOADERS))]
    limits = (str(MEMORY_BYTES), str(CPU_SECONDS))
    return (sys.executable, "-I", "-S", str(HELPER), str(scratch / FILTER), *limits, *allowed, "--", *command)


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
