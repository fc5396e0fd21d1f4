"""Refuse files of which no stack can be made, whatever it may have."""

from collections.abc import Mapping
from typing import Any

from roas.errors import ComposeFileError, missing_files
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition
from roas.stack.docker.engine import is_local
from roas.stack.model.definitions import read_definitions
from roas.stack.model.rollout_policy import refuse_wrong_rollouts
from roas.stack.model.scales import MOST_REPLICAS
from roas.stack.model.services import replicas_of, services_of
from roas.stack.model.x_deploy.canary import refuse_impossible_canaries
from roas.stack.model.x_deploy.probes import refuse_impossible_probes
from roas.stack.model.x_deploy.proxy import refuse_impossible_proxies


def possible_definitions(model: Mapping[str, Any]) -> dict[str, ServiceDefinition]:
    """Return the definitions of a model's services. Raises ComposeFileError where one cannot be as it says."""
    refuse_wrong_rollouts(model)
    definitions = read_definitions(model)
    refuse_impossible_probes(definitions)
    refuse_impossible_proxies(definitions)
    refuse_impossible_canaries(definitions)
    return definitions


def refuse_none_and_too_many(services: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ComposeFileError where there is no service, or more than anybody would run."""
    if not services:
        raise ComposeFileError(said("The compose file has no service."))
    counts = [replicas_of(service) for service in services.values()]
    if min(counts) < 0 or max(len(services), sum(counts)) > MOST_REPLICAS:
        raise ComposeFileError(
            said("The compose file has more than {most} services or replicas.", most=MOST_REPLICAS),
        )


def refuse_missing_files(environment: Environment) -> None:
    """Raise ComposeFileError where compose files or env files are not there."""
    missing = [path for path in (*environment.compose_files, *environment.env_files) if not path.is_file()]
    if missing:
        raise missing_files(", ".join(map(str, missing)), is_followed=environment.repository is not None)


def refuse_remote_files(environment: Environment, model: Mapping[str, Any]) -> None:
    """Raise ComposeFileError where a remote engine is to bind our files: it would bind an empty folder instead."""
    if is_local(environment):
        return
    bound = [
        f"{name}: {volume['source']}"
        for name, service in services_of(model).items()
        for volume in service.get("volumes") or ()
        if volume.get("type") == "bind"
    ]
    bound += [name for name, service in services_of(model).items() if service.get("secrets")]
    if bound:
        raise ComposeFileError(
            said(
                "The engine of {environment} is on another machine and cannot bind our files: {bound}.",
                environment=environment.name,
                bound="; ".join(bound),
            ),
            hint=said("Put the files into the image, or use a named volume."),
        )
