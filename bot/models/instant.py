"""Record one moment by two clocks: wall clock time, which people read and may set, and time since boot."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Instant:
    """Name a moment by the wall's clock, and by the seconds since which boot of the machine."""

    at: datetime
    boot_id: str = ""
    boot_seconds: float = 0.0

    def since(self, earlier: "Instant") -> timedelta:
        """Return how much later this is; only where the machine booted in between, the wall's clock decides."""
        if self.boot_id and self.boot_id == earlier.boot_id:
            return timedelta(seconds=self.boot_seconds - earlier.boot_seconds)
        return self.at - earlier.at

    def after(self, duration: timedelta) -> "Instant":
        """Return the moment that comes so much later."""
        return Instant(self.at + duration, self.boot_id, self.boot_seconds + duration.total_seconds())
