"""Restore the data of services on the way back, where a person asked for that, and return it where that fails.

| step | what is done, and what a process that dies there leaves |
|---|---|
| – | the backups are read whole; nothing was changed |
| `saving` | what uses the data is stopped, of volumes all that mounts them, and the present data is backed up |
| `restoring` | services read the backups, or volumes get them: done again; what uses the data stays stopped till then |
| `restored` | the release comes back, and what uses the data starts |
| `returning`, `returned` | the rollback failed: the same with what was backed up in `saving` |
"""

import errno
import hashlib
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from roas.concurrency import in_thread, run_concurrently
from roas.deploy.components import Components
from roas.deploy.context import DeploymentContext
from roas.deploy.data.backups import back_up, backup_rules, backups_made, find_backup, measured, undisturbed
from roas.deploy.dependencies import DependencyCoordinator
from roas.errors import BackupError, InvalidRequestError
from roas.messages.message import Message, in_bytes, said, visible
from roas.models.backup import BackupReason, DataBackup, VolumeUser
from roas.models.deployment import DataChoice, DataStep, DeploymentRequest, ServiceStep, Stop
from roas.models.environment import Environment
from roas.models.health import ENDED, ContainerState
from roas.models.plan import Plan
from roas.models.stack import BackupRule, ServiceDefinition
from roas.stack.backups.files import not_written
from roas.stack.backups.service_data import restore_seconds
from roas.stack.containers.readiness import Readiness, ServiceReadiness, service_failure
from roas.stack.containers.watch import ContainerWatch
from roas.stack.model.durations import write_duration
from roas.stack.stack import Stack

# How the containers are of what is stopped, or was never started.
AT_REST = ENDED | {ContainerState.CREATED}
SAVED = frozenset({DataStep.RESTORING, DataStep.RESTORED, DataStep.RETURNING})


@dataclass(frozen=True, slots=True)
class Room:
    """Say how many bytes the disk of the backups has left, if that is known, and about how many are needed."""

    free: int | None
    needed: int


async def find_room(stack: Stack, backups: Sequence[DataBackup]) -> Room:
    """Find whether the present data has room: it is as large as its volumes are, else as what is restored."""
    sizes = await measured(stack, {backup.id: backup.volumes for backup in backups})
    free = await in_thread(stack.data.files.free_bytes)
    return Room(free, sum(sizes.get(backup.id, backup.size) for backup in backups))


async def find_backups(
    components: Components, environment: Environment, request: DeploymentRequest, services: Collection[str]
) -> tuple[DataBackup, ...]:
    """Return the backups that a rollback restores; none where it is without data. Raises BackupError.

    `services` are those whose data deployments back up: if possible there is a backup of each.
    """
    if not request.data:
        return ()
    if components.stacks.of(environment).replaces_by_itself:
        raise BackupError(
            said("Data is not restored on a Swarm: what uses it cannot be kept stopped there."),
            hint=said("Export the backup to a file, and let the service read that by hand."),
        )
    if request.data != (DataChoice.WITH,):
        return tuple([await find_backup(components, environment.name, backup_id) for backup_id in request.data])
    found = await components.state.data_backups.of_release(environment.name, request.target_release, services)
    if not found:
        of = "" if request.target_release is None else f"r{request.target_release}"
        raise BackupError(
            said("There is no backup of {release}.", release=of)
            if of
            else said("{environment} has no backup.", environment=environment.name),
            hint=said("`roas backups list {environment}` lists those there are.", environment=environment.name),
        )
    return found


def with_restores(
    plan: Plan,
    backups: Sequence[DataBackup],
    definitions: Mapping[str, ServiceDefinition],
    room: Room,
    own: str | None,
    holders: Collection[str] = (),
    *,
    needs_grant: bool = True,
) -> Plan:
    """Return the plan of a rollback that restores backups, too: where it `needs_grant`, that is a new power.

    The bot's `own` service is not stopped for it, nor replaced on the same way. The `holders` of volumes that are
    restored are stopped, too. Raises InvalidRequestError.
    """
    if own in {service.service for service in plan.changed}:
        raise InvalidRequestError(
            said("A rollback that replaces {service}, which is this bot itself, does not restore data.", service=own),
            hint=said("First roll back without data, then to the same release with data."),
        )
    ids = tuple(backup.id for backup in backups)
    powers = [f"{backup.service}: data of {backup.id}" for backup in backups] if needs_grant else []
    digest = hashlib.sha256("\n".join((plan.digest, *ids)).encode()).hexdigest()
    return replace(
        plan,
        digest=digest,
        restores=ids,
        new_powers=(*plan.new_powers, *powers),
        data=tuple(_lines(plan, backups, definitions, room, own, holders)),
    )


