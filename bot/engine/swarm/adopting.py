"""Adopt a stack that runs already: a model whose specs are those that Swarm has, or a refusal that says why not."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from roas.engine.adopting.adoption import ADOPTED_VERSION, AdoptedStack
from roas.engine.adopting.rules import with_rules
from roas.engine.model.definitions import read_definitions
from roas.engine.model.services import AS_FOUND, IMAGE_ID, SWARM_FILES, services_of
from roas.engine.swarm.adopted_fields import container_fields, service_fields, volume_definitions
from roas.engine.swarm.names import SERVICE
from roas.engine.swarm.normal_form import differing_keys
from roas.engine.swarm.service_spec import service_spec
from roas.engine.swarm.snapshots import digest_of_image, service_name
from roas.engine.swarm.stack_look import StackLook
from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import joined, said
from roas.models.environment import Environment

Json = dict[str, Any]
UPDATING = frozenset({"updating", "rollback_started", "paused", "rollback_paused"})


def is_ours(services: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether every service of a stack was written by this bot, or there is none."""
    return all(SERVICE in (one["Spec"].get("Labels") or {}) for one in services)


def adopt_stack(
    environment: Environment,
    look: StackLook,
    written: Mapping[str, Any] = MappingProxyType({}),
) -> AdoptedStack | None:
    """Read back the model of a stack; None where there is none. `written` is what today's files resolve to.

    Raises InvalidRequestError that names all that could not be brought back; nothing is touched.
    """
    if not look.services:
        return None
    model = _model(environment, look, services_of(written))
    if problems := [*_problems(environment, look, model)]:
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
    references = {service_name(one["Spec"]): _image(one).partition("@")[0] for one in look.services}
    return AdoptedStack(ADOPTED_VERSION, model, references)


def _model(environment: Environment, look: StackLook, files: Mapping[str, Mapping[str, Any]]) -> Json:
    specs = {service_name(one["Spec"]): one["Spec"] for one in look.services}
    names = {key: name.removeprefix(f"{environment.project}_") for key, name in look.networks.items()}
    services: Json = {}
    networks: Json = {}
    for name, spec in sorted(specs.items()):
        container = spec["TaskTemplate"]["ContainerSpec"]
        fields = {**container_fields(container, environment.project), **service_fields(spec, names)}
        extension: Json = {IMAGE_ID: digest_of_image(str(container["Image"])), AS_FOUND: True}
        if kept := {key: container[key] for key in ("Configs", "Secrets") if container.get(key)}:
            extension[SWARM_FILES] = kept
        if "ReplicatedJob" in (spec.get("Mode") or {}):
            extension["one_shot"] = True
        fields["x-deploy"] = extension
        ruled = with_rules(fields, files.get(name) or {}, specs.keys(), environment.folder)
        services[name] = {**ruled, "deploy": fields["deploy"]}  # how it is updated, Swarm knows itself
        for one in fields.get("networks") or {}:
            called = next(value for key, value in look.networks.items() if names[key] == one)
            networks[one] = {"name": called} if called != one else {"name": called, "external": True}
    model: Json = {"name": environment.project, "services": services}
    model |= {"networks": networks} if networks else {}
    volumes = volume_definitions(specs.values(), environment.project)
    return {**model, "volumes": volumes} if volumes else model


def _problems(environment: Environment, look: StackLook, model: Mapping[str, Any]) -> Iterator[str]:
    try:
        definitions = read_definitions(model)
    except RoasError as error:
        yield error.message
        return
    for service in look.services:
        name, spec = service_name(service["Spec"]), service["Spec"]
        if "@sha256:" not in _image(service):
            yield said("  - {service} runs {image} without a digest", service=name, image=_image(service))
        if (service.get("UpdateStatus") or {}).get("State") in UPDATING:
            yield said("  - an update of {service} is not over", service=name)
        made = service_spec(environment.project, model, definitions[name])
        if keys := differing_keys(made, spec, look.networks):
            yield said("  - {service} has what a compose file cannot say: {keys}", service=name, keys=", ".join(keys))


def _image(service: Mapping[str, Any]) -> str:
    return str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])
