"""Judge a stack by what it was to become: a difference that plan and execution both miss is in no plan."""

from collections.abc import Iterator, Mapping

from tools.campaigns.plans.composing import Service, hash_of, joined_by
from tools.campaigns.plans.machine import EXITED, RUNNING, Container, Machine


def find_unsettled(machine: Machine, project: str, services: Mapping[str, Service]) -> Iterator[str]:
    """Say in words where a stack is not as the release that was deployed to it."""
    for name, service in sorted(services.items()):
        there = machine.of(project, name)
        if service.one_shot and all(_does_its_part(container, service) for container in there):
            continue  # the job of a release is done, whatever became of its containers
        if len(there) != service.replicas:
            yield f"{name}: has {len(there)} containers, {service.replicas} were to be"
        joined = joined_by(service, machine.of(project))
        wanted = hash_of(service, joined.id if joined else "")
        for item in there:
            if item.config_hash != wanted or item.image != service.image_id:
                yield f"{name}: {item.name} is not of the release that was deployed"
            if not _does_its_part(item, service):
                yield f"{name}: {item.name} is {item.state}"


def _does_its_part(one: Container, service: Service) -> bool:
    return (one.state, one.exit_code) == (EXITED, 0) if service.one_shot else one.state == RUNNING
