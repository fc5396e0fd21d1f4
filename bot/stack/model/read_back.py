"""Read back from what an engine tells of a container how each key of its service has to be written for that.

What its image says already, and what the engine gives to whoever asks for nothing, is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from roas.stack.docker.labels import COMPOSE_PREFIX, NUMBER, PROJECT, SERVICE
from roas.stack.model.durations import as_compose_writes
from roas.stack.model.key_values import HEALTH_TIMES, NANO, USUAL_PROPAGATION, usual_cgroup
from roas.stack.model.services import restart_text

SHORT_ID = 12
# The last of a mount's signs for SELinux counts. The other one is what the engine shows of any volume.
OWN_LABEL, SHARED_LABEL = "Z", "z"
# Of the devices of blocks, by the name of the list: what it says of each.
BLOCKS = {
    "BlkioWeightDevice": ("weight_device", "weight"),
    "BlkioDeviceReadBps": ("device_read_bps", "rate"),
    "BlkioDeviceWriteBps": ("device_write_bps", "rate"),
    "BlkioDeviceReadIOps": ("device_read_iops", "rate"),
    "BlkioDeviceWriteIOps": ("device_write_iops", "rate"),
}
OF_ENDPOINT = {"ipv4_address": "IPv4Address", "ipv6_address": "IPv6Address", "link_local_ips": "LinkLocalIPs"}


@dataclass(frozen=True, slots=True)
class ShownContainer:
    """Hold what an engine tells of a container, its image and itself; `siblings` are the project's, by id."""

    inspected: Mapping[str, Any]
    image: Mapping[str, Any]
    engine: Mapping[str, Any]
    siblings: Mapping[str, Mapping[str, Any]]

    @property
    def config(self) -> Mapping[str, Any]:
        """Return what it runs."""
        return self.inspected["Config"]  # type: ignore[no-any-return]

    @property
    def host(self) -> Mapping[str, Any]:
        """Return what it has of its host."""
        return self.inspected["HostConfig"]  # type: ignore[no-any-return]

    @property
    def usual(self) -> Mapping[str, Any]:
        """Return what its image says that it runs."""
        return self.image.get("Config") or {}

    @property
    def endpoints(self) -> Mapping[str, Any]:
        """Return its places in networks."""
        return self.inspected["NetworkSettings"].get("Networks") or {}


Read = Callable[[ShownContainer], Any]


def host(key: str) -> Read:
    """Read a value that its HostConfig has as Compose writes it."""
    return lambda container: container.host.get(key)


def config(key: str) -> Read:
    """Read a value that its Config has as Compose writes it."""
    return lambda container: container.config.get(key)


def beyond_image(key: str, container: ShownContainer) -> Any:
    """Read a value of its Config, but for one that its image has."""
    value = container.config.get(key)
    return None if value == container.usual.get(key) else value


def size(key: str, usual: int = 0) -> Read:
    """Read a number of bytes as Compose writes it, but for one below zero (no limit), which it reads as a number."""

    def read(container: ShownContainer) -> str | int | None:
        number = container.host.get(key) or 0
        return number if number < 0 else str(number) if number not in (0, usual) else None

    return read


def namespace(key: str) -> Read:
    """Read whose namespace it has; its own is said by nothing."""
    return lambda container: (
        None if (mode := container.host.get(key)) in (None, "", "private") else _shared(mode, container)
    )


def entrypoint(container: ShownContainer) -> list[str] | None:
    """Read an entry point: one that is written makes the engine forget the image's command, also the image's own."""
    own, command = container.config.get("Entrypoint") or None, container.config.get("Cmd") or None
    if own == (container.usual.get("Entrypoint") or None) and (command is not None or not container.usual.get("Cmd")):
        return None
    return own or ([] if container.config.get("Entrypoint") == [] else [""])


def command(container: ShownContainer) -> list[str] | None:
    """Read a command; beside an entry point, the image's counts for nothing."""
    own = container.config.get("Cmd") or None
    return None if own == container.usual.get("Cmd") and entrypoint(container) is None else own


def environment(container: ShownContainer) -> dict[str, str]:
    """Read the variables."""
    known = set(container.usual.get("Env") or ())
    pairs = (entry.partition("=") for entry in container.config.get("Env") or () if entry not in known)
    return {name: value for name, sign, value in pairs if sign}


def labels(container: ShownContainer) -> dict[str, str]:
    """Read the labels that are not Compose's own."""
    known, found = container.usual.get("Labels") or {}, container.config.get("Labels") or {}
    return {
        name: value for name, value in found.items() if not name.startswith(COMPOSE_PREFIX) and known.get(name) != value
    }


def healthcheck(container: ShownContainer) -> dict[str, Any] | None:
    """Read the health check."""
    check = beyond_image("Healthcheck", container)
    return check and ({"disable": True} if check.get("Test") == ["NONE"] else read_health_check(check))


