"""Find what applying a model does to each service: plan, execution and rollback ask the same function."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from roas.models.deployment import OPEN_STEPS, Deployment, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.release import Release, ReleaseState
from roas.models.stack import DependencyKind, ServiceDefinition
from roas.stack.model.services import inactive_services, lenders_of, services_of, shared_with
from roas.stack.service_comparison import ServiceDifference, WantedService, by_service, compare_service
from roas.stack.stack import Stack

BEGUN = OPEN_STEPS | {ServiceStep.RESTORING}
REPLACED = frozenset({ServiceStep.WAITING, ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.COMPLETED})


def to_restart(definitions: Mapping[str, ServiceDefinition], replaced: Iterable[str]) -> frozenset[str]:
    """Return what starts again because something was replaced that it depends on (`depends_on.restart`)."""
    moved = set(replaced)
    found: set[str] = set()
    while waiting := {name for name, definition in definitions.items() if _restarts_after(definition, moved)} - moved:
        moved |= waiting
        found |= waiting
    return frozenset(found)


def begun_services(deployment: Deployment) -> frozenset[str]:
    """Return the services that an interrupted attempt had started: none of them was seen ready yet."""
    return frozenset(progress.service for progress in deployment.services if progress.step in BEGUN)


def replaced_before(deployment: Deployment) -> frozenset[str]:
    """Return the services that an earlier attempt has replaced or started again."""
    return frozenset(
        progress.service for progress in deployment.services if progress.changed and progress.step in REPLACED
    )


def _restarts_after(definition: ServiceDefinition, moved: set[str]) -> bool:
    return not definition.one_shot and any(edge.restart and edge.on in moved for edge in definition.dependencies)


@dataclass(frozen=True, slots=True)
class Scope:
    """Say what a deployment may touch.

    `named` services only (empty: all of them); of those that the model does not have, not what `inactive` profiles
    have, unless it was one of the services `moved` from. `begun` and `replaced` are what an earlier attempt did. Of the
    jobs, those do not run that are as the model `released` last has them, and none on a way that `goes_back`, unless
    it `runs_on_rollback`. Services that are `restarted` start again, though they run as they should, or have ended.
    A stack that is `emptied` has no container any more since this deployment removed them.
    """

    named: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    released: Mapping[str, Any] | None = None
    goes_back: bool = False
    restarted: frozenset[str] = frozenset()
    emptied: bool = False


@dataclass(frozen=True, slots=True)
class StackChanges:
    """Hold what is done: `differing` services are made as the model says, `restarts` stopped and started again.

    `gone` are removed. The bot's own service is not among those that differ: `own` says how it does. `left_alone` runs
    by hand and is in an inactive profile; `skipped` differs, and was not named. `done` are jobs that do not run, though
    none of their containers is as the model says; what they left unfinished, or on a way back of another release, is
    among the `gone`.
    """

    definitions: Mapping[str, ServiceDefinition]
    differing: Mapping[str, ServiceDifference]
    restarts: frozenset[str]
    gone: frozenset[str]
    own: ServiceDifference | None = None
    left_alone: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    sharing: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def difference_of(self, name: str) -> ServiceDifference | None:
        """Return how a service differs, the bot's own too; None where it does not."""
        if self.own is not None and self.own.service == name:
            return self.own or None
        return self.differing.get(name)


async def find_changes(
    stack: Stack,
    model: Mapping[str, Any],
    containers: tuple[ContainerSnapshot, ...],
    *,
    bot: OwnContainer | None,
    scope: Scope,
) -> StackChanges:
    """Compare a model with the containers that there are."""
    wanted = await stack.wanted_services(model, containers)
    there = by_service(containers)
    differences = {name: compare_service(service, there.get(name, ())) for name, service in wanted.items()}
    definitions = {name: service.definition for name, service in wanted.items()}
    sharing = {name: shared_with(fields) | lenders_of(fields) for name, fields in services_of(model).items()}
    # One that has run needs no other run for what is left beside it.
    jobs = await _done_jobs(stack, wanted, containers, scope)
    done = frozenset(name for name in jobs if not differences[name].has_only_too_many)
    own_service = frozenset() if bot is None else frozenset({bot.service})
    all_differing = {
        name: difference
        for name, difference in differences.items()
        if (difference or name in scope.begun) and name not in done | own_service
    }
    # What differs is made as it should be, or is not this deployment's affair: then it is not restarted either.
    running = {name: definition for name, definition in definitions.items() if runs(there.get(name, ()))}
    left_running = {name: definition for name, definition in running.items() if name not in all_differing}
    chosen = _chosen(scope.named, all_differing, definitions, sharing, left_running)
    differing = {name: difference for name, difference in all_differing.items() if name in chosen or not scope.named}
    # What was interrupted between the word and the act is as it should be, and is yet to be restarted.
    interrupted = {name for name, difference in all_differing.items() if not difference} - scope.replaced
    left_running |= {name: running[name] for name in interrupted & running.keys()}
    left_alone, gone = await _gone(stack, model, scope, wanted, there, done)
    return StackChanges(
        definitions=definitions,
        differing=differing,
        restarts=_restarts(scope, definitions, all_differing, differing, left_running) - own_service,
        gone=gone,
        own=_own_difference(bot, wanted, containers),
        left_alone=left_alone,
        skipped=frozenset(all_differing.keys() - differing.keys()),
        done=frozenset(name for name in done if differences[name]),
        sharing=sharing,
    )


