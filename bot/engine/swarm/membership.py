"""Say what an engine is in a Swarm that is asked and leads none: each is put right in another way."""

from roas.engine.swarm.calls import MANAGER_HINT, QUORUM_HINT, locked
from roas.errors import EngineError, NoQuorumError
from roas.messages.message import said

MANAGER, WORKER, LOCKED = "active/manager", "active/worker", "locked"
# It begins, or does not find the others.
STARTING = frozenset({"pending", "error", "active/pending", "active/error"})


def no_manager(state: str, name: str, address: str) -> EngineError:
    """Return the error for an engine of an environment, by what Docker says that it is."""
    if state == LOCKED:
        return locked(address)
    if state in STARTING:
        text = said("The engine of {environment} is not ready in its Swarm.", environment=name)
        return NoQuorumError(text, hint=QUORUM_HINT)
    text = said("The engine of {environment} is no manager of a Swarm.", environment=name)
    if state == WORKER:
        return EngineError(text, hint=MANAGER_HINT)
    return EngineError(text, hint=said("Run `docker swarm init` there, or name a manager by `docker_host`."))