def read_health_check(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a health check as a file has it."""
    written = {name: as_compose_writes(check[key] / NANO) for name, key in HEALTH_TIMES.items() if check.get(key)}
    return {"test": check.get("Test"), **written, **({"retries": check["Retries"]} if check.get("Retries") else {})}


def stop_grace_period(container: ShownContainer) -> str | None:
    """Read how long it may take to stop."""
    grace = container.config.get("StopTimeout")
    return None if grace is None else as_compose_writes(grace)


def hostname(container: ShownContainer) -> str | None:
    """Read the host's name: the engine names a container by its id, and one in another's network by that."""
    name, mode = container.config.get("Hostname"), container.host.get("NetworkMode", "")
    return None if name == container.inspected["Id"][:SHORT_ID] or mode == "host" or _is_joined(mode) else name


def expose(container: ShownContainer) -> list[str]:
    """Read the ports that neither the image exposes nor the service publishes."""
    known = {*(container.usual.get("ExposedPorts") or ()), *(container.host.get("PortBindings") or ())}
    return sorted(set(container.config.get("ExposedPorts") or ()) - known)


def restart(container: ShownContainer) -> str | None:
    """Read the restart policy."""
    policy = container.host.get("RestartPolicy") or {}
    return restart_text(policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0)


def cpus(container: ShownContainer) -> float | None:
    """Read how many processors it may use."""
    return container.host["NanoCpus"] / NANO if container.host.get("NanoCpus") else None


def read_limits(shown: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return limits of processes, of a HostConfig or of Swarm's ContainerSpec, as a file has them."""
    return {limit["Name"]: {"soft": limit["Soft"], "hard": limit["Hard"]} for limit in shown.get("Ulimits") or ()}


def devices(container: ShownContainer) -> list[str]:
    """Read the devices in their short form."""
    keys = ("PathOnHost", "PathInContainer", "CgroupPermissions")
    return [":".join(device[key] for key in keys) for device in container.host.get("Devices") or ()]


def logging(container: ShownContainer) -> dict[str, Any] | None:
    """Read where it logs to."""
    log = container.host.get("LogConfig") or {}
    driver, options = log.get("Type"), log.get("Config") or {}
    if not driver or (driver == container.engine.get("LoggingDriver") and not options):
        return None
    return {"driver": driver, "options": options} if options else {"driver": driver}


def runtime(container: ShownContainer) -> str | None:
    """Read the runtime."""
    found = container.host.get("Runtime")
    return None if found == container.engine.get("DefaultRuntime") else found


def cgroup(container: ShownContainer) -> str | None:
    """Read whose cgroup namespace it has."""
    mode = container.host.get("CgroupnsMode")
    return None if mode == usual_cgroup(container.engine) else mode


def tmpfs(container: ShownContainer) -> list[str]:
    """Read the folders in memory that are written in the short form."""
    return [f"{path}:{options}" if options else path for path, options in (container.host.get("Tmpfs") or {}).items()]


def blkio_config(container: ShownContainer) -> dict[str, Any]:
    """Read what it may do with devices of blocks."""
    found: dict[str, Any] = {"weight": weight} if (weight := container.host.get("BlkioWeight")) else {}
    for key, (name, says) in BLOCKS.items():
        if devices := container.host.get(key):
            found[name] = [{"path": device["Path"], says: device[says.capitalize()]} for device in devices]
    return found


def reservations(container: ShownContainer) -> dict[str, Any] | None:
    """Read reserved devices (GPUs) as Compose writes them below `deploy`."""
    devices = []
    for request in container.host.get("DeviceRequests") or ():
        device = {"capabilities": [name for names in request.get("Capabilities") or () for name in names]}
        device |= {key.lower(): request[key] for key in ("Driver", "Options") if request.get(key)}
        ids = request.get("DeviceIDs")
        devices.append(device | ({"device_ids": ids} if ids else {"count": request.get("Count", -1)}))
    return {"resources": {"reservations": {"devices": devices}}} if devices else None


def ports(container: ShownContainer) -> list[dict[str, Any]]:
    """Read the ports that are published."""
    found: list[dict[str, Any]] = []
    for port, bindings in sorted((container.host.get("PortBindings") or {}).items()):
        target, _, protocol = port.partition("/")
        for binding in bindings or [{}]:
            fields: dict[str, Any] = {"mode": "ingress", "target": int(target), "protocol": protocol or "tcp"}
            fields |= {"host_ip": binding["HostIp"]} if binding.get("HostIp") else {}
            fields |= {"published": binding["HostPort"]} if binding.get("HostPort") not in (None, "", "0") else {}
            found.append(fields)
    return found


def network_mode(container: ShownContainer) -> str | None:
    """Read whose network it has, where that is none of its own networks."""
    mode = container.host.get("NetworkMode") or "default"
    if _is_joined(mode):
        return _shared(mode, container)
    return {"default": "bridge"}.get(mode, mode) if mode in {"host", "none", "bridge", "default"} else None


def networks(container: ShownContainer) -> dict[str, Any] | None:
    """Read its networks, by their own names."""
    if network_mode(container):
        return None
    return {name: _endpoint(container.inspected, end) for name, end in container.endpoints.items()}


def _endpoint(inspected: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    given = {*_names(inspected), service_of(inspected), inspected["Id"][:SHORT_ID]}
    requested = endpoint.get("IPAMConfig") or {}
    fields = {
        "aliases": [alias for alias in endpoint.get("Aliases") or () if alias not in given],
        **{name: requested.get(key) for name, key in OF_ENDPOINT.items()},
        "driver_opts": endpoint.get("DriverOpts"),
    }
    return {name: value for name, value in fields.items() if value} or None


def links(container: ShownContainer) -> tuple[list[str], list[str]]:
    """Read the links within the project as a person wrote them (Compose adds its own to each), and those to others."""
    every = [link for endpoint in container.endpoints.values() for link in endpoint.get("Links") or ()]
    if not every or network_mode(container):
        return [], []  # as nearly always: of a large stack, each would look at all others
    services = {sibling["Name"].lstrip("/"): service_of(sibling) for sibling in container.siblings.values()}
    found: set[str] = set()
    for other, _, alias in (link.partition(":") for link in every):
        service = services.get(other)
        if service and alias != other and not alias.startswith(f"{service}-"):
            found.add(service if alias == service else f"{service}:{alias}")
    return sorted(found), sorted({link for link in every if not services.get(link.partition(":")[0])})


def volumes(container: ShownContainer) -> list[dict[str, Any]]:
    """Read what is mounted; what has no name is named by the engine's, by which its data is found again."""
    asked = {normpath(request["Target"]): request for request in container.host.get("Mounts") or ()}
    found = [
        _mount(mount, asked.get(mount["Destination"], {}))
        for mount in container.inspected.get("Mounts") or ()
        if mount["Type"] in {"volume", "bind"}
    ]
    found += [_tmpfs(request) for request in asked.values() if request.get("Type") == "tmpfs"]
    return sorted(found, key=lambda volume: str(volume["target"]))


def _mount(mount: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    kind, signs = mount["Type"], str(mount.get("Mode", "")).split(",")
    label = next((sign for sign in (OWN_LABEL, SHARED_LABEL) if sign in signs), "")
    source = mount["Name" if kind == "volume" else "Source"]
    fields: dict[str, Any] = {"type": kind, "source": source, "target": mount["Destination"]}
    fields |= {} if mount.get("RW", True) else {"read_only": True}
    if kind == "volume":
        fields |= {"bind": {"selinux": label}} if label == OWN_LABEL else {}
        is_kept_empty = (asked.get("VolumeOptions") or {}).get("NoCopy") or "nocopy" in signs
        return {**fields, "volume": {"nocopy": True}} if is_kept_empty else fields
    bind: dict[str, Any] = {"create_host_path": True, **({"selinux": label} if label else {})}
    # The engine gives `rslave` by itself to what holds its own folder, such as `/`.
    propagation = mount.get("Propagation", "")
    if propagation not in USUAL_PROPAGATION and propagation in {
        *signs,
        (asked.get("BindOptions") or {}).get("Propagation"),
    }:
        bind["propagation"] = propagation
    return {**fields, "bind": bind}


def _tmpfs(request: Mapping[str, Any]) -> dict[str, Any]:
    options = request.get("TmpfsOptions") or {}
    own: dict[str, Any] = {"size": str(options["SizeBytes"])} if options.get("SizeBytes") else {}
    own |= {"mode": options["Mode"]} if options.get("Mode") else {}
    return {"type": "tmpfs", "target": request["Target"], **({"tmpfs": own} if own else {})}


def _is_joined(mode: str) -> bool:
    return mode.startswith("container:")


def _shared(mode: str, container: ShownContainer) -> str:
    """Write `container:<id>` as `service:<name>` where that is one of the project."""
    sibling = container.siblings.get(mode.partition(":")[2]) if _is_joined(mode) else None
    return mode if sibling is None else f"service:{service_of(sibling)}"


def _names(inspected: Mapping[str, Any]) -> set[str]:
    """Return the name of a container, and the one that Compose gave it: a renamed one keeps that as an alias."""
    labels = inspected["Config"].get("Labels") or {}
    parts = (str(labels.get(PROJECT)), service_of(inspected), str(labels.get(NUMBER)))
    return {inspected["Name"].lstrip("/"), "-".join(parts), "_".join(parts)}


def service_of(inspected: Mapping[str, Any]) -> str:
    """Return the service that a container is of."""
    return str((inspected["Config"].get("Labels") or {}).get(SERVICE, ""))
