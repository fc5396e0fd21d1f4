"""Judge whether the owner of a lease hangs."""

import time

from roas.models.ownership import LeaderLease
from roas.state.ownership import lease_has_lapsed

# A lapsed lease is looked at for so long: after a sleep of the machine, or of its disk, its owner renews it.
LAPSE_CONFIRM_SECONDS = 2.0


class LeaseWatch:
    """Look at the lease of another process, again and again."""

    def __init__(self) -> None:
        self._lapsed: LeaderLease | None = None
        self._since = 0.0

    def has_lapsed(self, lease: LeaderLease, now: float) -> bool:
        """Return whether a lease has lapsed by a boot time, and stayed so for as long as a living owner may need."""
        if not lease_has_lapsed(lease, now):
            self._lapsed = None
            return False
        if self._lapsed != lease:
            self._lapsed, self._since = lease, time.monotonic()
        return time.monotonic() - self._since >= LAPSE_CONFIRM_SECONDS
