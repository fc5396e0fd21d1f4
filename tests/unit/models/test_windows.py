"""Windows are open when a wall clock says so, also where that jumps; an oracle walks through every minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from roas.models.windows import Windows, read_dates, read_window

MINUTE = timedelta(minutes=1)
# The nights in which the clock is changed, by zone: forward, and back.
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
}
WINDOWS = (
    ("0 22 * * *", 22, 0, None, 6),
    ("30 1 * * *", 1, 30, None, 1),
    ("30 2 * * *", 2, 30, None, 1),
    ("0 2 * * SUN", 2, 0, 6, 3),
    ("0 9 * * MON-FRI", 9, 0, None, 8),
)


def real(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    """Return the first moment at which the clocks of a zone show a time or, where that is left out, a later one."""
    moment = datetime.combine(day, time(), zone).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) < datetime.combine(day, time(hour, minute)):
        moment += MINUTE
    return moment


def expected(day: date, zone: ZoneInfo, window: tuple[str, int, int, int | None, int]) -> Iterator[datetime]:
    """Yield every minute around a day at which a window is open."""
    cron, hour, minute, weekday, hours = window
    for number in range(-2, 3):
        begins = day + timedelta(days=number)
        if (weekday is not None and begins.weekday() != weekday) or ("MON-FRI" in cron and begins.weekday() > 4):
            continue
        start = real(begins, hour, minute, zone)
        yield from (start + MINUTE * minutes for minutes in range(hours * 60))


@pytest.mark.parametrize("window", WINDOWS, ids=[window[0] for window in WINDOWS])
@pytest.mark.parametrize(("name", "day"), [(name, day) for name, days in CHANGES.items() for day in days])
def test_windows_follow_the_wall_clock(name: str, day: date, window: tuple[str, int, int, int | None, int]) -> None:
    zone = ZoneInfo(name)
    windows = Windows((read_window(f"{window[0]} for {window[4]}h"),), name)
    open_minutes = set(expected(day, zone, window))
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    moments = [midnight + MINUTE * number for number in range(-120, 26 * 60, 5)]
    assert [moment for moment in moments if windows.is_open(moment) != (moment in open_minutes)] == []
    later = sorted(open_minutes)
    for moment in moments[::12]:
        next_one = next((minute for minute in later if minute >= moment), None)
        if next_one is not None:
            assert windows.next_open(moment) == next_one


def test_dates_without_close_what_begins_and_what_lasts():
    """The night before a holiday closes at midnight; what would begin on it does not open; what lasts goes on."""
    windows = Windows((read_window("0 22 24 12 * for 2d"),), "Asia/Taipei", read_dates("2026-12-25"))
    taipei = ZoneInfo("Asia/Taipei")

    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 12, day, hour, tzinfo=taipei)

    assert windows.is_open(at(24, 23))
    assert not windows.is_open(at(25, 0))
    assert windows.is_open(at(26, 0))
    assert windows.next_open(at(25, 8)) == at(26, 0)
    nightly = Windows((read_window("0 22 * * * for 4h"),), "Asia/Taipei", read_dates("2026-12-24/2026-12-26"))
    assert not nightly.is_open(at(25, 23))
    assert nightly.next_open(at(24, 1)) == at(27, 22)
    assert not nightly.is_open(at(27, 1)), "what would have begun on the 26th"


def test_no_windows_are_always_open():
    assert Windows().is_open(datetime.now(UTC))
    gone = Windows((read_window("0 0 1 1 * for 1h"),), "UTC", read_dates("2027-01-01"))
    assert gone.next_open(datetime(2026, 6, 1, tzinfo=UTC)) == datetime(2028, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "fits", "fits_not"),
    [
        ("*/20 8-10,22 * * *", "2026-06-01T08:40 2026-06-01T22:00", "2026-06-01T08:30 2026-06-01T11:00"),
        ("0 0 * * FRI-SUN", "2026-06-05T00:00 2026-06-07T00:00", "2026-06-04T00:00 2026-06-08T00:00"),
        ("0 0 * * 7", "2026-06-07T00:00", "2026-06-06T00:00"),
        ("0 0 1,15 * MON", "2026-06-01T00:00 2026-06-08T00:00 2026-06-15T00:00", "2026-06-02T00:00"),
        ("0 0 */2 * MON", "2026-06-01T00:00 2026-06-15T00:00", "2026-06-08T00:00 2026-06-03T00:00"),
        ("0 0 29 feb *", "2028-02-29T00:00", "2027-03-01T00:00"),
        ("10/25 0 * JAN,dec *", "2026-12-01T00:10 2026-12-01T00:35", "2026-12-01T00:00 2026-11-01T00:10"),
    ],
)
def test_cron_as_cron_reads_it(cron: str, fits: str, fits_not: str) -> None:
    windows = Windows((read_window(f"{cron} for 1m"),))
    for text, expected in (*((text, True) for text in fits.split()), *((text, False) for text in fits_not.split())):
        assert windows.is_open(datetime.fromisoformat(text).replace(tzinfo=UTC)) is expected, text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 22 * * *",
        "0 22 * * for 4h",
        "0 25 * * * for 4h",
        "0 22 * * * for 0h",
        "0 0 31 2 * for 1h",
        "5-1 * * * * for 1m",
        "*/0 * * * * for 1m",
        "0 22 * * * for 40d",
    ],
)
def test_wrong_window_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_window(text)


@pytest.mark.parametrize("text", ["Christmas", "2026-13-01", "2026-12-25/2026-12-24", "2026-01-01/2028-01-01"])
def test_wrong_date_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_dates(text)
