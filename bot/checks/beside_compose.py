"""Say where somebody's `docker compose up -d` in the stack's folder does something else than what is deployed.

Plans say it once for an environment, until something about it changes; `roas doctor` repeats it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from roas.checks.check import Finding, failed, passed, stack_check
from roas.checks.subject import Subject
from roas.messages.message import Message, said
from roas.models.check import CheckSeverity
from roas.models.plan import Plan, ServiceAction
from roas.models.post import Post
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ResolvedStack
from roas.stack.model.services import binds_copies, dependents_of, services_of
from roas.state.posts import Posts

ADVICE = "compose-advice"  # the kind of the post that says what an environment's people were told


class ToldAdvice:
    """Know which advice the people of an environment were given: it is the same whatever version it names."""

    def __init__(self, posts: Posts, environment: str) -> None:
        self._posts = posts
        self._row = Post(environment, ADVICE, 0, finished=True)

    async def untold(self, advice: Iterable[Message]) -> tuple[Message, ...]:
        """Return the advice that nobody was given yet."""
        told = await self._told()
        return tuple(message for message in advice if _mark(message) not in told)

    async def tell(self, texts: Iterable[str]) -> None:
        """Keep which advice is among the texts that people were shown."""
        told = await self._told()
        given = {_mark(text) for text in texts if is_advice(text)}
        if given - told:
            await self._posts.save(replace(self._row, content_hash=" ".join(sorted(told | given))))

    async def _told(self) -> set[str]:
        row = await self._posts.get(self._row.subject, ADVICE)
        return set() if row is None else set(row.content_hash.split())


def _mark(text: str) -> str:
    about = (
        (text.key, text.fields.get("services", ""), text.fields.get("jobs", "")) if isinstance(text, Message) else ()
    )
    return hashlib.sha256(repr(tuple(map(str, about))).encode()).hexdigest()[:8]


def is_advice(text: str) -> bool:
    """Return whether a text of a plan is advice of this kind."""
    return isinstance(text, Message) and text.key in _KEYS


@stack_check("compose_by_hand", CheckSeverity.INFO)
async def compose_by_hand(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Say what `docker compose up -d` in the stack's folder does otherwise."""
    if subject.has_nodes:
        return [passed()]
    services = services_of(stack.model)
    copying = {name for name, fields in services.items() if binds_copies(fields)}
    files = [_name_another(stack)] if stack.beside_files else []
    advice = [*files, *_recreated(services, copying), *_jobs_again(stack.definitions)]
    return [failed(message) for message in advice] or [passed()]


def _name_another(stack: ResolvedStack) -> Message:
    is_cloned = stack.environment.repository is not None
    return (repository_names_another if is_cloned else files_name_another)(stack.version, stack.environment.name)


def warn_of_compose(plan: Plan, stack: ResolvedStack) -> Iterator[Message]:
    """Say where somebody's `docker compose up -d` in the stack's folder will do something else than this."""
    yield from _recreated_by_compose(plan, services_of(stack.model))
    if plan.changed and stack.beside_files:
        yield _name_another(stack)
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
        yield _perhaps_recreated(", ".join(perhaps))
    yield from _recreated(services, {service.service for service in copying if not service.if_image_differs})


def _recreated(services: Mapping[str, Mapping[str, Any]], copied: set[str]) -> Iterator[Message]:
    if copied:
        yield _recreates(", ".join(sorted(copied)))
        if dependents := dependents_of(services, copied):
            yield _recreates_dependents(", ".join(sorted(dependents)))


def _jobs_again(definitions: Mapping[str, ServiceDefinition]) -> Iterator[Message]:
    """Say which jobs somebody's `docker compose up -d` runs again: it starts whatever has ended, of its version."""
    if jobs := sorted(name for name, definition in definitions.items() if definition.one_shot):
        yield _runs_again(", ".join(jobs))


def _perhaps_recreated(services: str) -> Message:
    return said(
        "Where {services} is recreated, `docker compose up -d` recreates it again: it binds the stack's files, a "
        "release has copies of them.",
        services=services,
    )


def _recreates(services: str) -> Message:
    return said(
        "`docker compose up -d` recreates {services}: it binds the stack's files, a release has copies of them.",
        services=services,
    )


def _recreates_dependents(services: str) -> Message:
    return said(
        "Compose 2.26 also recreates what depends on that: {services}. Compose 2.40 does not.", services=services
    )


def _runs_again(jobs: str) -> Message:
    return said("`docker compose up -d` also runs {jobs} again.", jobs=jobs)


def files_name_another(version: str, environment: str) -> Message:
    """Say that the stack's files name another version than the one that is deployed."""
    return said(
        "`docker compose up -d` goes by the stack's files, which name another version. Write {version} there, too, "
        "or use `roas compose {environment} -- up -d`.",
        version=version,
        environment=environment,
    )


def repository_names_another(version: str, environment: str) -> Message:
    """Say that the files of the stack's repository name another version than the one that is deployed."""
    return said(
        "`docker compose up -d` goes by the repository's files, which name another version. Commit {version} "
        "there, or use `roas compose {environment} -- up -d`.",
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


_KEYS = frozenset(
    message.key
    for message in (
        *(words("") for words in (_perhaps_recreated, _recreates, _recreates_dependents, _runs_again)),
        *(words("", "") for words in (files_name_another, repository_names_another, files_may_differ)),
    )
)