def _lines(
    plan: Plan,
    backups: Sequence[DataBackup],
    definitions: Mapping[str, ServiceDefinition],
    room: Room,
    own: str | None,
    holders: Collection[str],
) -> Iterator[Message]:
    services = {backup.service for backup in backups}
    for backup in backups:
        age = datetime.now(UTC) - backup.created_at
        yield said(
            "The data of {service} is replaced by that of {time} UTC, {age} ago ({size}, {backup}).",
            service=backup.service,
            time=f"{backup.created_at:%Y-%m-%d %H:%M}",
            age=write_duration(max(0, round(age.total_seconds()))),
            size=in_bytes(backup.size),
            backup=backup.id,
        )
    yield said("What was written since then is lost to the services. The present data is backed up first.")
    if left := sorted(backup_rules(definitions).keys() - services):
        yield said("The data of {services} is not restored: it stays as it is.", services=", ".join(left))
    by_command = {backup.service for backup in backups if not backup.volumes}
    for service in sorted(by_command.intersection(plan.replaced)):
        yield said(
            "The backup of {service} is read by the version that runs, not by the one it goes to.", service=service
        )
    if stopped := [name for name in users_of(definitions, services, holders) if name != own]:
        yield said("Meanwhile {services} is stopped.", services=", ".join(stopped))
    seconds = sum(backup.seconds for backup in backups)
    yield said(
        "To back up took {seconds} s; to do so again, and to restore, takes longer than that, and may take {limit} for "
        "one service. It needs about {size} of the disk.",
        seconds=f"{seconds:.1f}",
        limit=write_duration(round(max(map(restore_seconds, backups)))),
        size=in_bytes(room.needed),
    )
    if room.free is not None and room.needed > room.free:
        yield said(
            "The disk of the backups has {free} left: the rollback would fail before it changes any data.",
            free=in_bytes(room.free),
        )


def say_earlier(backups: Sequence[DataBackup], known: Iterable[DataBackup]) -> Iterator[Message]:
    """Say which deployments left the same release before those that these backups are of, `known` newest first.

    One that was tried again has backed up what the first attempt left of the data.
    """
    first, chosen = min(backup.created_at for backup in backups), {backup.deployment_id for backup in backups}
    earlier = dict[str, list[str]]()
    for backup in known:
        is_before = backup.created_at < first and backup.deployment_id not in chosen
        if is_before and backup.release == backups[0].release and backup.reason is BackupReason.DEPLOYMENT:
            earlier.setdefault(backup.deployment_id, []).append(backup.id)
    for deployment_id, ids in earlier.items():
        yield said(
            "r{release} was left before, too, by {deployment}: the data of before that is in {backups}.",
            release=backups[0].release,
            deployment=deployment_id,
            backups=", ".join(ids),
        )


def say_other_commands(
    backups: Iterable[DataBackup], rules: Mapping[str, BackupRule], definitions: Mapping[str, ServiceDefinition]
) -> Iterator[Message]:
    """Say by which commands backups are read, where the files of today do not say so: they run in the containers."""
    today = backup_rules(definitions)
    for backup in backups:
        command = rules[backup.service].restore
        if command and (backup.service not in today or today[backup.service].restore != command):
            yield said(
                "{service} reads {backup} by the command that it had then: `{command}`",
                service=backup.service,
                backup=backup.id,
                command=visible(shlex.join(command)),
            )


