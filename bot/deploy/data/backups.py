"""Back up the data of services before a deployment changes anything, and drop backups that are too old."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from roas.concurrency import pause
from roas.deploy.components import Components
from roas.deploy.context import DeploymentContext
from roas.deploy.data.stopped_writers import StoppedWriters, start_again
from roas.errors import BackupError, ReleaseNotRestorableError
from roas.messages.message import Message, joined, said
from roas.models.backup import BackupReason, DataBackup
from roas.models.deployment import DataStep, Deployment, DeploymentKind, Problem, ServiceStep
from roas.models.health import ContainerSnapshot
from roas.models.release import Release
from roas.models.stack import BackupRule, ServiceDefinition
from roas.models.stored import new_id
from roas.stack.backups.service_data import saving_seconds
from roas.stack.containers.readiness import ServiceReadiness, find_disturbance, service_failure
from roas.stack.stack import Stack

PREFIX = "BACKUP"
# Of a service that asks for no backup any more, so many stay.
LEFT = 1
# Within so long after a command was killed, the engine says that its container has ended.
KNOWN_SECONDS = 2.0
POLL_SECONDS = 0.05
HALF_RESTORED = frozenset({DataStep.RESTORING, DataStep.RETURNING})


def backup_rules(definitions: Mapping[str, ServiceDefinition]) -> dict[str, BackupRule]:
    """Return how the data of services is backed up, of those that ask for it."""
    return {name: definition.backup for name, definition in definitions.items() if definition.backup is not None}


def of_releases(definitions: Mapping[str, ServiceDefinition]) -> frozenset[str]:
    """Return the services whose data deployments back up."""
    return frozenset(name for name, rule in backup_rules(definitions).items() if rule.is_of_releases)


async def measured(stack: Stack, volumes: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Return how many bytes groups of volumes hold, of those groups of which the engine knows all."""
    asked = {volume for names in volumes.values() for volume in names}
    sizes = await stack.data.volume_sizes(asked) if asked else {}
    return {
        group: sum(sizes[name] for name in names)
        for group, names in volumes.items()
        if names and sizes.keys() >= set(names)
    }


async def back_up_first(context: DeploymentContext, definitions: Mapping[str, ServiceDefinition]) -> None:
    """Back up what a release asks for, as long as nothing was changed. Raises BackupError, ServiceFailedError.

    What an earlier attempt backed up is not backed up again.
    """
    await start_again(context)  # what a process that died has stopped for it
    await refuse_half_restored(context, definitions)
    deployment = context.deployment
    is_plain = deployment.request.operation is None and deployment.request.kind is not DeploymentKind.ROLLBACK
    if not is_plain or deployment.touched or not any(progress.changed for progress in deployment.services):
        return
    rules = {name: rule for name, rule in backup_rules(definitions).items() if rule.before_deploy}
    if not rules:
        return
    await context.stack.data.clear_unfinished()
    made = {backup.service for backup in await backups_made(context)}
    # Only what succeeds drops them at its end: attempts that fail would fill the disk.
    try:
        await drop_old_backups(context, definitions, rules.keys() - made, release=deployment.from_release)
    except BackupError as error:
        context.warn(error.message)
    running = await _running(context)
    for service in sorted(rules.keys() - made):
        # The command of a new image may not be in the one that runs; of the same image, the newer rule counts.
        before, rule = running.get(service), rules[service]
        if before is not None and before.backup is not None and before.image != definitions[service].image:
            rule = before.backup
        if rule.volumes:  # what this deployment is about to make has nothing in it
            rule = await context.stack.data.existing(rule)
            if not rule.volumes:
                continue
        await _back_up_if_there(context, service, rule, service)


async def back_up_before(context: DeploymentContext, definitions: Mapping[str, ServiceDefinition], job: str) -> None:
    """Back up the data that a job may change, before it runs, unless this deployment has. Raises BackupError.

    On the way back from a failure nothing is backed up: that is what the backups from before are for. A service that
    this deployment has made is empty.
    """
    rules = {name: rule for name, rule in backup_rules(definitions).items() if job in rule.before_jobs}
    released = await context.components.state.releases.applied(context.environment.name) if rules else None
    if released is None or context.failed:
        return
    rules = {name: rule for name, rule in rules.items() if released.service(name) is not None}
    async with context.backing_up:  # jobs may run at the same time
        made = {backup.service for backup in await backups_made(context)}
        if not made:
            await context.stack.data.clear_unfinished()
        for service in sorted(rules.keys() - made):
            await _back_up_if_there(context, service, rules[service], job)