async def _gone(
    stack: Stack,
    model: Mapping[str, Any],
    scope: Scope,
    wanted: Mapping[str, WantedService],
    there: Mapping[str, Collection[ContainerSnapshot]],
    done: frozenset[str],
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the services that a model does not have and that are left alone, and what is removed."""
    extra = frozenset((there.keys() | await stack.written_services()) - wanted.keys())
    left_alone = (extra & inactive_services(model)) - scope.moved
    if scope.named:
        return left_alone, frozenset()
    # Compose would recreate what another release's job left, and with it all that depends on that.
    returns = scope.goes_back and not stack.replaces_by_itself
    left = {name for name in done if _leaves_something(wanted[name], there.get(name, ()), returns=returns)}
    return left_alone, (extra - left_alone) | left


def _restarts(
    scope: Scope,
    definitions: Mapping[str, ServiceDefinition],
    all_differing: Mapping[str, ServiceDifference],
    differing: Mapping[str, ServiceDifference],
    running: Mapping[str, ServiceDefinition],
) -> frozenset[str]:
    """Return what starts again as it is: what was asked for, and what depends on something that is replaced."""
    moved = {name for name, difference in differing.items() if not difference.is_only_unread} | scope.replaced
    jobs = {name for name, definition in definitions.items() if definition.one_shot} - all_differing.keys()
    return to_restart(running, moved | scope.restarted) | (scope.restarted & (running.keys() | jobs))


async def _done_jobs(
    stack: Stack,
    wanted: Mapping[str, WantedService],
    containers: tuple[ContainerSnapshot, ...],
    scope: Scope,
) -> frozenset[str]:
    """Return the jobs that do not run: their work is done, or belongs to a release that is newer.

    A job that is named runs where nothing of it is there, and so does each where the stack is gone.
    """
    jobs = {
        name: wanted_service
        for name, wanted_service in wanted.items()
        if wanted_service.definition.one_shot and name not in scope.named
    }
    if scope.goes_back:
        return frozenset(name for name, job in jobs.items() if not job.definition.runs_on_rollback)
    if not jobs or scope.released is None or not (containers or scope.emptied):
        return frozenset()
    before = await stack.wanted_services(scope.released, containers)
    return frozenset(name for name, job in jobs.items() if name in before and job.is_like(before[name]))


def _leaves_something(wanted: WantedService, containers: Iterable[ContainerSnapshot], *, returns: bool) -> bool:
    """Return whether there are containers of a job that have not ended well, and are not at work as it says.

    Where its release `returns`, those of another one count as well.
    """
    return any(
        not (
            container.state is ContainerState.EXITED
            and container.exit_code == 0
            and (wanted.fits(container) or not returns)
        )
        and not (container.state is ContainerState.RUNNING and wanted.fits(container))
        for container in containers
    )


def _own_difference(
    bot: OwnContainer | None, wanted: Mapping[str, WantedService], containers: Iterable[ContainerSnapshot]
) -> ServiceDifference | None:
    """Compare the bot's own container; what is beside it is removed at the end of the deployment."""
    if bot is None or bot.service not in wanted:
        return None
    others = tuple(container for container in containers if container.service == bot.service and container.id != bot.id)
    own = tuple(container for container in containers if container.id == bot.id)
    unlike = tuple(container for container in own if not wanted[bot.service].fits(container))
    return ServiceDifference(bot.service, unlike=unlike, surplus=others)


def _chosen(
    named: frozenset[str],
    differing: Mapping[str, ServiceDifference],
    definitions: Mapping[str, ServiceDefinition],
    sharing: Mapping[str, Collection[str]],
    running: Mapping[str, ServiceDefinition],
) -> frozenset[str]:
    """Return the named services, with what cannot stay as it is when they change.

    What shares a namespace with a replaced one has lost it, and the other way round; what is too many of a service
    would be joined instead of the one that stays; and what a changed or restarted service needs has to run, all of it.
    """
    chosen = set(named)
    while True:
        changing = chosen & differing.keys()
        replaced = {name for name in changing if differing[name].unlike or differing[name].missing}
        more = {name for name, shared in sharing.items() if replaced & set(shared)}
        shared = {on for name in replaced for on in sharing.get(name, ()) if on in differing}
        more |= {on for on in shared if differing[on].unlike or differing[on].surplus}
        more |= {
            edge.on
            for name in changing | to_restart(running, changing)
            for edge in definitions[name].dependencies
            if edge.kind is not DependencyKind.SOFT and edge.on in differing and differing[edge.on].is_short
        }
        if more <= chosen:
            return frozenset(chosen)
        chosen |= more


def runs(containers: Iterable[ContainerSnapshot]) -> bool:
    """Return whether one of some containers runs."""
    return any(container.state is ContainerState.RUNNING for container in containers)


def brought_services(*releases: Release | None) -> frozenset[str]:
    """Return the services of releases that the bot deployed; what it adopted was started by somebody else."""
    brought = (release for release in releases if release and release.state is not ReleaseState.ADOPTED)
    return frozenset(service.name for release in brought for service in release.services)
