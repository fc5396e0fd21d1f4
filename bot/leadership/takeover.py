"""Name what a leader, or a successor, can have come to that another process may lead in its place."""

from enum import StrEnum


class TakeoverReason(StrEnum):
    """Why a process on standby may become the leader; people read it of a successor that failed."""

    DIED = "it died"
    HUNG = "it hangs: its lease was not renewed"
    UNHEALTHY = "its health check fails"
    CONTAINER_ENDED = "its container ended"

    @property
    def is_of_successor(self) -> bool:
        """Return whether it is found of a successor alone: only its predecessor can do anything about that."""
        return self in {TakeoverReason.UNHEALTHY, TakeoverReason.CONTAINER_ENDED}
