"""Keep the state in the Swarm, where bots on several machines are to go on with each other's work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roas.configuration.settings import Settings
from roas.errors import SettingsError, StateError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.environment import EngineKind, Environment
from roas.stack.docker.engine import DEFAULT_HOST
from roas.stack.swarm.shared_store import SharedStore
from roas.state.manager import StateManager
from roas.state.shared.lease import LeaseHolder
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import SealedObjects
from roas.state.shared.sealing import Seal

log = get_logger(__name__)
PROJECT = "roas"


@dataclass(frozen=True, slots=True)
class SharedState:
    """Hold the log in the Swarm, and what asks for the lease; each asks the manager by a connection of its own."""

    log: SharedLog
    lease_store: SharedStore

    def holder(self, instance_id: str) -> LeaseHolder:
        """Return what takes and renews the lease for a process. Blocks."""
        return LeaseHolder(self.lease_store, instance_id)


def shared_state(settings: Settings, known: Mapping[str, Environment], folder: Path) -> SharedState | None:
    """Return where the state is shared; None where no setting asks for that. Raises SettingsError."""
    if settings.swarm_state_key_file is None:
        return None
    elsewhere = [name for name, environment in known.items() if environment.engine is not EngineKind.SWARM]
    if elsewhere:
        raise SettingsError(
            said(
                "SWARM_STATE_KEY_FILE keeps the state of Swarms; {environments} {n|is|are} on one machine.",
                environments=joined(", ", elsewhere),
                n=len(elsewhere),
            ),
            hint=said("Give these a bot of their own: another machine could not go on with them."),
        )
    address, project = settings.docker_host or DEFAULT_HOST, settings.compose_project_name or PROJECT
    objects = SealedObjects(SharedStore(address, project), Seal.read(settings.swarm_state_key_file))
    return SharedState(SharedLog(objects, folder), SharedStore(address, project))


async def join(state: StateManager) -> None:
    """Read what the Swarm has, as far as it answers. Raises JournalMissingError where this journal is another one."""
    try:
        await state.catch_up()
    except StateError as error:
        if state.lost is not None:
            raise
        log.warning("what the Swarm has of the state is not known yet", error=error.message)
