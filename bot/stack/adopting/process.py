"""Read what a container runs: what its image does not say already."""

from collections.abc import Mapping
from typing import Any

from roas.stack.adopting.defaults import HEALTH_TIMES, NANO
from roas.stack.docker.labels import COMPOSE_PREFIX
from roas.stack.model.durations import as_compose_writes

SHORT_ID = 12


def process_fields(inspected: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a service that concern its process; those that the image has are left out."""
    config, defaults = inspected["Config"], image.get("Config") or {}
    grace = config.get("StopTimeout")
    fields = {
        **_command(config, defaults),
        "environment": _environment(config, defaults),
        "labels": _labels(config, defaults),
        "healthcheck": _health_check(config, defaults),
        "user": _own(config, defaults, "User"),
        "working_dir": _own(config, defaults, "WorkingDir"),
        "stop_signal": _own(config, defaults, "StopSignal"),
        "stop_grace_period": None if grace is None else as_compose_writes(grace),
        "hostname": _hostname(inspected),
        "domainname": config.get("Domainname"),
        "mac_address": config.get("MacAddress"),
        "stdin_open": config.get("OpenStdin"),
        "tty": config.get("Tty"),
        "expose": _exposed(inspected, defaults),
    }
    return {name: value for name, value in fields.items() if value not in (None, "", False, {})}


def _own(config: Mapping[str, Any], defaults: Mapping[str, Any], key: str) -> Any:
    value = config.get(key)
    return None if value == defaults.get(key) else value


def _command(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """An entry point that is written makes the engine forget the image's command, also where it is the image's own."""
    entrypoint, command = config.get("Entrypoint") or None, config.get("Cmd") or None
    of_image, usual = defaults.get("Entrypoint") or None, defaults.get("Cmd") or None
    if entrypoint != of_image or (command is None and usual is not None):
        return {"entrypoint": entrypoint or ([] if config.get("Entrypoint") == [] else [""]), "command": command}
    return {"command": None if command == usual else command}


def _environment(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    known = set(defaults.get("Env") or ())
    pairs = (entry.partition("=") for entry in config.get("Env") or () if entry not in known)
    return {name: value for name, sign, value in pairs if sign}


def _labels(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    known = defaults.get("Labels") or {}
    return {
        name: value
        for name, value in (config.get("Labels") or {}).items()
        if not name.startswith(COMPOSE_PREFIX) and known.get(name) != value
    }


def _health_check(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    check = config.get("Healthcheck")
    if not check or check == defaults.get("Healthcheck"):
        return None
    if check.get("Test") == ["NONE"]:
        return {"disable": True}
    written = {name: as_compose_writes(check[key] / NANO) for name, key in HEALTH_TIMES.items() if check.get(key)}
    retries = {"retries": check["Retries"]} if check.get("Retries") else {}
    return {"test": check.get("Test"), **written, **retries}


def _hostname(inspected: Mapping[str, Any]) -> str | None:
    """The engine names a container by its id, and one in another's network by that."""
    hostname = inspected["Config"].get("Hostname")
    mode = inspected["HostConfig"].get("NetworkMode", "")
    if hostname == inspected["Id"][:SHORT_ID] or mode == "host" or mode.startswith("container:"):
        return None
    return hostname or None


def _exposed(inspected: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str] | None:
    known = {*(defaults.get("ExposedPorts") or ()), *(inspected["HostConfig"].get("PortBindings") or ())}
    return sorted(port for port in inspected["Config"].get("ExposedPorts") or () if port not in known) or None
