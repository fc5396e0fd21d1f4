"""Turn files that a release keeps by content into Swarm's configs and secrets: immutable, named by their content."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roas.models.stack import ServiceDefinition
from roas.stack.docker.labels import STACK
from roas.stack.model.services import (
    AS_FOUND,
    MOUNTED_SECRETS,
    ROUND,
    SWARM_FILES,
    replicas_of,
    restart_policy,
)
from roas.stack.sources.contents import SECRET_PREFIX, is_kept
from roas.stack.swarm.normal_form import ROUND_LABEL, SERVICE, STACK_IMAGE, content_name, stack_name
from roas.stack.swarm.writing.container_spec import (
    NANOSECONDS,
    container_spec,
    nanoseconds,
    stack_labels,
    without_nothing,
)
from roas.stack.swarm.writing.external_objects import CONFIGS, SECRETS, ExternalFile, external_files

Json = dict[str, Any]
# What a compose file binds read-only may be a script; a secret is as Swarm makes it.
MODES = {SECRETS: 0o444, CONFIGS: 0o555}
MONITOR_SECONDS = 5.0
RESTART_SECONDS = 5.0
CONDITIONS = {"no": "none", "": "any", "always": "any", "unless-stopped": "any", "on-failure": "on-failure"}
DEFAULT_NETWORK = "default"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Name a file of a release, what Swarm calls it, and where a task has it."""

    source: Path
    target: str
    name: str

    @property
    def kind(self) -> str:
        """Return whether Swarm keeps it among its secrets: encrypted, and on the nodes that need it only."""
        return SECRETS if self.source.name.startswith(SECRET_PREFIX) else CONFIGS

    def spec(self, project: str) -> Json:
        """Return what Swarm is given of it; it reads the file. Raises OSError."""
        data = base64.b64encode(self.source.read_bytes()).decode()
        return {"Name": self.name, "Labels": {STACK: project}, "Data": data}

    def reference(self, ids: Mapping[str, str]) -> Json:
        """Return how a task's spec mentions it; `ids` are Swarm's, by name."""
        kind = "Secret" if self.kind == SECRETS else "Config"
        file = {"Name": self.target.removeprefix(MOUNTED_SECRETS), "UID": "0", "GID": "0", "Mode": MODES[self.kind]}
        return {"File": file, f"{kind}ID": ids.get(self.name, ""), f"{kind}Name": self.name}


def kept_files(project: str, service: Mapping[str, Any]) -> tuple[KeptFile, ...]:
    """Return the files that a service binds from the content store; any other bind is of the nodes."""
    return tuple(sorted(_found(project, service), key=lambda file: file.target))


def _found(project: str, service: Mapping[str, Any]) -> Iterator[KeptFile]:
    for volume in service.get("volumes") or ():
        if volume["type"] == "bind" and is_kept(volume["source"]):
            source, target = Path(volume["source"]), str(volume["target"])
            digest = source.name.removeprefix(SECRET_PREFIX)
            yield KeptFile(source, target, content_name(project, Path(target).name, digest))


@dataclass(frozen=True, slots=True)
class SwarmIds:
    """Hold the ids that a spec refers to, by name: those of networks, configs and secrets."""

    networks: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


NO_IDS = SwarmIds()


def service_spec(
    project: str,
    model: Mapping[str, Any],
    definition: ServiceDefinition,
    *,
    ids: SwarmIds = NO_IDS,
) -> Json:
    """Return the spec of one service of a pinned model, but for what belongs to a single write.

    A one-shot service is a job, which another round runs again.
    """
    name = definition.name
    service = model["services"][name]
    as_found = bool((service.get("x-deploy") or {}).get(AS_FOUND))
    deploy = service.get("deploy") or {}
    spec: Json = {
        "Name": stack_name(project, name),
        "Labels": {
            **{str(key): str(value) for key, value in (deploy.get("labels") or {}).items()},
            **stack_labels(project),
            SERVICE: name,
            STACK_IMAGE: str(service["image"]).partition("@")[0],
        },
        "TaskTemplate": without_nothing(
            {
                "ContainerSpec": _container(project, model, definition, ids, as_found=as_found),
                "Resources": resources_of(service),
                "RestartPolicy": {}
                if as_found and not deploy.get("restart_policy")
                else _restarts(service, definition),
                "Placement": _placement(deploy.get("placement") or {}),
                "Networks": _attached(project, name, model, ids),
                "LogDriver": _log_driver(service.get("logging") or {}),
            }
        ),
        "Mode": _mode(service, definition),
        "EndpointSpec": _endpoint(service),
    }
    return {**spec, **({} if definition.one_shot else _updates(deploy, as_found=as_found))}


