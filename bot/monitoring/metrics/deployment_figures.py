"""Say how deployments ended, by the journal: whichever processes ran them, however often the bot replaced itself."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from roas.models.actor import RECOVERY
from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.state.manager import StateManager

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# More than these are read of no day.
DEPLOYMENTS_READ = 200


class DeploymentFigures:
    """Keep what the journal said last: `counts` by environment, kind and outcome, and the deployments of a day.

    The last ones, `last` at most and `fewest` at least, make the success rate.
    """

    def __init__(
        self,
        state: StateManager,
        environments: Iterable[str] = (),
        *,
        last: int = 20,
        fewest: int = 5,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = state
        self.environments = tuple(environments)
        self._last = last
        self._fewest = fewest
        self._now = now
        self.counts: Mapping[tuple[str, str, str], int] = {}
        self._recent: tuple[Deployment, ...] = ()

    async def refresh(self, _event: object = None) -> None:
        """Read the journal again. Raises StateError."""
        deployments = self._state.deployments
        self.counts = await deployments.counts()
        since, found = self._now() - HOUR, list[Deployment]()
        for one in await deployments.list(limit=DEPLOYMENTS_READ, whole=False):
            is_late = one.ended_at is not None and one.ended_at >= since  # only of these the phases are shown
            whole = await deployments.get(one.id) if is_late else None
            found.append(whole or one)
        self._recent = tuple(found)

    @property
    def success_ratio(self) -> float | None:
        """Return the share of the last deployments of a day that were good; None of too few."""
        found = [good for _environment, good in self.results()][-self._last :]
        return sum(found) / len(found) if len(found) >= self._fewest else None

    def ended_within(self, time: timedelta) -> list[Deployment]:
        """Return the deployments that ended within a time, the newest first."""
        since = self._now() - time
        return [one for one in self._recent if one.ended_at is not None and one.ended_at >= since]

    def results(self) -> list[tuple[str, bool]]:
        """Return the environment of each deployment of a day, and whether it was good; the oldest first.

        What recovery took back was not. A rollback that somebody asked for, and that worked, is no result of its own.
        """
        found: list[tuple[Deployment, bool]] = []
        for one in reversed(self.ended_within(DAY)):
            is_rollback = one.request.kind is DeploymentKind.ROLLBACK
            if one.outcome is Outcome.CANCELLED:
                continue
            if is_rollback and one.request.requested_by.id == RECOVERY:
                found = [(each, good and not _took_back(one, each)) for each, good in found]
            if not is_rollback or one.outcome is not Outcome.SUCCEEDED:
                found.append((one, one.outcome is Outcome.SUCCEEDED))
        return [(one.environment, good) for one, good in found]


def _took_back(rollback: Deployment, one: Deployment) -> bool:
    """Return whether a rollback left the release to which a deployment had led."""
    return (one.environment, one.to_release) == (rollback.environment, rollback.from_release)
