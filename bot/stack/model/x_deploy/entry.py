"""Read an entry of a service's `x-deploy`, and say what is wrong with it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import Message, said
from roas.stack.model.durations import read_duration


@dataclass(frozen=True, slots=True)
class Entry:
    """Name an entry of `x-deploy`, such as `proxy`, and the keys that it may have."""

    key: str
    known: frozenset[str]

    @property
    def hint(self) -> Message:
        """Return where the entry is documented."""
        keys = ", ".join(sorted(self.known))
        return said("See `{place}` in the documentation: {keys}.", place=f"x-deploy.{self.key}", keys=keys)

    def written_in(self, service: Mapping[str, Any]) -> Any:
        """Return what a service has written there; None where it has nothing."""
        extension = service.get("x-deploy")
        return extension.get(self.key) if isinstance(extension, Mapping) else None

    def require_mapping(self, name: str, written: object) -> Mapping[str, Any]:
        """Return a mapping of known keys. Raises ComposeFileError."""
        if not isinstance(written, Mapping):
            raise self.has_to_be(name, "{…}")
        if unknown := sorted(map(str, set(written) - self.known)):
            raise self.wrong(name, said("unknown keys {unknown}", unknown=", ".join(unknown)))
        return written

    def read_seconds(self, name: str, key: str, written: object, *, zero: bool = False) -> float:
        """Return a duration in seconds, which may be `zero` or not. Raises ComposeFileError."""
        try:
            seconds = read_duration(written)
        except ValueError as error:
            raise self.wrong(name, error, within=key) from error
        if not 0 <= seconds < math.inf or not (seconds or zero):
            raise self.has_to_be(name, "10s", within=key)
        return seconds

    def has_to_be(self, name: str, allowed: str, *, within: str = "") -> ComposeFileError:
        """Return the error of a service's entry that has to be something else, such as `1–100` or `stop | pause`."""
        return self.wrong(name, said("use {allowed}", allowed=allowed), within=within)

    def wrong(self, name: str, reason: str | ValueError, *, within: str = "") -> ComposeFileError:
        """Return the error of a service's entry; `within` it, such as `keep`."""
        key = f"{self.key}.{within}" if within else self.key
        return ComposeFileError(
            said(
                "x-deploy of {name} is not valid: {reason}.",
                name=name,
                reason=said("{key}: {error}", key=key, error=reason),
            ),
            hint=self.hint,
        )
