"""Say when an environment may be deployed to: windows by cron and duration in a time zone, and dates without any."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

UNITS = {"m": 60, "h": 3600, "d": 86_400}
WINDOW = re.compile(r"(?P<cron>\S+(?:\s+\S+){4})\s+for\s+(?P<duration>(?:\d+[mhd])+)")
DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:/(\d{4}-\d{2}-\d{2}))?")
LONGEST = timedelta(days=31)
# Around a change of the clock, cron names a start by the hour that the wall shows: it is looked for from earlier on.
MARGIN = timedelta(hours=3)
# How many starts ahead are looked at for one that no date rules out.
AHEAD = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """Begin at each moment of a cron expression, and stay open for a length of time; that counts by the real clock."""

    cron: str
    length: timedelta

    def starts(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """Yield the moments at which it begins, in UTC; the first ones may lie before `after`."""
        for start in CronSim(self.cron, (after - MARGIN).astimezone(zone)):
            yield start.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Windows:
    """Hold when an environment may be deployed to; with no window that is always.

    No moment of a date in `without` is within a window, and a window that would begin on one does not open.
    """

    windows: tuple[Window, ...] = ()
    zone: str = "UTC"
    without: frozenset[date] = frozenset()

    @property
    def place(self) -> ZoneInfo:
        """Return the time zone in which the windows are meant."""
        return ZoneInfo(self.zone)

    def is_open(self, moment: datetime) -> bool:
        """Return whether a deployment may begin now."""
        if not self.windows:
            return True
        return not self._is_ruled_out(moment) and any(self._covers(window, moment) for window in self.windows)

    def next_open(self, moment: datetime) -> datetime | None:
        """Return when they open next; the moment itself where they are open, None where they never do."""
        if self.is_open(moment):
            return moment
        found = [start for window in self.windows if (start := self._next_start(window, moment)) is not None]
        # What began before a date without windows goes on after it.
        dawns = (self._midnight(day + timedelta(days=1)) for day in self.without)
        found += [dawn for dawn in dawns if dawn > moment.astimezone(UTC) and self.is_open(dawn)]
        return min(found, default=None)

    def _covers(self, window: Window, moment: datetime) -> bool:
        now = moment.astimezone(UTC)
        for start in window.starts(self.place, now - window.length):
            if start > now:
                return False
            if start + window.length > now and not self._is_ruled_out(start):
                return True
        return False

    def _next_start(self, window: Window, moment: datetime) -> datetime | None:
        now = moment.astimezone(UTC)
        for _number, start in zip(range(AHEAD), window.starts(self.place, now), strict=False):
            if start > now and not self._is_ruled_out(start):
                return start
        return None

    def _is_ruled_out(self, moment: datetime) -> bool:
        return bool(self.without) and moment.astimezone(self.place).date() in self.without

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.place).astimezone(UTC)


def read_window(text: str) -> Window:
    """Read `0 22 * * MON-THU for 4h`. Raises ValueError."""
    matched = WINDOW.fullmatch(text.strip())
    if matched is None:
        raise ValueError(f"{text!r} is no window: write a cron expression and a duration, 0 22 * * MON-THU for 4h")
    cron = read_cron(matched["cron"])
    length = read_length(matched["duration"])
    if not timedelta(0) < length <= LONGEST:
        raise ValueError(f"{matched['duration']} is no length for a window: more than 0, {LONGEST.days} days at most")
    return Window(cron, length)


def read_cron(text: str) -> str:
    """Return a cron expression as it is read here. Raises ValueError where it is none."""
    # A week ends on a Sunday, too: FRI-SUN.
    cron = re.sub(r"(?<!SUN)-SUN\b", "-7", " ".join(text.split()), flags=re.IGNORECASE)
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{cron!r} is no cron expression: {error or 'no moment fits it'}") from error
    return cron


def last_moment(cron: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the last moment of a cron expression before now, in UTC."""
    return next(CronSim(cron, now.astimezone(zone), reverse=True)).astimezone(UTC)


def read_length(text: str) -> timedelta:
    """Read `1h30m`."""
    parts = re.findall(r"(\d{1,6})([mhd])", text)
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


def read_dates(text: str) -> frozenset[date]:
    """Read `2026-12-25`, or from a date to a date, both included: `2026-12-24/2027-01-02`. Raises ValueError."""
    matched = DATES.fullmatch(text.strip())
    if matched is None:
        raise ValueError(f"{text!r} is no date: write 2026-12-25, or 2026-12-24/2027-01-02")
    first = date.fromisoformat(matched[1])
    days = (date.fromisoformat(matched[2]) - first).days if matched[2] else 0
    if not 0 <= days <= 366:
        raise ValueError(f"{text!r} ends before it begins, or is longer than a year")
    return frozenset(first + timedelta(days=number) for number in range(days + 1))