def _container(
    project: str, model: Mapping[str, Any], definition: ServiceDefinition, ids: SwarmIds, *, as_found: bool
) -> Json:
    """Return the spec of a service's containers, with the files that a release keeps for them."""
    service = model["services"][definition.name]
    extension = service.get("x-deploy") or {}
    labels = stack_labels(project)
    if not as_found:
        labels = {**labels, SERVICE: definition.name}
        if definition.one_shot and (round_id := extension.get(ROUND)):
            labels[ROUND_LABEL] = str(round_id)
    container = container_spec(project, definition.name, model, labels) | (extension.get(SWARM_FILES) or {})
    if as_found and not service.get("stop_grace_period"):
        del container["StopGracePeriod"]
    files: tuple[KeptFile | ExternalFile, ...] = (*kept_files(project, service), *external_files(model, service))
    for kind, key in ((CONFIGS, "Configs"), (SECRETS, "Secrets")):
        if found := [file.reference(getattr(ids, kind)) for file in files if file.kind == kind]:
            container[key] = [*container.get(key, ()), *found]
    return container


def _updates(deploy: Mapping[str, Any], *, as_found: bool) -> Json:
    """Return how the service is updated and rolled back; one that was adopted keeps Swarm's defaults if it had them."""
    keys = {"UpdateConfig": ("update_config", "rollback"), "RollbackConfig": ("rollback_config", "pause")}
    return {
        key: _update(deploy.get(written) or {}, action)
        for key, (written, action) in keys.items()
        if deploy.get(written) or not as_found
    }


def network_name(project: str, key: str, model: Mapping[str, Any]) -> str:
    """Return what a network of a model is called in the Swarm."""
    definition = (model.get("networks") or {}).get(key) or {}
    return str(definition.get("name") or stack_name(project, key))


def network_spec(project: str, key: str, model: Mapping[str, Any]) -> Json:
    """Return what is created for a network of a model."""
    definition = (model.get("networks") or {}).get(key) or {}
    ipam = definition.get("ipam") or {}
    ranges = [
        without_nothing({"Subnet": item.get("subnet"), "Gateway": item.get("gateway"), "IPRange": item.get("ip_range")})
        for item in ipam.get("config") or ()
    ]
    return without_nothing(
        {
            "Name": network_name(project, key, model),
            "Driver": "overlay",
            "Scope": "swarm",
            "Options": {str(name): str(value) for name, value in (definition.get("driver_opts") or {}).items()},
            "Internal": definition.get("internal"),
            "Attachable": definition.get("attachable"),
            "EnableIPv6": definition.get("enable_ipv6"),
            "Labels": {**(definition.get("labels") or {}), **stack_labels(project)},
            "IPAM": without_nothing({"Driver": ipam.get("driver"), "Config": ranges}),
        }
    )