def users_of(
    definitions: Mapping[str, ServiceDefinition], services: Collection[str], holders: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what is stopped while the data of services is restored, dependents first.

    That is what depends on them, and the `holders` of volumes that are restored with what depends on these.
    """
    coordinator = DependencyCoordinator(definitions)
    holders = definitions.keys() & set(holders)
    users = (coordinator.dependents({*services, *holders}) - set(services)) | holders
    return tuple(name for name in reversed(coordinator.order(users)) if not definitions[name].one_shot)


async def find_holders(stack: Stack, backups: Iterable[DataBackup]) -> frozenset[str]:
    """Return the services that mount volumes of backups. Raises BackupError where something else uses one."""
    found = [await stack.data.users(backup.service, backup.volumes) for backup in backups if backup.volumes]
    return frozenset(user.service for users in found for user in users)


def is_due(context: DeploymentContext) -> bool:
    """Return whether there is data to restore, or to return, on the way that a deployment is on."""
    step = context.deployment.data_step
    if context.failed:
        return step in SAVED
    return bool(context.deployment.request.data) and step is not DataStep.RESTORED


async def restore_data(
    context: DeploymentContext,
    watch: ContainerWatch,
    definitions: Mapping[str, ServiceDefinition],
    spared: Collection[str],
) -> None:
    """Restore the data that was asked for, or, on the way back from a failure, what was there before.

    Services that are `spared`, such as the bot, are not stopped. Raises BackupError, EngineUnavailableError, and
    ServiceFailedError where somebody else meddles.
    """
    deployment = context.deployment
    backups = await _backups(context)
    rules = {backup.service: await context.stack.data.rule_of(backup) for backup in backups}
    for backup in backups:
        await context.stack.data.verify(backup)
    containers = {backup.service: await _find_container(context, backup, rules) for backup in backups}
    holders = await find_holders(context.stack, backups)
    before, after = DataStep.RESTORING, DataStep.RESTORED
    if context.failed:
        before, after = DataStep.RETURNING, DataStep.RETURNED
    elif deployment.data_step is None:
        await _require_room(context, backups)
        await context.update(data_step=DataStep.SAVING)
    users = [name for name in users_of(definitions, rules.keys(), holders) if name not in spared]
    there = [name for name in users if watch.of_service(name)]
    await _stop_users(context, watch, definitions, there)
    at_rest = await _require_stillness(context, backups)
    if not context.failed:
        await _save_present(context, definitions, rules, containers)
    stops = await _mark_stopped(context, there)
    await context.update(data_step=before)
    for backup in backups:
        await _restore(context, backup, containers[backup.service])
    await _require_still_stopped(context, watch, users)
    await _require_unused(context, backups, at_rest)
    for stop in stops:
        await context.components.state.stops.lift(stop.environment, stop.service, context.fence)
    await context.update(data_step=after)


async def _require_room(context: DeploymentContext, backups: Sequence[DataBackup]) -> None:
    """Raise BackupError where the present data would not fit on the disk, while nothing is stopped for it yet."""
    room = await find_room(context.stack, backups)
    if room.free is not None and room.free < room.needed:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise not_written(full) from full


async def _stop_users(
    context: DeploymentContext,
    watch: ContainerWatch,
    definitions: Mapping[str, ServiceDefinition],
    users: Sequence[str],
) -> None:
    """Stop what uses the data, in this order, and let no start of the engine start it."""
    for service in users:
        await run_concurrently(context.stack.keep_stopped(container.id) for container in watch.of_service(service))
        context.allow_drain(definitions[service])
        await context.components.manager.stop_service(context.stack, definitions[service], watch, context.report)


async def _save_present(
    context: DeploymentContext,
    definitions: Mapping[str, ServiceDefinition],
    rules: Mapping[str, BackupRule],
    containers: Mapping[str, str],
) -> None:
    """Back up the present data, which is there again where the restore fails."""
    await context.stack.data.clear_unfinished()
    saved = {backup.service for backup in await backups_made(context)}
    for service in sorted(rules.keys() - saved):
        rule = _rule_for_now(definitions.get(service), rules[service])
        await back_up(context, service, rule, BackupReason.RESTORE, containers[service], service)


async def _require_still_stopped(context: DeploymentContext, watch: ContainerWatch, users: Collection[str]) -> None:
    """Raise ServiceFailedError where somebody started what uses the data: it has read, or written, half of it.

    All of it is done again then, as where somebody else changes a service.
    """
    await watch.refresh()
    for service in users:
        if any(container.state not in AT_REST for container in watch.of_service(service)):
            reason = said("somebody else started it while its data was restored")
            found = ServiceReadiness(Readiness.FAILED, reason, stopped=True)
            raise await service_failure(context.stack, service, found)


async def _require_stillness(context: DeploymentContext, backups: Iterable[DataBackup]) -> frozenset[VolumeUser]:
    """Return what mounts the volumes. Raises BackupError where something that is not stopped uses one."""
    found = set[VolumeUser]()
    for backup in backups:
        users = await context.stack.data.users(backup.service, backup.volumes) if backup.volumes else ()
        found.update(users)
        if running := sorted({user.service for user in users if user.runs}):
            raise BackupError(
                said(
                    "The data of {service} is in use by {services}, which runs on.",
                    service=backup.service,
                    services=", ".join(running),
                ),
                hint=said("Wait until it has ended, or stop it, then roll back again."),
                service=backup.service,
            )
    return frozenset(found)


async def _require_unused(
    context: DeploymentContext, backups: Iterable[DataBackup], at_rest: Collection[VolumeUser]
) -> None:
    """Raise BackupError where something was started on a volume meanwhile: what was restored may be of two moments."""
    if started := sorted(user.name for user in await _require_stillness(context, backups) - set(at_rest)):
        raise BackupError(
            said("Somebody started {containers} on a volume while it was restored.", containers=", ".join(started)),
            hint=said("Wait until it has ended, or stop it, then roll back again."),
        )


def _rule_for_now(definition: ServiceDefinition | None, restored: BackupRule) -> BackupRule:
    """Return how the present data is backed up: as the version that runs writes it, which may have to read it again.

    Volumes that are restored are copied: what writes into them is stopped, and runs no command. It is not verified:
    data that somebody wants replaced may be no good.
    """
    own = definition.backup if definition is not None else None
    return replace(restored if own is None or restored.volumes or own.volumes else own, verify=())


async def _mark_stopped(context: DeploymentContext, users: Collection[str]) -> list[Stop]:
    """Write that services are stopped while data is half restored, so that nothing starts them if this ends there.

    Returns the marks of this deployment. What somebody stopped before stays as it was.
    """
    deployment, stops = context.deployment, context.components.state.stops
    reason = said("its data is half restored: {backups}", backups=", ".join(deployment.backups))
    known = await stops.of(context.environment.name)
    marks = [
        Stop(context.environment.name, name, deployment.request.requested_by, reason, datetime.now(UTC))
        for name in users
        if name not in known or known[name].reason == reason
    ]
    for mark in marks:
        await stops.put(mark, context.fence)
    return marks


async def used_data(context: DeploymentContext, definitions: Mapping[str, ServiceDefinition]) -> frozenset[str]:
    """Return the services whose data is restored, and those that are stopped for it. Raises BackupError."""
    backups = await _backups(context)
    services = {backup.service for backup in backups}
    return frozenset({*services, *users_of(definitions, services, await find_holders(context.stack, backups))})


async def _backups(context: DeploymentContext) -> tuple[DataBackup, ...]:
    ids = context.deployment.backups if context.failed else context.deployment.request.data
    return tuple([await find_backup(context.components, context.environment.name, backup_id) for backup_id in ids])


async def _find_container(context: DeploymentContext, backup: DataBackup, rules: Mapping[str, BackupRule]) -> str:
    """Return the container that reads a backup. Raises BackupError, while nothing is stopped."""
    hint = said(
        "Start it first: `/start {needed}`, or `roas start {environment} {needed}`.",
        needed=backup.service,
        environment=backup.environment,
    )
    container_id = await context.stack.data.find_container(backup.service, rules[backup.service], hint)
    if container_id is None:
        raise BackupError(
            said("The data of {service} cannot be restored: it has no container.", service=backup.service),
            hint=hint,
            service=backup.service,
        )
    return container_id


async def _restore(context: DeploymentContext, backup: DataBackup, container_id: str) -> None:
    context.allow(restore_seconds(backup))
    await context.report(backup.service, ServiceStep.RESTORING, said("its data of {backup}", backup=backup.id))
    async with undisturbed(context, backup.service):
        await context.stack.data.restore(backup, container_id)
