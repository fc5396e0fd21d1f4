"""Leave out of a service what a container is anyway, whether somebody wrote it or not."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from roas.stack.model.service_keys import SERVICE_KEYS

NANO = 1_000_000_000
# What the engine takes for what a health check leaves out.
HEALTH_CHECK: Mapping[str, Any] = MappingProxyType(
    {"interval": 30.0, "timeout": 30.0, "start_interval": 5.0, "retries": 3}
)
# What a health check calls its times, and what the engine does.
HEALTH_TIMES: Mapping[str, str] = MappingProxyType(
    {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "start_interval": "StartInterval"}
)
# The engine adds it to whatever shares the host's processes or memory.
OF_HOST = "label=disable"


def without_defaults(form: Mapping[str, Any], image: Mapping[str, Any], engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service in common form without what is so anyway, on this engine and with this image."""
    defaults = {
        **{name: key.default for name, key in SERVICE_KEYS.items() if key.default is not None},
        "cgroup": usual_cgroup(engine),
        "platform": _platform(image),
        "runtime": engine.get("DefaultRuntime"),
        "logging": {"driver": engine.get("LoggingDriver")},
    }
    if logging := form.get("logging"):
        given = {"driver": engine.get("LoggingDriver"), **logging}
        form = {**form, "logging": {key: value for key, value in given.items() if value}}
    kept = {key: value for key, value in form.items() if key not in defaults or value != defaults[key]}
    _leave_out_discarded(kept, engine)
    if form.get("pid") == "host" or form.get("ipc") == "host" or form.get("privileged"):
        options = [option for option in form.get("security_opt") or () if option != OF_HOST]
        kept |= {"security_opt": options}
    return {key: value for key, value in kept.items() if value not in (None, [])}


def _leave_out_discarded(form: dict[str, Any], engine: Mapping[str, Any]) -> None:
    """Leave out what an engine discards, with a warning, since its kernel cannot do it."""
    if str(engine.get("CgroupVersion")) == "2":
        form.pop("mem_swappiness", None)
    elif blocks := form.get("blkio_config"):  # no kernel has weights in the first version since 5.0
        form["blkio_config"] = {key: value for key, value in blocks.items() if not key.startswith("weight")} or None
    if engine.get("OomKillDisable") is False:
        form.pop("oom_kill_disable", None)


def usual_cgroup(engine: Mapping[str, Any]) -> str:
    """Return the cgroup namespace that an engine gives to a container that asks for none."""
    return "private" if str(engine.get("CgroupVersion")) == "2" else "host"


def _platform(image: Mapping[str, Any]) -> str:
    return f"{image.get('Os')}/{image.get('Architecture')}"
