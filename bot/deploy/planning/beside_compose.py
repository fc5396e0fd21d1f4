"""Say where somebody's `docker compose up -d` in the stack's folder does something else than what is deployed."""

from collections.abc import Iterator, Mapping
from typing import Any

from roas.messages.message import Message, said
from roas.models.plan import Plan, ServiceAction
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ResolvedStack
from roas.stack.model.services import binds_copies, dependents_of, services_of


def warn_of_compose(plan: Plan, stack: ResolvedStack) -> Iterator[str]:
    """Say where somebody's `docker compose up -d` in the stack's folder will do something else than this."""
    yield from _recreated_by_compose(plan, services_of(stack.model))
    if plan.changed and stack.beside_files:
        if stack.environment.repository is None:
            yield files_name_another(stack.version, plan.environment)
        else:
            yield said(
                "`docker compose up -d` goes by the repository's files, which name another version. Commit {version} "
                "there, or use `roas compose {environment} -- up -d`.",
                version=stack.version,
                environment=plan.environment,
            )
        yield from _jobs_again(stack.definitions)


def warn_of_compose_after(
    plan: Plan, target: Release, model: Mapping[str, Any], definitions: Mapping[str, ServiceDefinition]
) -> Iterator[Message]:
    """Say what somebody's `docker compose up -d` does after a release came back with this model."""
    if plan.changed:
        yield files_may_differ(target.label, plan.environment)
        yield from _recreated_by_compose(plan, services_of(model))
        yield from _jobs_again(definitions)


def _recreated_by_compose(plan: Plan, services: Mapping[str, Mapping[str, Any]]) -> Iterator[Message]:
    """Say which of the services that are made now Compose makes again, since they bind copies of the stack's files."""
    made = [service for service in plan.services if service.action in {ServiceAction.CREATE, ServiceAction.RECREATE}]
    copying = [service for service in made if binds_copies(services.get(service.service, {}))]
    if perhaps := sorted(service.service for service in copying if service.if_image_differs):
        yield said(
            "Where {services} is recreated, `docker compose up -d` recreates it again: it binds the stack's files, a "
            "release has copies of them.",
            services=", ".join(perhaps),
        )
    if copied := {service.service for service in copying if not service.if_image_differs}:
        yield said(
            "`docker compose up -d` recreates {services}: it binds the stack's files, a release has copies of them.",
            services=", ".join(sorted(copied)),
        )
        if dependents := dependents_of(services, copied):
            yield said(
                "Compose 2.26 also recreates what depends on that: {services}. Compose 2.40 does not.",
                services=", ".join(sorted(dependents)),
            )


def _jobs_again(definitions: Mapping[str, ServiceDefinition]) -> Iterator[Message]:
    """Say which jobs somebody's `docker compose up -d` runs again: it starts whatever has ended, of its version."""
    if jobs := sorted(name for name, definition in definitions.items() if definition.one_shot):
        yield said("`docker compose up -d` also runs {jobs} again.", jobs=", ".join(jobs))


def files_name_another(version: str, environment: str) -> Message:
    """Say that the stack's files name another version than the one that is deployed."""
    return said(
        "`docker compose up -d` goes by the stack's files, which name another version. Write {version} there, too, "
        "or use `roas compose {environment} -- up -d`.",
        version=version,
        environment=environment,
    )


def files_may_differ(release: str, environment: str) -> Message:
    """Say what somebody's `docker compose up -d` does after a release came back, whatever the files name today."""
    return said(
        "`docker compose up -d` goes by the stack's files: where they differ from {release}, it deploys what they say. "
        "`roas compose {environment} -- up -d` goes by {release}.",
        release=release,
        environment=environment,
    )
