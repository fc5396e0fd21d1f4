"""Read a clock that all processes of a machine share, in any container: seconds since boot, and the boot id."""

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from roas.models.instant import Instant


def boot_seconds() -> float:
    """Return the seconds since the machine booted, time asleep included; never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def instant() -> Instant:
    """Return the present moment by both clocks."""
    return Instant(datetime.now(UTC), boot_id(), boot_seconds())
