"""The chart of the last hour is readable: axes, units, and words for whoever cannot see it."""

import asyncio
import io
import threading

import pytest
from PIL import Image

from roas.models.health import ServicePoint, ServiceSeries, Verdict
from roas.ui import chart
from roas.ui.chart import CPU, LINES, VERDICTS, Painter, draw_last_hour, largest, worst_first
from roas.ui.drawing import Picture
from roas.ui.translation import _ as translated
from roas.ui.translation import using_locale
from tests.unit.ui.samples import LONG_NAME, NASTY

UNHEALTHY = VERDICTS[Verdict.UNHEALTHY][0]


def a_series(
    service: str = "web",
    *,
    cpu: float | None = 10.0,
    memory: int | None = 2**26,
    unhealthy: range = range(0),
    environment: str = "dev",
) -> ServiceSeries:
    points = tuple(
        ServicePoint(
            (119 - step) * 30.0,
            Verdict.UNHEALTHY if step in unhealthy else Verdict.HEALTHY,
            cpu,
            None if cpu is None else memory,
        )
        for step in range(120)
    )
    return ServiceSeries(environment, service, points)


def drawn(*series: ServiceSeries) -> Picture:
    picture = draw_last_hour(series)
    assert picture is not None
    return picture


def pixels(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.png)).convert("RGB")


def count(picture: Picture, colour: chart.Colour) -> int:
    """Count the pixels of a colour."""
    return sum(number for number, seen in pixels(picture).getcolors(1_000_000) or [] if seen == colour)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect every text that is written on a picture."""
    texts: list[str] = []
    original = chart._Canvas.text

    def text(self: chart._Canvas, x: float, y: float, label: str, *more: object, **options: object) -> float:
        texts.append(label)
        return original(self, x, y, label, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(chart._Canvas, "text", text)
    return texts


def test_no_data_draws_nothing() -> None:
    assert draw_last_hour([]) is None
    assert draw_last_hour([ServiceSeries("dev", "web", ())]) is None


def test_axes_have_units_and_end_now(written: list[str]) -> None:
    drawn(a_series(cpu=37.0, memory=300 * 2**20))
    assert {"60 min ago", "45", "30", "15", "now", "0 %", "64 %", "0 B", "512 MiB", "web"} <= set(written)
    assert "CPU, % of one processor" in written


@pytest.mark.parametrize("highest", [0.0, 0.3, 3.9, 4.0, 99.9, 100.0, 101.0, 799.0, 6400.0])
def test_axis_ends_above_peak_in_round_steps(highest: float, written: list[str]) -> None:
    drawn(a_series(cpu=highest))
    axis = [float(text.split()[0]) for text in written if text.endswith(" %")]
    assert axis[0] == 0
    assert max(axis) >= highest


def test_picture_fits_phone_and_discord() -> None:
    picture = drawn(*(a_series(f"worker-{n}") for n in range(100)))
    image = pixels(picture)
    assert image.width == 1000
    assert 700 <= image.height <= 1200
    assert len(picture.png) < 300_000
    assert len(picture.description) <= 1024


def test_worse_is_higher() -> None:
    heights = [VERDICTS[verdict][1] for verdict in (Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY)]
    assert heights == sorted(set(heights))


def test_unhealthy_service_visible_among_hundred() -> None:
    series = [a_series(f"worker-{n:02}") for n in range(99)]
    bad = a_series("zzz", unhealthy=range(100, 103))
    assert count(drawn(*series, bad), UNHEALTHY) > count(drawn(*series, a_series("zzz")), UNHEALTHY) + 100
    assert worst_first([*series, bad])[0].service == "zzz"


def test_others_bar_shows_failures() -> None:
    worse = [a_series(f"worse-{n}", unhealthy=range(20)) for n in range(5)]
    wells = [a_series(f"worker-{n:02}") for n in range(20)]
    with_bad = drawn(*worse, *wells, a_series("zzz", unhealthy=range(60, 70)))
    assert count(with_bad, UNHEALTHY) > count(drawn(*worse, *wells, a_series("zzz")), UNHEALTHY) + 100


def test_undrawn_services_counted(written: list[str]) -> None:
    drawn(*(a_series(f"worker-{n:02}", cpu=float(n)) for n in range(100)))
    assert "95 others" in written
    assert "CPU, % of one processor (the 4 largest; 96 others use less)" in written
    assert {"worker-99", "worker-98", "worker-97", "worker-96"} <= set(written)


def test_gap_breaks_line() -> None:
    seen = a_series().points
    parted = ServiceSeries("dev", "web", (*seen[:20], *seen[100:]))
    assert count(drawn(parted), LINES[0]) < 0.6 * count(drawn(a_series()), LINES[0])
    assert largest([a_series(cpu=None)], CPU) == []
    assert drawn(a_series(cpu=None)).png


def test_service_labelled_with_environment(written: list[str]) -> None:
    drawn(a_series(environment="dev"), a_series(environment="prod"))
    assert {"dev/web", "prod/web", "dev, prod: the last hour"} <= set(written)


def test_alt_text_in_readers_language() -> None:
    series = [a_series("web", unhealthy=range(3)), a_series("redis", cpu=80.0)]
    assert drawn(*series).description == (
        "Chart of the last hour: 2 services. Unhealthy at times: web (unhealthy). "
        "Most CPU: redis 80 %, web 10 %. Most memory: redis 64 MiB, web 64 MiB."
    )
    with using_locale("zh-TW"):
        said = drawn(*series).description
    assert "web" in said
    assert "Chart" not in said
    assert "services" not in said


def test_hostile_names_break_nothing() -> None:
    picture = drawn(a_series(LONG_NAME), a_series(NASTY), a_series("網站"), a_series("ok"))
    assert len(picture.file().description or "") <= 1024
    many = drawn(*(a_series(f"{LONG_NAME}{n}", unhealthy=range(5)) for n in range(64)))
    assert len(many.file().description or "") <= 1024


@pytest.mark.parametrize("used", [(None, None), (0.0, 0)])
def test_single_point_drawn(used: tuple[float | None, int | None]) -> None:
    assert drawn(ServiceSeries("dev", "web", (ServicePoint(0.0, Verdict.HEALTHY, *used),))).png


async def test_drawing_uses_one_thread_and_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn beside the loop, in the reader's language."""
    threads = set()

    def draw(series: object) -> Picture:
        threads.add(threading.current_thread())
        return Picture("x.png", b"", translated("All services were healthy."))

    monkeypatch.setattr(chart, "draw_last_hour", draw)
    painter = Painter()
    with using_locale("zh-TW"):
        pictures = await asyncio.gather(*(painter.last_hour([a_series()]) for _ in range(8)))
    painter.close()
    assert {picture.description for picture in pictures if picture} == {"全部正常。"}
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_failed_drawing_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(_: object) -> Picture:
        raise OSError("no font")

    monkeypatch.setattr(chart, "draw_last_hour", draw)
    painter = Painter()
    assert await painter.last_hour([a_series()]) is None
    painter.close()
