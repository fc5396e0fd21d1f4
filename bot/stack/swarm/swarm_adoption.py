"""Read back a stack that somebody else deployed, by the inverse of the specs that we write."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import joined, said
from roas.models.environment import Environment
from roas.stack.adopting.adoption import ADOPTED_VERSION, AdoptedStack
from roas.stack.adopting.backups import with_fitting_backups
from roas.stack.adopting.rules import with_rules
from roas.stack.docker.labels import STACK
from roas.stack.model.definitions import read_definitions
from roas.stack.model.durations import as_compose_writes
from roas.stack.model.read_back import read_health_check, read_limits
from roas.stack.model.services import AS_FOUND, IMAGE_ID, SWARM_FILES, services_of
from roas.stack.swarm.normal_form import ROUND_LABEL, SERVICE, STACK_IMAGE, differing_keys, is_job
from roas.stack.swarm.tasks.tasks import StackReading, digest_of_image, service_name
from roas.stack.swarm.writing.container_spec import ARGUMENTS, DNS, NANOSECONDS, PLAIN, without_nothing
from roas.stack.swarm.writing.external_objects import external_definitions, read_files
from roas.stack.swarm.writing.service_spec import service_spec

Json = dict[str, Any]
OURS = frozenset({STACK, STACK_IMAGE, SERVICE, ROUND_LABEL})
UPDATE = {
    "Parallelism": "parallelism",
    "FailureAction": "failure_action",
    "MaxFailureRatio": "max_failure_ratio",
    "Order": "order",
}
UPDATING = frozenset({"updating", "rollback_started", "paused", "rollback_paused"})


def container_fields(spec: Mapping[str, Any], project: str) -> Json:
    """Return the fields of a service that say what its container is."""
    found: Json = {written: spec[key] for key, written in (PLAIN | ARGUMENTS).items() if key in spec}
    found |= {written: (spec.get("DNSConfig") or {}).get(key) for key, written in DNS.items()}
    found["image"] = spec["Image"]
    found["environment"] = dict(_variable(entry) for entry in spec.get("Env") or ())
    found["labels"] = own_labels(spec.get("Labels"))
    found["volumes"] = [_volume(mount, project) for mount in spec.get("Mounts") or ()]
    found["extra_hosts"] = [_host(entry) for entry in spec.get("Hosts") or ()]
    found["ulimits"] = read_limits(spec)
    if "StopGracePeriod" in spec:
        found["stop_grace_period"] = _duration(spec["StopGracePeriod"])
    if check := spec.get("Healthcheck"):
        found["healthcheck"] = read_health_check(check)
    return without_nothing(found)


def service_fields(spec: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    """Return the fields of a service that say how Swarm runs it; `names` are those of networks in the model."""
    template = spec["TaskTemplate"]
    mode = spec.get("Mode") or {}
    log = template.get("LogDriver") or {}
    endpoint = spec.get("EndpointSpec") or {}
    deploy = {
        "labels": own_labels(spec.get("Labels")),
        "mode": "global" if "Global" in mode else None,
        "replicas": (mode.get("Replicated") or {}).get("Replicas", 1) if "Global" not in mode else None,
        "endpoint_mode": endpoint.get("Mode"),
        "placement": _placement(template.get("Placement") or {}),
        "resources": _resources(template.get("Resources") or {}),
        "restart_policy": _restarts(template.get("RestartPolicy") or {}),
        "update_config": _update(spec.get("UpdateConfig")),
        "rollback_config": _update(spec.get("RollbackConfig")),
    }
    return without_nothing(
        {
            "deploy": {key: value for key, value in deploy.items() if value not in (None, "", {}, [])},
            "networks": {
                names[network["Target"]]: {"aliases": list(network.get("Aliases") or ())}
                for network in template.get("Networks") or spec.get("Networks") or ()
            },
            "ports": [_port(port) for port in endpoint.get("Ports") or ()],
            "logging": without_nothing({"driver": log.get("Name"), "options": log.get("Options")}),
        }
    )


def own_labels(labels: Mapping[str, str] | None) -> Json:
    """Return the labels that a person wrote."""
    return {key: value for key, value in (labels or {}).items() if key not in OURS}


def _variable(entry: str) -> tuple[str, str | None]:
    name, equals, value = entry.partition("=")
    return name, value if equals else None


def _host(entry: str) -> str:
    address, _, name = entry.partition(" ")
    return f"{name}={address}"


def _duration(nanoseconds: int) -> str:
    return as_compose_writes(nanoseconds / NANOSECONDS)


def _volume(mount: Mapping[str, Any], project: str) -> Json:
    found: Json = {"type": mount["Type"], "target": mount["Target"], "read_only": bool(mount.get("ReadOnly"))}
    if mount.get("Source"):
        source = str(mount["Source"])
        found["source"] = source.removeprefix(f"{project}_") if mount["Type"] == "volume" else source
    if (mount.get("VolumeOptions") or {}).get("NoCopy"):
        found["volume"] = {"nocopy": True}
    if tmpfs := mount.get("TmpfsOptions"):
        found["tmpfs"] = without_nothing({"size": tmpfs.get("SizeBytes"), "mode": tmpfs.get("Mode")})
    return found


def volume_definitions(specs: Iterable[Mapping[str, Any]], project: str) -> Json:
    """Return the definitions of the volumes that services have, by their names in the model."""
    found: Json = {}
    for spec in specs:
        for mount in spec["TaskTemplate"]["ContainerSpec"].get("Mounts") or ():
            if mount["Type"] == "volume" and mount.get("Source"):
                options, source = mount.get("VolumeOptions") or {}, str(mount["Source"])
                driver = options.get("DriverConfig") or {}
                found[source.removeprefix(f"{project}_")] = without_nothing(
                    {
                        "name": source,
                        "driver": driver.get("Name"),
                        "driver_opts": driver.get("Options"),
                        "labels": own_labels(options.get("Labels")),
                        "external": STACK not in (options.get("Labels") or {}),
                    }
                )
    return found


def _placement(found: Mapping[str, Any]) -> Json:
    return without_nothing(
        {
            "constraints": list(found.get("Constraints") or ()),
            "preferences": [
                {"spread": preference["Spread"]["SpreadDescriptor"]} for preference in found.get("Preferences") or ()
            ],
            "max_replicas_per_node": found.get("MaxReplicas"),
        }
    )


def _resources(found: Mapping[str, Any]) -> Json:
    return without_nothing({key.lower(): _amounts(found.get(key) or {}) for key in ("Limits", "Reservations")})


def _amounts(found: Mapping[str, Any]) -> Json:
    generic = [
        resource["DiscreteResourceSpec"]
        for resource in found.get("GenericResources") or ()
        if "DiscreteResourceSpec" in resource
    ]
    return without_nothing(
        {
            "cpus": str(found["NanoCPUs"] / NANOSECONDS) if found.get("NanoCPUs") else None,
            "memory": str(found["MemoryBytes"]) if found.get("MemoryBytes") else None,
            "pids": found.get("Pids"),
            "generic_resources": [
                {"discrete_resource_spec": {"kind": item["Kind"], "value": item["Value"]}} for item in generic
            ],
        }
    )


def _restarts(found: Mapping[str, Any]) -> Json:
    durations = {"delay": found.get("Delay"), "window": found.get("Window")}
    return without_nothing(
        {
            "condition": found.get("Condition"),
            "max_attempts": found.get("MaxAttempts"),
            **{key: _duration(value) for key, value in durations.items() if value},
        }
    )


def _update(found: Mapping[str, Any] | None) -> Json:
    if not found:
        return {}
    durations = {"delay": found.get("Delay") or 0, "monitor": found.get("Monitor") or 0}
    return {written: found[key] for key, written in UPDATE.items() if key in found} | {
        key: _duration(value) for key, value in durations.items()
    }


def _port(found: Mapping[str, Any]) -> Json:
    return without_nothing(
        {
            "target": found["TargetPort"],
            "published": str(found["PublishedPort"]) if found.get("PublishedPort") else None,
            "protocol": found.get("Protocol"),
            "mode": found.get("PublishMode"),
        }
    )


def is_ours(services: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether every service of a stack was written by this bot, or there is none."""
    return all(SERVICE in (service["Spec"].get("Labels") or {}) for service in services)


