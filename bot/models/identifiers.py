"""Create the ids that people and the journal see: unique, and sortable by time."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """Return a new id such as `DEPLOY-01JD…`: the prefix, then a ULID (48 bits of time, 80 random ones)."""
    return f"{prefix}-{ULID()}"


def moment_of(new: str) -> str:
    """Return the part of an id that sorts by time, whatever its prefix."""
    return new.rpartition("-")[2]
