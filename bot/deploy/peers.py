"""Classify containers: which are bots on this journal, and which did somebody else make."""

import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp

from roas.errors import ReleaseNotRestorableError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.deployment import UNTOUCHED_STEPS, Deployment
from roas.models.environment import Environment
from roas.models.facts import BotPlace, OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.leader_lease import JOURNAL_LOST, PeerVerdict, Standing
from roas.models.recovery import RecoveryAction
from roas.stack.containers.repair import has_wrong_name
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

# A passing name lasts as long as the old container takes to stop: one that is older was left by a Compose that died.
STABLE = timedelta(minutes=5)
# What these deployments meant to make is known as theirs; what an earlier one left was met by each of them.
AUTHORS_READ = 5


class Authorship:
    """Judge containers that never ran, or that have a passing name.

    | container | it is |
    |---|---|
    | of a release's model, of a service and hash that was meant to be made, and made after that | left over |
    | under a passing name, and older than `STABLE` by the engine's clock | left over |
    | any other | theirs; while it is young, so is what else of its service looks left over |

    Who asks holds the deployment lock, and has ended what a dead owner of it had started (`Resumption`): so nobody of
    ours is making anything at that moment.
    """

    def __init__(self, stacks: Stacks, state: StateManager) -> None:
        self._stacks = stacks
        self._state = state

    async def of_others(
        self, environment: Environment, containers: Iterable[ContainerSnapshot]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return the containers that look left over and are not to be touched. Raises RoasError."""
        unstarted = [snapshot for snapshot in containers if snapshot.never_ran or has_wrong_name(snapshot)]
        stack = self._stacks.of(environment)
        if not unstarted or not stack.shares_with_compose:
            return ()
        now = await stack.probe().now()
        intended = await self._intended(environment, unstarted)
        left = [
            snapshot
            for snapshot in unstarted
            if snapshot.id in intended or (has_wrong_name(snapshot) and _is_stable(snapshot, now))
        ]
        busy = {snapshot.service for snapshot in unstarted if snapshot not in left and not _is_stable(snapshot, now)}
        return tuple(snapshot for snapshot in unstarted if snapshot not in left or snapshot.service in busy)

    async def _intended(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> frozenset[str]:
        """Return, by id, what we meant to make."""
        deployments = await self._state.deployments.list(environment.name, limit=AUTHORS_READ, with_saves=False)
        return frozenset(
            [snapshot.id for snapshot in containers if await self._is_intended(environment, snapshot, deployments)]
        )

    async def _is_intended(
        self, environment: Environment, container: ContainerSnapshot, deployments: Iterable[Deployment]
    ) -> bool:
        if not container.of_release:  # Compose gives the same hash to what is made from the stack's own files
            return False
        for deployment in deployments:
            meant = any(
                progress.service == container.service and (progress.changed or progress.step not in UNTOUCHED_STEPS)
                for progress in deployment.services
            )
            if (
                meant
                and _is_between(container, deployment.created_at, deployment.ended_at)
                and await self._has_hash(environment, container, await self._models(environment, deployment))
            ):
                return True
        recreations = await self._state.recoveries.of(environment.name, container.service, RecoveryAction.RECREATE)
        if not any(_is_between(container, recreation.begun_at, None) for recreation in recreations):
            return False
        applied = await self._state.releases.applied_model(environment.name)
        return await self._has_hash(environment, container, {applied} if applied else set())

    async def _models(self, environment: Environment, deployment: Deployment) -> set[str]:
        numbers = {deployment.from_release, deployment.to_release} - {None}
        found = [await self._state.releases.get(environment.name, number) for number in numbers if number is not None]
        return {release.model_hash for release in found if release is not None} | ({deployment.applied_model} - {""})

    async def _has_hash(self, environment: Environment, container: ContainerSnapshot, models: set[str]) -> bool:
        for model_hash in models:
            with suppress(ReleaseNotRestorableError):
                stack = self._stacks.of(environment)
                wanted = (await stack.wanted_services(await stack.load_model(model_hash))).get(container.service)
                if wanted is not None and wanted.fits(container):
                    return True
        return False


def left_alone_text(container: ContainerSnapshot) -> str:
    """Return what people read of a container that somebody else is making."""
    return said("{name} was created by somebody else and not started yet: it is left as it is", name=container.name)


def _is_stable(container: ContainerSnapshot, now: datetime) -> bool:
    return container.created_at is not None and now - container.created_at > STABLE


def _is_between(container: ContainerSnapshot, begun: datetime, ended: datetime | None) -> bool:
    """Return whether a container was created within a time; the engine lists whole seconds."""
    made = container.created_at
    return made is not None and begun.replace(microsecond=0) <= made and (ended is None or made <= ended)


log = get_logger(__name__)

ASK_SECONDS = 1.0
ANSWER_BYTES = 64 * 1024
OK = 200
# A successor that never opened the journal is known by the deployment that created it; of these so many are read.
DEPLOYMENTS_READ = 20


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """Hold the answer of a bot's /health: its journal, or that it lost it; the release before reports neither."""

    journal: str = ""
    lost: bool = False


# Ask a bot's /health at an address; None where nothing answers there as a bot does.
AskHealth = Callable[[str], Awaitable[HealthAnswer | None]]


class Peers:
    """Judge the other containers of the bot's service. `source` is what `STATE_DIR` is on the engine's machine.

    | container | source | what it, or our journal, says | standing |
    |---|---|---|---|
    | any | another, or none | whatever | foreign |
    | created | the same | somebody else is making it (`Authorship`) | unproven |
    | created, restarting, ended | the same | whatever | peer |
    | running | the same | /health: our journal's id | peer |
    | running | the same | /health: another id, or that it lost its journal | foreign |
    | running | the same | /health without an id (the release before): our journal has its heartbeat | peer |
    | running, paused | the same | no answer: our journal has its heartbeat | peer |
    | running, paused | the same | no answer: one of our deployments created it as a successor | peer |
    | running, paused | the same | nothing of all this | unproven |

    A container without a process uses no journal, and its next process opens what is in that folder: our journal.
    Only a running one may hold open a journal that is no longer there. A heartbeat in our journal is written only by a
    process that has this journal open. It replaces the answer of a bot that hangs or cannot be reached
    from here, but never overrides what that bot itself reports.
    """

    def __init__(
        self,
        stacks: Stacks,
        state: StateManager,
        own_container: Callable[[Environment], Awaitable[OwnContainer | None]],
        ask: AskHealth | None = None,
    ) -> None:
        self._stacks = stacks
        self._state = state
        self._own_container = own_container
        self._ask = ask or ask_health
        self._authorship = Authorship(stacks, state)

    async def judge(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> tuple[PeerVerdict, ...]:
        """Judge containers of the bot's service other than this process's own. Raises RoasError."""
        judged = tuple(containers)
        if not judged:
            return ()
        own = await self._own_container(environment)
        ids = [*(snapshot.id for snapshot in judged), *([own.id] if own else [])]
        places = await self._stacks.of(environment).probe().bot_places(ids)
        ours = places.get(own.id) if own else None
        source = str(self._state.folder) if own is None else ours.state_source if ours else ""
        others = await self._authorship.of_others(environment, judged)
        return tuple(
            [
                await self._judge(
                    snapshot, places.get(snapshot.id), ours, source, environment, is_theirs=snapshot in others
                )
                for snapshot in judged
            ]
        )

    async def _judge(
        self,
        container: ContainerSnapshot,
        place: BotPlace | None,
        ours: BotPlace | None,
        source: str,
        environment: Environment,
        *,
        is_theirs: bool,
    ) -> PeerVerdict:
        if place is None:  # it is gone: there is nothing to be spared
            return PeerVerdict(container, Standing.PEER)
        if not source or place.state_source != source:
            where = place.state_source or said("no folder of the host")
            return PeerVerdict(
                container,
                Standing.FOREIGN,
                said("its STATE_DIR is {where}, this bot's {source}", where=where, source=source or "unknown"),
            )
        if is_theirs and container.never_ran:
            return PeerVerdict(container, Standing.UNPROVEN, said("somebody else created it and has not started it"))
        if container.state not in {ContainerState.RUNNING, ContainerState.PAUSED}:
            return PeerVerdict(container, Standing.PEER)
        answer = await self._answer(place, ours) if container.state is ContainerState.RUNNING else None
        if answer is not None and answer.lost:
            return PeerVerdict(container, Standing.FOREIGN, said("it has lost its journal"))
        if answer is not None and answer.journal == self._state.journal_id:
            return PeerVerdict(container, Standing.PEER)
        if answer is not None and answer.journal:
            return PeerVerdict(
                container, Standing.FOREIGN, said("it is on the journal {journal}", journal=answer.journal)
            )
        if await self._has_opened_our_journal(container.id, environment):
            return PeerVerdict(container, Standing.PEER)
        return PeerVerdict(container, Standing.UNPROVEN, said("its /health does not say which journal it uses"))

    async def _has_opened_our_journal(self, container_id: str, environment: Environment) -> bool:
        if await self._state.ownership.has_beaten(container_id):
            return True
        known = await self._state.deployments.list(
            environment.name, limit=DEPLOYMENTS_READ, whole=False, with_saves=False
        )
        return any(container_id in deployment.successors for deployment in known)

    async def _answer(self, place: BotPlace, ours: BotPlace | None) -> HealthAnswer | None:
        """Ask a bot by the networks that it shares with this one; a process outside of containers sees them all."""
        shared = None if ours is None else {network for network, _ in ours.addresses}
        for network, address in place.addresses:
            if shared is None or network in shared:
                answer = await self._ask(f"http://{address}:{place.port}/health")
                if answer is not None:
                    return answer
        return None


async def proven_peers(
    peers: Peers,
    environment: Environment,
    containers: Iterable[ContainerSnapshot],
    on_skipped: Callable[[str], None] = lambda text: None,
) -> tuple[ContainerSnapshot, ...]:
    """Return the containers that are peers; the others are logged and passed to `on_skipped`. Raises RoasError."""
    judged = await peers.judge(environment, containers)
    for judgement in judged:
        if judgement.standing is not Standing.PEER:
            log.warning(
                "a container of the bot's service is left alone",
                container=judgement.container.name,
                reason=judgement.reason,
            )
            on_skipped(judgement.text)
    return tuple(judgement.container for judgement in judged if judgement.standing is Standing.PEER)


async def spared_bots(peers: Peers, stack: Stack, bot: OwnContainer | None) -> frozenset[str]:
    """Return the ids of the other containers of the bot's service that are no peers. Raises RoasError."""
    if bot is None:
        return frozenset()
    beside = frozenset(seen.id for seen in await stack.listed() if seen.service == bot.service and seen.id != bot.id)
    others = await stack.containers_by_id(beside) if beside else ()
    judged = await peers.judge(stack.environment, others)
    return frozenset(judgement.container.id for judgement in judged if judgement.standing is not Standing.PEER)


async def ask_health(url: str) -> HealthAnswer | None:
    """Ask a bot's /health; None where nothing answers there as a bot does."""
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            answer = json.loads(await response.content.read(ANSWER_BYTES))
            status = response.status
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError):
        return None
    if not isinstance(answer, dict):
        return None
    if answer.get("status") == JOURNAL_LOST:
        return HealthAnswer(lost=True)
    journal = answer.get("journal")
    return HealthAnswer(journal if isinstance(journal, str) else "") if status == OK else None
