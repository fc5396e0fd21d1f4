"""Define what a process is among those that share a journal, and what makes it another."""

from collections.abc import Mapping
from enum import StrEnum

from roas.errors import InternalFaultError
from roas.messages.message import said


class ElectorState(StrEnum):
    """What a process is, of those that share a journal."""

    STANDBY = "standby"
    LEADER = "leader"
    STOPPED = "stopped"


class Occasion(StrEnum):
    """What makes a process become something else, or stay what it is."""

    HELD = "the lease names this process, and was renewed"
    TAKEN = "the leader was dead, and this process took the lease"
    SEIZED = "the leader hung, or was an unhealthy successor: it was ended, and its lease seized"
    ELSEWHERE = "the lease names another process, or none"
    UNREADABLE = "the journal cannot be read"
    LOST = "the journal is lost"


# A stopped process stays so: another may lead with the journal that is at the path now.
TRANSITIONS: Mapping[tuple[ElectorState, Occasion], ElectorState] = {
    (ElectorState.STANDBY, Occasion.HELD): ElectorState.LEADER,
    (ElectorState.STANDBY, Occasion.TAKEN): ElectorState.LEADER,
    (ElectorState.STANDBY, Occasion.SEIZED): ElectorState.LEADER,
    (ElectorState.STANDBY, Occasion.ELSEWHERE): ElectorState.STANDBY,
    (ElectorState.STANDBY, Occasion.UNREADABLE): ElectorState.STANDBY,
    (ElectorState.STANDBY, Occasion.LOST): ElectorState.STOPPED,
    (ElectorState.LEADER, Occasion.HELD): ElectorState.LEADER,
    (ElectorState.LEADER, Occasion.ELSEWHERE): ElectorState.STANDBY,
    (ElectorState.LEADER, Occasion.UNREADABLE): ElectorState.STANDBY,
    (ElectorState.LEADER, Occasion.LOST): ElectorState.STOPPED,
}


def after(state: ElectorState, occasion: Occasion) -> ElectorState:
    """Return what a process is after an occasion. Raises InternalFaultError for one that cannot come in that state."""
    try:
        return TRANSITIONS[state, occasion]
    except KeyError:
        raise InternalFaultError(
            said("A {state} process cannot meet this: {occasion}.", state=state, occasion=occasion)
        ) from None


def as_table() -> str:
    """Return all transitions as a Markdown table, for docs/architecture.md."""
    rows = [f"| {state} | {occasion} | {target} |" for (state, occasion), target in TRANSITIONS.items()]
    return "\n".join(["| From | When | To |", "|---|---|---|", *rows])