async def save_data(context: DeploymentContext, release: Release) -> str:
    """Back up the data of services on its schedule, and drop what is too old; returns what was backed up.

    Raises BackupError.
    """
    await start_again(context)  # what a process that died has stopped for it
    definitions = await context.definitions(context.model_hash or release.model_hash)
    await refuse_half_restored(context, definitions)
    rules, services = backup_rules(definitions), context.deployment.request.services
    await context.stack.data.clear_unfinished()
    made = {backup.service for backup in await backups_made(context)}
    for service in services:
        if service not in rules or service in made:
            continue
        if not await _back_up_if_there(context, service, rules[service], service, BackupReason.SCHEDULE):
            raise BackupError(
                said("The data of {service} was not backed up: it has no container.", service=service),
                service=service,
            )
    await drop_old_backups(context, definitions, services)
    return said(
        "{count} of {services} {services|service|services} backed up",
        count=len(context.deployment.backups),
        services=len(services),
    )


async def _back_up_if_there(
    context: DeploymentContext,
    service: str,
    rule: BackupRule,
    shown_at: str,
    reason: BackupReason = BackupReason.DEPLOYMENT,
) -> bool:
    """Back up the data of a service, and return whether it has a container.

    Raises BackupError, but not in a hotfix where none runs.
    """
    context.checkpoint()
    hint = said("Start it, or take `backup` out of its `x-deploy` to deploy without a backup.")
    try:
        container_id = await context.stack.data.find_container(service, rule, hint)
    except BackupError as error:
        if context.deployment.request.kind is not DeploymentKind.HOTFIX:
            raise
        context.warn(said("{problem} The hotfix went on without a backup.", problem=error.message))
        return True
    if container_id is not None:
        await back_up(context, service, rule, reason, container_id, shown_at)
    return container_id is not None


async def _running(context: DeploymentContext) -> dict[str, ServiceDefinition]:
    """Return the definitions of what runs, as far as they are kept."""
    released = await context.components.state.releases.applied(context.environment.name)
    if released is not None:
        with suppress(ReleaseNotRestorableError):
            return await context.definitions(released.model_hash)
    return {}


async def refuse_half_restored(context: DeploymentContext, definitions: Mapping[str, ServiceDefinition]) -> None:
    """Raise BackupError where the last restore of a service's data ended in the middle."""
    deployments, name = context.components.state.deployments, context.environment.name
    rules = backup_rules(definitions)
    whole: set[str] = set()
    for backup in await context.components.state.data_backups.list(name) if rules else ():
        if backup.reason is not BackupReason.RESTORE or backup.service in whole or backup.service not in rules:
            continue
        made_by = await deployments.get(backup.deployment_id)
        if made_by is None or made_by.id == context.deployment.id:
            continue
        if made_by.data_step is DataStep.RESTORED:
            whole.add(backup.service)
        elif made_by.data_step in HALF_RESTORED:
            raise BackupError(
                said("The data of {service} is half restored.", service=backup.service),
                hint=restore_again(made_by),
                service=backup.service,
            )


def restore_again(deployment: Deployment) -> Message:
    """Say how data is restored that a deployment has left half restored."""
    return said(
        "Restore it: `roas rollback {environment} --to {release} {data}` brings back what was there before.",
        environment=deployment.environment,
        release=deployment.from_release,
        data=" ".join(f"--data {backup_id}" for backup_id in deployment.backups),
    )


def with_half_restored(problem: Problem, deployment: Deployment) -> Problem:
    """Say of a deployment that ended while data was being restored that it is half of it, and what to do."""
    if deployment.data_step not in HALF_RESTORED:
        return problem
    half = said("Data is half restored, and what uses it stays stopped. {hint}", hint=restore_again(deployment))
    return replace(problem, hint=joined("\n", (problem.hint, half)) if problem.hint else half)


async def backups_made(context: DeploymentContext) -> tuple[DataBackup, ...]:
    """Return what this deployment has backed up; one that a process which died did not note with it is noted now."""
    made = await context.components.state.data_backups.made_by(context.deployment.id)
    if (ids := tuple(backup.id for backup in made)) != context.deployment.backups:
        await context.update(backups=ids)
    return made


async def back_up(
    context: DeploymentContext,
    service: str,
    rule: BackupRule,
    reason: BackupReason,
    container_id: str,
    shown_at: str,
) -> None:
    """Back up the data of one service, by its rule. Raises BackupError, ServiceFailedError.

    People see that at the service, or at the job before which that is done. What writes into its volumes is stopped for
    that, unless it is already, and runs again after it.
    """
    data, deployment = context.stack.data, context.deployment
    context.allow(saving_seconds(rule))
    known = next((progress.step for progress in deployment.services if progress.service == shown_at), None)
    text = said("its data is backed up")
    if shown_at != service:
        text = said("the data of {service} is backed up", service=service)
    await context.report(shown_at, known or ServiceStep.PENDING, text)
    backup_id, stopped = new_id(PREFIX), StoppedWriters()
    stillness = None
    if rule.volumes and reason is not BackupReason.RESTORE:
        stillness = stopped.of(context, partial(data.users, service, rule.volumes), pauses=rule.pauses)
    # What is stopped and started for that is no doing of others.
    async with undisturbed(context, service) if stillness is None else nullcontext():
        saved = await context.run_unless_cancelled(data.save(backup_id, service, rule, container_id, stillness))
    backup = DataBackup(
        backup_id,
        context.environment.name,
        service,
        deployment.id,
        reason,
        deployment.from_release,
        datetime.now(UTC),
        round(saved.seconds, 3),
        saved.size,
        saved.sha256,
        rule.volumes,
        round(stopped.seconds, 3),
        recipient=saved.recipient,
    )
    await context.components.state.data_backups.add(backup, context.fence, deployment.correlation_id)
    await context.update(backups=(*context.deployment.backups, backup_id))


