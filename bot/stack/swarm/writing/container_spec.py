"""Write what one task of a service runs: the ContainerSpec of Swarm's API, from a service of a resolved model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from roas.stack.docker.labels import STACK
from roas.stack.model.durations import read_duration
from roas.stack.model.key_values import HEALTH_TIMES
from roas.stack.model.service_keys import SERVICE_KEYS
from roas.stack.sources.contents import is_kept
from roas.stack.swarm.normal_form import stack_name

Json = dict[str, Any]
NANOSECONDS = 10**9
# Keys of a container's spec that are the same in a compose file, but for their name: both ways go by these.
PLAIN = {known.swarm: key for key, known in SERVICE_KEYS.items() if known.swarm}
ARGUMENTS = {"Command": "entrypoint", "Args": "command"}
DNS = {"Nameservers": "dns", "Search": "dns_search", "Options": "dns_opt"}


def nanoseconds(duration: object) -> int:
    """Return a duration as Swarm's API takes it."""
    return round(read_duration(duration) * NANOSECONDS)


def container_spec(project: str, name: str, model: Mapping[str, Any], labels: Mapping[str, str]) -> Json:
    """Return the ContainerSpec of a service, without its configs and secrets."""
    service = model["services"][name]
    found: Json = {
        "Image": str(service["image"]),
        "Labels": {**_texts(service.get("labels")), **labels},
        **{key: _plain(service.get(written)) for key, written in PLAIN.items()},
        **{key: _as_arguments(service.get(written)) for key, written in ARGUMENTS.items()},
        "Env": [key if value is None else f"{key}={value}" for key, value in _pairs(service.get("environment"))],
        "Mounts": [*_mounts(project, name, service, model), *_tmpfs(service)],
        "StopGracePeriod": nanoseconds(service.get("stop_grace_period") or "10s"),
        "Healthcheck": health_check(service.get("healthcheck")),
        "Hosts": [_host(entry) for entry in service.get("extra_hosts") or ()],
        "DNSConfig": without_nothing({key: _as_arguments(service.get(written)) for key, written in DNS.items()}),
        "Ulimits": [_ulimit(kind, value) for kind, value in (service.get("ulimits") or {}).items()],
        "Isolation": "default",
    }
    return without_nothing(found)


def health_check(check: Mapping[str, Any] | None) -> Json | None:
    """Return a health check; None where the image's own counts."""
    if not check:
        return None
    if check.get("disable"):
        return {"Test": ["NONE"]}
    test = check.get("test")
    found: Json = {"Test": ["CMD-SHELL", test] if isinstance(test, str) else list(test or ())}
    found |= {key: nanoseconds(check[written]) for written, key in HEALTH_TIMES.items() if check.get(written)}
    if check.get("retries"):
        found["Retries"] = int(check["retries"])
    return without_nothing(found)


def without_nothing(found: Mapping[str, Any]) -> Json:
    """Leave out what says nothing, as Swarm's answers do."""
    return {key: value for key, value in found.items() if value not in (None, "", [], {}, False)}


def _mounts(project: str, name: str, service: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Json]:
    """Return the mounts but for kept files, which become configs and secrets."""
    for volume in service.get("volumes") or ():
        source = str(volume.get("source") or "")
        if volume["type"] == "bind" and is_kept(source):
            continue
        mount: Json = {"Type": volume["type"], "Target": volume["target"], "ReadOnly": bool(volume.get("read_only"))}
        if volume["type"] == "bind":
            mount["Source"] = source
        if volume["type"] == "volume" and volume.get("source"):
            definition = (model.get("volumes") or {}).get(volume["source"]) or {}
            mount["Source"] = str(definition.get("name") or stack_name(project, volume["source"]))
            mount["VolumeOptions"] = _volume_options(project, volume, definition)
        if volume["type"] == "tmpfs":
            own = volume.get("tmpfs") or {}
            mode = own.get("mode")
            mount["TmpfsOptions"] = without_nothing(
                {"SizeBytes": own.get("size") and int(own["size"]), "Mode": None if mode is None else int(mode)}
            )
        yield without_nothing(mount)


def _volume_options(project: str, volume: Mapping[str, Any], definition: Mapping[str, Any]) -> Json:
    own = volume.get("volume") or {}
    driver = without_nothing({"Name": definition.get("driver"), "Options": _texts(definition.get("driver_opts"))})
    labels = {} if definition.get("external") else {**_texts(definition.get("labels")), **stack_labels(project)}
    return without_nothing(
        {"NoCopy": own.get("nocopy"), "Subpath": own.get("subpath"), "Labels": labels, "DriverConfig": driver}
    )


def stack_labels(project: str) -> Json:
    """Return the labels by which `docker stack` finds what belongs to a stack."""
    return {STACK: project}


def _tmpfs(service: Mapping[str, Any]) -> Iterator[Json]:
    written = service.get("tmpfs") or ()
    for entry in [written] if isinstance(written, str) else written:
        yield {"Type": "tmpfs", "Target": str(entry).partition(":")[0]}


def _host(entry: object) -> str:
    """Turn `name=address`, as Compose writes it, into `address name`."""
    name, _, address = str(entry).partition("=")
    return f"{address} {name}"


def _ulimit(kind: str, value: object) -> Json:
    if isinstance(value, Mapping):
        return {"Name": kind, "Soft": int(value["soft"]), "Hard": int(value["hard"])}
    return {"Name": kind, "Soft": int(str(value)), "Hard": int(str(value))}


def _plain(value: object) -> object:
    """Return a value as Swarm's API takes it, whose texts, lists and mappings are all of texts."""
    if isinstance(value, Mapping):
        return _texts(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(item) for item in value]
    return value if value is None or isinstance(value, bool) else str(value)


def _as_arguments(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value] if isinstance(value, Sequence) else []


def _pairs(value: object) -> list[tuple[str, Any]]:
    return sorted(value.items()) if isinstance(value, Mapping) else []


def _texts(value: object) -> dict[str, str]:
    return {str(key): "" if pair is None else str(pair) for key, pair in _pairs(value)}
