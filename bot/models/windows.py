"""Say when an environment may be deployed to: windows by cron and duration in a time zone, and dates without any."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

UNITS = {"m": 60, "h": 3600, "d": 86_400}
WINDOW = re.compile(r"(?P<cron>\S+(?:\s+\S+){4})\s+for\s+(?P<duration>(?:\d+[mhd])+)")
DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:/(\d{4}-\d{2}-\d{2}))?")
LONGEST = timedelta(days=31)
# The fields of a cron expression, their ranges, and the names that stand for numbers. Sunday is 0, and 7.
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
TERM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,2}))?")
# A 29 February comes within so many days, at a turn of the century, too.
LONGEST_WAIT = 8 * 366 + 1
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# How many starts ahead are looked at for one that no date rules out.
AHEAD = 1000


@dataclass(frozen=True, slots=True)
class Cron:
    """Hold the numbers that each field of a cron expression allows; a day fits `either` of two fields, or both."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def fits(self, day: date) -> bool:
        """Return whether there are moments of it on a day."""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((by_day or by_weekday) if self.either else (by_day and by_weekday))

    def times(self) -> list[time]:
        """Return the times of each day that fits, in order."""
        return [time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]


@dataclass(frozen=True, slots=True)
class Window:
    """Begin at each moment of a cron expression, and stay open for a length of time; that counts by the real clock."""

    cron: Cron
    length: timedelta

    def starts(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """Yield the moments at which it begins, in UTC; the first ones may lie before `after`."""
        times, first = self.cron.times(), after.astimezone(zone).date() - DAY
        for number in range(LONGEST_WAIT):
            if self.cron.fits(day := first + DAY * number):
                yield from (_real(datetime.combine(day, at, zone)) for at in times)


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


def read_cron(text: str) -> Cron:
    """Read five fields: minute, hour, day of the month, month, weekday. Raises ValueError.

    As in cron, a day has to fit one of the two fields of days where neither of them begins with `*`.
    """
    fields = text.upper().split()
    numbers = [_numbers(field, position) for position, field in enumerate(fields)]
    weekdays = frozenset(number % 7 for number in numbers[4])
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))
    cron = Cron(numbers[0], numbers[1], numbers[2], numbers[3], weekdays, either)
    if not any(cron.fits(date(2024, 1, 1) + DAY * number) for number in range(LONGEST_WAIT)):
        raise ValueError(f"{text!r} is no cron expression: no day fits it")
    return cron


def _numbers(field: str, position: int) -> frozenset[int]:
    """Read a field such as `*/15`, `MON-FRI` or `1,3,5`."""
    lowest, highest = RANGES[position]
    found: set[int] = set()
    for term in field.split(","):
        matched = TERM.fullmatch(term)
        if matched is None:
            raise ValueError(f"{term!r} is nothing that cron knows")
        if matched["first"] == "*":
            first, last = lowest, highest
        else:
            first = _number(matched["first"], position)
            last = _number(matched["last"], position) if matched["last"] else first
            if position == 4 and last == 0 < first:  # FRI-SUN
                last = 7
            if matched["step"] and not matched["last"]:
                last = highest
        step = int(matched["step"] or 1)
        if not (lowest <= first <= last <= highest and step > 0):
            raise ValueError(f"{term!r} is outside of {lowest} to {highest}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, position: int) -> int:
    if position == 3 and text in MONTHS:
        return MONTHS.index(text) + 1
    if position == 4 and text in WEEKDAYS:
        return WEEKDAYS.index(text)
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number")
    return int(text)


def _real(local: datetime) -> datetime:
    """Return when the clocks show a time first, in UTC; one that is left out is followed by the next there is."""
    moment, zone = local.astimezone(UTC), local.tzinfo
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    moment = local.replace(fold=1).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) < local.replace(tzinfo=None):
        moment += MINUTE
    return moment


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
