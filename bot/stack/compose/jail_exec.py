"""Become a command that is confined: `jail.py` says how, by the arguments before the command.

Started between the bot and Compose, by itself: it imports nothing of the bot, so that it costs little.
"""

import ctypes
import os
import resource
import signal
import stat
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 38, 22
SECCOMP_MODE_FILTER = 2
SYS_CREATE_RULESET, SYS_ADD_RULE, SYS_RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
# How many rights each version of Landlock knows of files: a right that a version does not know cannot be refused.
RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
INSTRUCTION_BYTES = 8
NULL = "/dev/null"

libc = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    """Say what is refused unless a rule allows it."""

    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class PathBeneath(ctypes.Structure):
    """Allow something of a file, or of all that is in a folder."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class Program(ctypes.Structure):
    """Point to a filter."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def main() -> None:
    """Take the limits on, then run the command that comes after them."""
    end = sys.argv.index("--")
    (filter_file, data, cpu, *allowed), command = sys.argv[1:end], sys.argv[end + 1 :]
    program = read(filter_file)
    limit(int(data), int(cpu))
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    restrict_files(allowed)
    buffer = ctypes.create_string_buffer(program, len(program))
    filtered = Program(len(program) // INSTRUCTION_BYTES, ctypes.cast(buffer, ctypes.c_void_p))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filtered), 0, 0))
    os.execv(command[0], command)  # noqa: S606 - the bot names it


def limit(data: int, cpu: int) -> None:
    """Bound memory and time; nothing may be written to a file."""
    for kind, most in (
        (resource.RLIMIT_DATA, data),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def read(path: str) -> bytes:
    """Return what a file holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return os.read(descriptor, os.fstat(descriptor).st_size)


def restrict_files(allowed: list[str]) -> None:
    """Refuse every file but these: `r` is before the path of what may be read, `x` of what may be executed, too."""
    version = check(libc.syscall(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), 1))
    handled = (1 << RIGHTS_BY_VERSION.get(version, max(RIGHTS_BY_VERSION.values()))) - 1
    ruleset = Ruleset(handled)
    rules = check(libc.syscall(SYS_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0))
    for rule in allowed:
        allow(rules, rule[1:], READ_FILE | (EXECUTE if rule[0] == "x" else READ_DIR))
    allow(rules, NULL, READ_FILE | WRITE_FILE)
    check(libc.syscall(SYS_RESTRICT_SELF, rules, 0))
    os.close(rules)


def allow(rules: int, path: str, access: int) -> None:
    """Allow something of a path."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rights = access if stat.S_ISDIR(os.fstat(descriptor).st_mode) else access & ~READ_DIR
    rule = PathBeneath(rights, descriptor)
    check(libc.syscall(SYS_ADD_RULE, rules, RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    os.close(descriptor)


def check(answer: int) -> int:
    """Return what the kernel answered, or end: nothing runs that is not confined."""
    if answer < 0:
        number = ctypes.get_errno()
        sys.exit(f"jail: {os.strerror(number)}")
    return answer


if __name__ == "__main__":
    main()