def adopt_stack(
    environment: Environment,
    reading: StackReading,
    written: Mapping[str, Any] = MappingProxyType({}),
) -> AdoptedStack | None:
    """Read back the model of a stack; None where there is none. `written` is what today's files resolve to.

    Raises InvalidRequestError that names all that could not be brought back; nothing is touched.
    """
    if not reading.services:
        return None
    model = with_fitting_backups(_model(environment, reading, services_of(written)), written)
    if problems := [*_problems(environment, reading, model)]:
        raise InvalidRequestError(
            joined(
                "\n",
                [
                    said(
                        "The stack {project} was not deployed by this bot, and cannot be adopted:",
                        project=environment.project,
                    ),
                    *problems,
                ],
            ),
            hint=said(
                "Put that right by `docker service update`, remove the stack by `docker stack rm {project}`, or choose "
                "another `project_name`.",
                project=environment.project,
            ),
        )
    references = {service_name(service["Spec"]): _image(service).partition("@")[0] for service in reading.services}
    return AdoptedStack(ADOPTED_VERSION, model, references)


def _model(environment: Environment, reading: StackReading, files: Mapping[str, Mapping[str, Any]]) -> Json:
    specs = {service_name(service["Spec"]): service["Spec"] for service in reading.services}
    names = {key: name.removeprefix(f"{environment.project}_") for key, name in reading.networks.items()}
    services: Json = {}
    networks: Json = {}
    for name, spec in sorted(specs.items()):
        container = spec["TaskTemplate"]["ContainerSpec"]
        fields = {**container_fields(container, environment.project), **service_fields(spec, names)}
        extension: Json = {IMAGE_ID: digest_of_image(str(container["Image"])), AS_FOUND: True}
        given, kept = read_files(container, environment.project)
        fields |= given
        if kept:
            extension[SWARM_FILES] = kept
        if is_job(spec):
            extension["one_shot"] = True
        fields["x-deploy"] = extension
        ruled = with_rules(fields, files.get(name) or {}, specs.keys(), environment.folder)
        services[name] = {**ruled, "deploy": fields["deploy"]}  # how it is updated, Swarm knows itself
        for network in fields.get("networks") or {}:
            called = next(value for key, value in reading.networks.items() if names[key] == network)
            networks[network] = {"name": called} if called != network else {"name": called, "external": True}
    model: Json = {"name": environment.project, "services": services}
    model |= {"networks": networks} if networks else {}
    volumes = volume_definitions(specs.values(), environment.project)
    model |= {"volumes": volumes} if volumes else {}
    return model | external_definitions(services)


def _problems(environment: Environment, reading: StackReading, model: Mapping[str, Any]) -> Iterator[str]:
    try:
        definitions = read_definitions(model)
    except RoasError as error:
        yield error.message
        return
    for service in reading.services:
        name, spec = service_name(service["Spec"]), service["Spec"]
        if "@sha256:" not in _image(service):
            yield said("  - {service} runs {image} without a digest", service=name, image=_image(service))
        if (service.get("UpdateStatus") or {}).get("State") in UPDATING:
            yield said("  - an update of {service} is not over", service=name)
        made = service_spec(environment.project, model, definitions[name])
        if keys := differing_keys(_without_image_label(made), _without_image_label(spec), reading.networks):
            yield said("  - {service} has what a compose file cannot say: {keys}", service=name, keys=", ".join(keys))


def _without_image_label(spec: Mapping[str, Any]) -> Json:
    """Leave out what `docker stack deploy` notes of the image: `docker service update --image` leaves it as it is."""
    return {**spec, "Labels": {key: text for key, text in (spec.get("Labels") or {}).items() if key != STACK_IMAGE}}


def _image(service: Mapping[str, Any]) -> str:
    return str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])