@asynccontextmanager
async def undisturbed(context: DeploymentContext, service: str) -> AsyncIterator[None]:
    """Blame no command that ended since somebody else restarted or replaced the container that it ran in.

    Raises ServiceFailedError then, and all of it is done again. What is gone is none to do that with: the BackupError
    of the block says how it ended.
    """
    first = {container.id: container for container in await _containers(context, service)}
    try:
        yield
    except BackupError as error:
        found = await _find_disturbance(context, service, first)
        if found is None:
            raise
        raise await service_failure(context.stack, service, found) from error


async def _find_disturbance(
    context: DeploymentContext, service: str, first: Mapping[str, ContainerSnapshot]
) -> ServiceReadiness | None:
    """Find what somebody else did to containers: what runs in one ends a moment before the engine says so of it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KNOWN_SECONDS
    while there := await _containers(context, service):
        found = find_disturbance(first, there)
        if found is not None or loop.time() >= deadline:
            return found
        await pause(POLL_SECONDS)
    return None


async def _containers(context: DeploymentContext, service: str) -> list[ContainerSnapshot]:
    return [container for container in await context.stack.containers() if container.service == service]


def say_backups(context: DeploymentContext) -> Iterator[Message]:
    """Say, of a deployment that failed after it changed something, that there are backups from before it."""
    deployment = context.deployment
    if deployment.backups and deployment.touched and deployment.request.kind is not DeploymentKind.ROLLBACK:
        if context.stack.replaces_by_itself:
            yield said(
                "No data was restored. It was backed up before this deployment: {backups}.",
                backups=", ".join(deployment.backups),
            )
            return
        yield said(
            "No data was restored. It was backed up before this deployment: `/rollback {environment} to:r{release} "
            "data:with`, or `roas rollback {environment} --to {release} --data with`, restores it.",
            environment=deployment.environment,
            release=deployment.from_release,
        )


async def drop_old_backups(
    context: DeploymentContext,
    definitions: Mapping[str, ServiceDefinition],
    services: Collection[str] | None = None,
    *,
    release: int | None = None,
) -> None:
    """Drop the backups beyond those that each service keeps, or each of these. Raises BackupError.

    They are forgotten first, so that nobody restores one whose file is about to go: those go with a later deployment.
    What an earlier journal kept, in whose place somebody put this one, is not dropped. The first one of the `release`
    that runs stays, where deployments fail again and again.
    """
    backups = context.components.state.data_backups
    if not (known := await backups.list(context.environment.name)):
        return
    known = tuple(backup for backup in known if services is None or backup.service in services)
    old = [backup.id for backup in beyond(known, backup_rules(definitions), release)]
    await backups.forget(old, context.fence)
    chosen_at = (await context.components.state.newest(context.environment.name)).chosen_at
    await context.stack.data.clear(await backups.ids(kept=True), await backups.ids(kept=False), chosen_at)


def beyond(
    backups: Sequence[DataBackup], rules: Mapping[str, BackupRule], release: int | None = None
) -> Iterator[DataBackup]:
    """Yield the backups, given newest first, that are more than their service keeps.

    Those on schedule count by themselves: else a week of nights would drop what a release goes back with. The first
    one of a `release` is one of those that stay: the others have what attempts that failed made of the data.
    """
    of_release = (
        backup for backup in backups if backup.release == release and backup.reason is BackupReason.DEPLOYMENT
    )
    first = {backup.service: backup.id for backup in of_release} if release is not None else {}
    counts = Counter[tuple[str, bool]]((service, False) for service in first)
    for backup in backups:
        if backup.id == first.get(backup.service):
            continue
        kind = backup.service, backup.reason is BackupReason.SCHEDULE
        counts[kind] += 1
        rule = rules.get(backup.service)
        if counts[kind] > (rule.keep if rule is not None else LEFT):
            yield backup


async def find_backup(components: Components, environment: str, backup_id: str) -> DataBackup:
    """Return a backup that is kept. Raises BackupError."""
    backup = await components.state.data_backups.get(backup_id)
    if backup is None or backup.environment != environment:
        raise BackupError(
            said("{environment} has no backup {backup}.", environment=environment, backup=backup_id),
            hint=said("`roas backups list {environment}` lists those there are.", environment=environment),
        )
    return backup
