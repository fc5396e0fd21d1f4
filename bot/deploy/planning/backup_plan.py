"""Say in a plan whose data is backed up, what stands still for that and how long, and whether the disk has room."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from roas.deploy.components import Components
from roas.deploy.data.backups import backup_rules, measured
from roas.errors import BackupError
from roas.messages.message import Message, in_bytes, joined, said
from roas.models.backup import DataBackup
from roas.models.environment import Environment
from roas.models.plan import Plan
from roas.models.stack import BackupRule, ServiceDefinition
from roas.stack.backups.service_data import saving_seconds
from roas.stack.model.durations import write_duration
from roas.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class PlannedBackup:
    """Hold what is known of a backup before it is made: the last one, and about how many bytes it will have.

    It is made before one of these `jobs` runs, or before all of the deployment. None is what nobody knows.
    """

    service: str
    rule: BackupRule
    jobs: tuple[str, ...]
    last: DataBackup | None
    size: int | None


async def describe_backups(
    components: Components, environment: Environment, plan: Plan, definitions: Mapping[str, ServiceDefinition]
) -> tuple[Message, ...]:
    """Say what a deployment backs up, how long that took the last time, and whether there is room for it."""
    changing = {service.service for service in plan.changed}
    rules = {
        name: rule
        for name, rule in backup_rules(definitions).items()
        if rule.before_deploy or changing.intersection(rule.before_jobs)
    }
    if not rules:
        return ()
    stack = components.stacks.of(environment)
    there = {container.service for container in await stack.containers()}
    known = await components.state.data_backups.list(environment.name)
    planned = await _planned(stack, {name: rules[name] for name in sorted(rules) if name in there}, known, changing)
    copied = {backup.service: backup.still_seconds for backup in reversed(known) if backup.still_seconds}
    lines: list[Message] = []
    for backup in planned:
        lines += [_describe(backup), *await _obstacles(stack, backup, copied.get(backup.service))]
    return (*lines, *_describe_room(planned, stack.data.files.free_bytes()))


async def _planned(
    stack: Stack, rules: Mapping[str, BackupRule], known: tuple[DataBackup, ...], changing: set[str]
) -> list[PlannedBackup]:
    """Return the backups that are made, each as large as the last one; of the first one, as its volumes are."""
    last = {name: next((backup for backup in known if backup.service == name), None) for name in rules}
    sizes = await measured(stack, {name: rule.volumes for name, rule in rules.items() if last[name] is None})

    def size_of(name: str) -> int | None:
        backup = last[name]
        return sizes.get(name) if backup is None else backup.size

    def jobs_of(rule: BackupRule) -> tuple[str, ...]:
        return () if rule.before_deploy else tuple(sorted(changing.intersection(rule.before_jobs)))

    return [PlannedBackup(name, rule, jobs_of(rule), last[name], size_of(name)) for name, rule in rules.items()]


def _describe(backup: PlannedBackup) -> Message:
    service = backup.service
    if backup.jobs:
        return said(
            "The data of {service} is backed up before {jobs} runs.", service=service, jobs=", ".join(backup.jobs)
        )
    if backup.last is not None:
        return said(
            "The data of {service} is backed up first: {size} in {seconds} s the last time.",
            service=service,
            size=in_bytes(backup.last.size),
            seconds=f"{backup.last.seconds:.1f}",
        )
    if backup.size is not None:
        return said(
            "The data of {service} is backed up first: its volumes hold {size}.",
            service=service,
            size=in_bytes(backup.size),
        )
    return joined(
        " ",
        (
            said("The data of {service} is backed up first.", service=service),
            said("Nobody knows yet how large it is."),
        ),
    )


async def _obstacles(stack: Stack, backup: PlannedBackup, still_seconds: float | None) -> list[Message]:
    """Say what stands still for a backup, and what is in the way of it."""
    told = await _describe_stillness(stack, backup.service, backup.rule, still_seconds)
    if stack.replaces_by_itself and told is None:
        told = await _out_of_reach(stack, backup.service, backup.rule)
    return [] if told is None else [told]


async def _out_of_reach(stack: Stack, service: str, rule: BackupRule) -> Message | None:
    """Say what keeps a task's data from being backed up: it may run on any node, and only one is asked."""
    try:
        await stack.data.find_container(service, rule, "")
    except BackupError as error:
        return said("The deployment would fail before it changes anything: {problem}", problem=error.message)
    return None


async def _describe_stillness(stack: Stack, service: str, rule: BackupRule, last: float | None) -> Message | None:
    """Say what stands still while volumes are copied, or what is in the way of that; None where nothing does."""
    if not rule.volumes:
        return None
    try:
        users = await stack.data.users(service, rule.volumes)
    except BackupError as error:
        return said("The deployment would fail before it changes anything: {problem}", problem=error.message)
    if not (writers := sorted({user.service for user in users if user.writes and user.runs})):
        return None
    what = said("paused") if rule.pauses else said("stopped")
    names = ", ".join(writers)
    if last is None:
        limit = write_duration(round(saving_seconds(rule)))
        return said(
            "Meanwhile {services} is {what}: nobody knows yet for how long, at most {limit}.",
            services=names,
            what=what,
            limit=limit,
        )
    return said(
        "Meanwhile {services} is {what}: for {seconds} s the last time.",
        services=names,
        what=what,
        seconds=f"{last:.1f}",
    )


def _describe_room(planned: list[PlannedBackup], free: int | None) -> Iterator[Message]:
    needed = sum(backup.size or 0 for backup in planned)
    if free is not None and needed > free:
        yield said(
            "The disk of the backups has {free} left, and about {needed} is needed: the deployment would fail.",
            free=in_bytes(free),
            needed=in_bytes(needed),
        )
