"""Classify other containers of the bot's service: a peer is provably a bot on this journal, the rest are foreign.

Check here before a container of the bot's own service is removed or terminated. What is not a peer is left alone and
reported. How the process of a peer is found and terminated: `peer_processes.py`.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp

from roas.deploy.authorship import Authorship
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.ownership import JOURNAL_LOST
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)

ASK_SECONDS = 1.0
ANSWER_BYTES = 64 * 1024
OK = 200
# A successor that never opened the journal is known by the deployment that created it; of these so many are read.
DEPLOYMENTS_READ = 20


class Standing(StrEnum):
    """The verdict on a container; `unproven` is one that runs and has not answered yet."""

    PEER = "peer"
    FOREIGN = "foreign"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Hold the verdict on a container, and why it is not a peer."""

    container: ContainerSnapshot
    standing: Standing
    reason: str = ""

    @property
    def text(self) -> str:
        """Return the message about a container that is left alone."""
        return said(
            "{container} is not provably a bot on this journal and was left alone: {reason}.",
            container=self.container.name,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """Hold the answer of a bot's /health: its journal, or that it lost it; the release before reports neither."""

    journal: str = ""
    lost: bool = False


# Ask a bot's /health at an address; None where nothing answers there as a bot does.
AskHealth = Callable[[str], Awaitable[HealthAnswer | None]]


class PeerSource(Protocol):
    """Classify containers as peers or foreign."""

    async def judge(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> tuple[Judgement, ...]:
        """Judge containers of the bot's service other than this process's own. Raises RoasError."""
        ...


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

    async def judge(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> tuple[Judgement, ...]:
        """Judge containers of the bot's service other than this process's own. Raises RoasError."""
        judged = tuple(containers)
        if not judged:
            return ()
        own = await self._own_container(environment)
        ids = [*(one.id for one in judged), *([own.id] if own else [])]
        places = await self._stacks.of(environment).bot_places(ids)
        ours = places.get(own.id) if own else None
        source = str(self._state.folder) if own is None else ours.state_source if ours else ""
        others = await self._authorship.of_others(environment, judged)
        return tuple(
            [
                await self._judge(one, places.get(one.id), ours, source, environment, is_theirs=one in others)
                for one in judged
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
    ) -> Judgement:
        if place is None:  # it is gone: there is nothing to be spared
            return Judgement(container, Standing.PEER)
        if not source or place.state_source != source:
            where = place.state_source or said("no folder of the host")
            return Judgement(
                container,
                Standing.FOREIGN,
                said("its STATE_DIR is {where}, this bot's {source}", where=where, source=source or "unknown"),
            )
        if is_theirs and container.never_ran:
            return Judgement(container, Standing.UNPROVEN, said("somebody else created it and has not started it"))
        if container.state not in {ContainerState.RUNNING, ContainerState.PAUSED}:
            return Judgement(container, Standing.PEER)
        answer = await self._answer(place, ours) if container.state is ContainerState.RUNNING else None
        if answer is not None and answer.lost:
            return Judgement(container, Standing.FOREIGN, said("it has lost its journal"))
        if answer is not None and answer.journal == self._state.journal_id:
            return Judgement(container, Standing.PEER)
        if answer is not None and answer.journal:
            return Judgement(
                container, Standing.FOREIGN, said("it is on the journal {journal}", journal=answer.journal)
            )
        if await self._has_opened_our_journal(container.id, environment):
            return Judgement(container, Standing.PEER)
        return Judgement(container, Standing.UNPROVEN, said("its /health does not say which journal it uses"))

    async def _has_opened_our_journal(self, container_id: str, environment: Environment) -> bool:
        if await self._state.ownership.has_beaten(container_id):
            return True
        known = await self._state.deployments.list(environment.name, limit=DEPLOYMENTS_READ, whole=False)
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
    peers: PeerSource,
    environment: Environment,
    containers: Iterable[ContainerSnapshot],
    on_skipped: Callable[[str], None] = lambda text: None,
) -> tuple[ContainerSnapshot, ...]:
    """Return the containers that are peers; the others are logged and passed to `on_skipped`. Raises RoasError."""
    judged = await peers.judge(environment, containers)
    for one in judged:
        if one.standing is not Standing.PEER:
            log.warning(
                "a container of the bot's service is left alone", container=one.container.name, reason=one.reason
            )
            on_skipped(one.text)
    return tuple(one.container for one in judged if one.standing is Standing.PEER)


async def spared_bots(peers: PeerSource, stack: Stack, bot: OwnContainer | None) -> frozenset[str]:
    """Return the ids of the other containers of the bot's service that are no peers. Raises RoasError."""
    if bot is None:
        return frozenset()
    there = await stack.containers()
    others = [one for one in there if one.service == bot.service and one.id != bot.id]
    judged = await peers.judge(stack.environment, others)
    return frozenset(one.container.id for one in judged if one.standing is not Standing.PEER)


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
