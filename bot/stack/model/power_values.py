"""Say which values of a service's keys are powers: each that is not known to be harmless."""

from collections.abc import Iterable, Iterator

from roas.stack.model.services import as_mapping

HARMLESS_SECURITY_OPTIONS = frozenset({"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
# These are of the host, of another project, or of the bot.
OF_OTHERS = frozenset({"host", "container"})
# The kernel keeps these apart for each container.
OWN_SYSCTLS = ("net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "kernel.domainname")
# With the others, `nice`, `rtprio` and `rttime`, a process can take the processors away from everybody else.
OWN_LIMITS = frozenset(
    {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nofile", "nproc", "rss", "sigpending", "stack"}
)


def security_opt(options: Iterable[object] | None) -> Iterator[str]:
    """Return the options that are powers."""
    yield from (text for text in map(str, options or ()) if text not in HARMLESS_SECURITY_OPTIONS)


def namespace(mode: object) -> Iterator[str]:
    """Return whose namespace it is, where that is not the stack's own."""
    if (text := str(mode or "")).partition(":")[0] in OF_OTHERS:
        yield text


def isolation(kind: object) -> Iterator[str]:
    """Return a kind of isolation that is not the usual one."""
    if kind not in (None, "", "default"):
        yield str(kind)


def sysctls(settings: object) -> Iterator[str]:
    """Return the settings of the kernel that concern more than the container."""
    yield from (name for name in sorted(map(str, as_mapping(settings))) if not name.startswith(OWN_SYSCTLS))


def ulimits(limits: object) -> Iterator[str]:
    """Return the limits that concern more than the processes of the container."""
    yield from sorted(set(map(str, as_mapping(limits))) - OWN_LIMITS)


def storage_opt(options: object) -> Iterator[str]:
    """Return the options of storage that are more than a size."""
    yield from sorted(set(map(str, as_mapping(options))) - {"size"})
