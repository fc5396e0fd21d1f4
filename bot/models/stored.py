"""Make identifiers, and enumerations whose values may have been stored by a newer version."""

from enum import StrEnum
from typing import ClassVar, Self

from ulid import ULID


def new_id(prefix: str) -> str:
    """Return a new id such as `DEPLOY-01JD…`: the prefix, then a ULID (48 bits of time, 80 random ones)."""
    return f"{prefix}-{ULID()}"


def moment_of(new: str) -> str:
    """Return the part of an id that sorts by time, whatever its prefix."""
    return new.rpartition("-")[2]


class StoredEnum(StrEnum):
    """A value that is stored; what a newer version wrote and this one does not know counts as the `unknown` one."""

    _unknown: ClassVar[str]

    def __init_subclass__(cls, *, unknown: str) -> None:
        super().__init_subclass__()
        cls._unknown = unknown

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls(cls._unknown)
