"""Find and terminate processes of peers before their work is taken over: fencing stops no Docker call.

Whether a container is a peer at all is decided in `deploy/peers.py`.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from roas.concurrency import pause
from roas.deploy.peers import Peers
from roas.errors import OwnContainerError, RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.leader_lease import Standing
from roas.stack.stacks import Stacks
from roas.state.living_processes import boot_seconds
from roas.state.manager import StateManager

log = get_logger(__name__)

# A process that runs a deployment sends a heartbeat every second. Without one for so long, it counts as hung.
HUNG_SECONDS = 8.0
LAST_LOOKS, LOOK_SECONDS = 8, 0.25


async def _always() -> bool:
    return True


class PeerProcesses:
    """Find and terminate the other processes that own something in the journal."""

    def __init__(self, stacks: Stacks, state: StateManager, peers: Peers) -> None:
        self._stacks = stacks
        self._state = state
        self._peers = peers
        self._unreachable: set[str] = set()

    async def container(self, home: Environment | None, instance_id: str) -> ContainerSnapshot | None:
        """Return the container of home that a process runs in, or None."""
        heartbeat = await self._state.ownership.heartbeat(instance_id=instance_id)
        if heartbeat is None or not heartbeat.container_id or home is None:
            return None
        containers = await self._stacks.of(home).containers()
        return next((container for container in containers if container.id == heartbeat.container_id), None)

    async def failure_output(self, home: Environment | None, instance_id: str) -> str:
        """Return the last output of a dead process's container, or an empty text; does not wait for it."""
        try:
            container = await self.container(home, instance_id)
            return "" if container is None or home is None else await self._stacks.of(home).failure_output(container.id)
        except RoasError as error:
            return said("(its log cannot be read: {reason})", reason=error.message)

    async def terminate(
        self, home: Environment | None, instance_id: str, is_still_wanted: Callable[[], Awaitable[bool]] = _always
    ) -> str | None:
        """End a process with all that it started: its container, or itself and its Compose commands.

        `is_still_wanted` is called right before the kill, since looking at containers takes time. Returns the failure
        output of its container, or None where it cannot be reached and may still run, or is no longer to be ended.
        """
        container = await self.container(home, instance_id)
        if container is not None and home is not None:
            text = await self._stacks.of(home).failure_output(container.id)
            if not await self._is_peer(home, container) or not await is_still_wanted():
                return None
            # One that shares our own container, by `docker exec` say, is ended by itself.
            with suppress(OwnContainerError):
                await self._stacks.of(home).remove(container.id, grace_seconds=0.0)
                return text
        heartbeat = await self._state.ownership.heartbeat(instance_id=instance_id)
        mark = heartbeat.process if heartbeat is not None else None
        if not await is_still_wanted():
            return None
        if mark is None or not await self._stacks.end_process(mark):
            self._log_unreachable_once(instance_id, mark.pid if mark is not None else None)
            return None
        await self._stacks.kill_orphans(instance_id)
        return ""

    async def _is_peer(self, home: Environment, container: ContainerSnapshot) -> bool:
        """Return whether a container is provably a bot on this journal; one that is not is logged, once."""
        foreign = [
            judgement
            for judgement in await self._peers.judge(home, (container,))
            if judgement.standing is not Standing.PEER
        ]
        for judgement in foreign:
            if container.id not in self._unreachable:
                self._unreachable.add(container.id)
                log.error("a bot that is not a peer is left alone", container=container.name, reason=judgement.reason)
        return not foreign

    async def terminate_if_hung(self, instance_id: str) -> bool:
        """Terminate a living process without a recent heartbeat; returns whether it was terminated."""
        # Machines sleep and disks are slow: a process that wakes up gets time for its next heartbeat.
        for _ in range(LAST_LOOKS):
            if not await self._is_hung(instance_id):
                return False
            await pause(LOOK_SECONDS)
        if not await self._is_hung(instance_id):
            return False
        ended = await self.terminate(None, instance_id) is not None
        if ended:
            log.warning("terminated a hung process that ran a deployment", instance_id=instance_id)
        return ended

    async def _is_hung(self, instance_id: str) -> bool:
        now = boot_seconds()  # before the read, so that a process suspended here never sees a hang that is not there
        heartbeat = await self._state.ownership.heartbeat(instance_id=instance_id)
        return heartbeat is not None and heartbeat.process is not None and now - heartbeat.beat_at > HUNG_SECONDS

    def _log_unreachable_once(self, instance_id: str, pid: int | None) -> None:
        if instance_id in self._unreachable:
            return
        self._unreachable.add(instance_id)
        log.error(
            "a hung process cannot be terminated from here",
            instance_id=instance_id,
            pid=pid,
            hint="End it where it runs (kill -9, or docker rm -f of its container): another one then resumes its work.",
        )