def networks_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the networks of a service by their keys in the model."""
    return tuple(service.get("networks") or {DEFAULT_NETWORK: None})


def _update(written: Mapping[str, Any], failure_action: str) -> Json:
    return {
        "Parallelism": int(written.get("parallelism", 1)),
        "Delay": nanoseconds(written.get("delay") or 0),
        "FailureAction": str(written.get("failure_action") or failure_action),
        "Monitor": nanoseconds(written.get("monitor") or MONITOR_SECONDS),
        "MaxFailureRatio": float(written.get("max_failure_ratio") or 0),
        "Order": str(written.get("order") or "stop-first"),
    }


def _mode(service: Mapping[str, Any], definition: ServiceDefinition) -> Json:
    if definition.one_shot:
        return {"ReplicatedJob": {"MaxConcurrent": definition.replicas, "TotalCompletions": definition.replicas}}
    if (service.get("deploy") or {}).get("mode") == "global":
        return {"Global": {}}
    return {"Replicated": {"Replicas": replicas_of(service)}}


def _restarts(service: Mapping[str, Any], definition: ServiceDefinition) -> Json:
    written = (service.get("deploy") or {}).get("restart_policy") or {}
    name, attempts = restart_policy(service)
    # A policy without a condition is `any`, by the specification and in a Swarm; only Compose never restarts then.
    is_said = written.get("condition") or (service.get("restart") and not written)
    condition = CONDITIONS.get(name if is_said else "", "any")
    if definition.one_shot and condition == "any":
        condition = "none"  # a job cannot be restarted when it has ended well
    found: Json = {"Condition": condition, "Delay": nanoseconds(written.get("delay") or RESTART_SECONDS)}
    found["MaxAttempts"] = attempts
    if written.get("window"):
        found["Window"] = nanoseconds(written["window"])
    return found


def _placement(written: Mapping[str, Any]) -> Json:
    spread = [{"Spread": {"SpreadDescriptor": preference["spread"]}} for preference in written.get("preferences") or ()]
    return without_nothing(
        {
            "Constraints": [str(constraint) for constraint in written.get("constraints") or ()],
            "Preferences": spread,
            "MaxReplicas": written.get("max_replicas_per_node"),
        }
    )


def resources_of(service: Mapping[str, Any]) -> Json:
    """Return the limits and reservations of a service as Swarm's API takes them."""
    written = (service.get("deploy") or {}).get("resources") or {}
    limits = {
        "cpus": service.get("cpus"),
        "memory": service.get("mem_limit"),
        "pids": service.get("pids_limit"),
        **without_nothing(written.get("limits") or {}),
    }
    reserved = {"memory": service.get("mem_reservation"), **without_nothing(written.get("reservations") or {})}
    discrete = [resource["discrete_resource_spec"] for resource in reserved.get("generic_resources") or ()]
    generic = [{"DiscreteResourceSpec": {"Kind": item["kind"], "Value": int(item["value"])}} for item in discrete]
    return without_nothing(
        {
            "Limits": _amounts(limits),
            "Reservations": {**_amounts(reserved), **({"GenericResources": generic} if generic else {})},
        }
    )


def _amounts(written: Mapping[str, Any]) -> Json:
    return without_nothing(
        {
            "NanoCPUs": round(float(written.get("cpus") or 0) * NANOSECONDS),
            "MemoryBytes": int(written.get("memory") or 0),
            "Pids": max(int(written.get("pids") or 0), 0),
        }
    )


def _attached(project: str, name: str, model: Mapping[str, Any], ids: SwarmIds) -> list[Json]:
    """Return the networks of a service, in each of which it has its own name as an alias."""
    service = model["services"][name]
    found = []
    for key in networks_of(service):
        own = (service.get("networks") or {}).get(key) or {}
        called = network_name(project, key, model)
        aliases = [*dict.fromkeys([name, *map(str, own.get("aliases") or ())])]
        found.append({"Target": ids.networks.get(called, called), "Aliases": aliases})
    return found


def _log_driver(written: Mapping[str, Any]) -> Json:
    options = {str(key): str(value) for key, value in (written.get("options") or {}).items()}
    return without_nothing({"Name": written.get("driver"), "Options": options})


def _endpoint(service: Mapping[str, Any]) -> Json:
    ports = [
        without_nothing(
            {
                "Protocol": str(port.get("protocol") or "tcp"),
                "TargetPort": int(port["target"]),
                "PublishedPort": int(port.get("published") or 0),
                "PublishMode": str(port.get("mode") or "ingress"),
            }
        )
        for port in service.get("ports") or ()
    ]
    mode = str((service.get("deploy") or {}).get("endpoint_mode") or "vip")
    return {"Mode": mode, **({"Ports": sorted(ports, key=str)} if ports else {})}
