"""Judge the values of a service by lists of those that are known to be harmless."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from roas.messages.message import said
from roas.stack.images.reference import is_own
from roas.stack.labels import COMPOSE_PREFIX
from roas.stack.policy.keys import shown_value
from roas.stack.policy.power import Power

# These write only to the engine's own folder; other drivers connect to whatever the stack's author names.
LOGGING_DRIVERS = frozenset({"", "json-file", "local", "none"})
LOGGING_OPTIONS = frozenset(
    {"compress", "env", "env-regex", "labels", "labels-regex", "max-buffer-size", "max-file", "max-size", "mode", "tag"}
)
# The kernel keeps these apart for each container.
OWN_SYSCTLS = ("net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "kernel.domainname")
# With the others, `nice`, `rtprio` and `rttime`, a process can take the processors away from everybody else.
OWN_LIMITS = frozenset(
    {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nofile", "nproc", "rss", "sigpending", "stack"}
)
MOUNT_TYPES = frozenset({"bind", "npipe", "volume", "tmpfs"})
OWN_PROPAGATION = frozenset({"", "private", "rprivate", "slave", "rslave"})
ISOLATIONS = frozenset({"", "default"})


def judge_values(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    """Find the values of a service that reach beyond it."""
    for judge in _RULES:
        yield from judge(name, service)
    yield from judge_labels(name, service.get("labels"))
    yield from judge_labels(name, (service.get("deploy") or {}).get("labels"))


def judge_labels(who: str, labels: object) -> Iterator[Power]:
    """Find labels by which Compose, and so the bot, would take something for what it is not."""
    for label in labels if isinstance(labels, Mapping | list) else ():
        key = str(label).partition("=")[0]
        if key.startswith(COMPOSE_PREFIX):
            yield Power(said("{who} has the label {key}, which is Compose's own", who=who, key=key), "")


def judge_limits(name: str, limits: object) -> Iterator[Power]:
    """Find limits that concern more than the processes of a container."""
    for limit in sorted(_keys(limits) - OWN_LIMITS):
        yield Power(said("{name} has `{shown}`", name=name, shown=f"ulimits: {limit}"), f"ulimits:{name}")


def _logging(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    logging = service.get("logging") or {}
    driver = str(logging.get("driver") or "")
    if driver not in LOGGING_DRIVERS:
        if options := logging.get("options"):  # where it connects to
            driver += f" {shown_value(options)}"
        yield Power(said("{name} logs by `{driver}`", name=name, driver=driver), f"logging:{name}")
        return
    # Not what they say: it may be a password.
    if unknown := sorted(set(map(str, logging.get("options") or ())) - LOGGING_OPTIONS):
        yield Power(
            said("{name} has the logging options {unknown}", name=name, unknown=", ".join(unknown)), f"logging:{name}"
        )


def _kernel(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    for setting in sorted(_keys(service.get("sysctls"))):
        if not setting.startswith(OWN_SYSCTLS):
            yield Power(said("{name} has `{shown}`", name=name, shown=f"sysctls: {setting}"), f"sysctls:{name}")
    yield from judge_limits(name, service.get("ulimits"))
    if service.get("oom_kill_disable") or _number(service.get("oom_score_adj")) < 0:
        yield Power(said("{name} would be spared when memory runs out", name=name), f"oom:{name}")


def _runtime(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    if (isolation := str(service.get("isolation") or "")) not in ISOLATIONS:
        yield Power(said("{name} has `{shown}`", name=name, shown=f"isolation: {isolation}"), f"isolation:{name}")
    for option in sorted(_keys(service.get("storage_opt")) - {"size"}):
        yield Power(said("{name} has `{shown}`", name=name, shown=f"storage_opt: {option}"), f"storage_opt:{name}")


def _mounts(name: str, service: Mapping[str, Any]) -> Iterator[Power]:
    for volume in service.get("volumes") or ():
        kind = str(volume.get("type") or "")
        bind = volume.get("bind") or {}
        if kind == "image" and is_own(str(volume.get("source") or "")):
            yield Power(
                said("{name} mounts the image {source}, which is the bot's own", name=name, source=volume["source"]), ""
            )
        elif kind not in MOUNT_TYPES:
            yield Power(
                said("{name} mounts the {kind} {source}", name=name, kind=kind, source=volume.get("source")),
                f"mount:{name}",
            )
        if (propagation := str(bind.get("propagation") or "")) not in OWN_PROPAGATION:
            yield Power(
                said("{name} has `bind.propagation: {propagation}`", name=name, propagation=propagation),
                f"mount:{name}",
            )
        yield from judge_labels(name, (volume.get("volume") or {}).get("labels"))


def _keys(value: object) -> frozenset[str]:
    """Return the names of what is a mapping, or a list of `name=value`."""
    return frozenset(str(key).partition("=")[0] for key in value) if isinstance(value, Mapping | list) else frozenset()


def _number(value: object) -> float:
    try:
        return float(str(value or 0))
    except ValueError:
        return -1.0  # what is no number is not known to be harmless


_RULES: tuple[Callable[[str, Mapping[str, Any]], Iterator[Power]], ...] = (_logging, _kernel, _runtime, _mounts)
