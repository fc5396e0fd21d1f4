"""The chart of the last hour is readable: axes, units, signs that need no colour, words for whoever cannot see it."""

import asyncio
import io
import itertools
import threading

import pytest
from PIL import Image

from roas.models.health import Verdict
from roas.models.series import ServicePoint, ServiceSeries
from roas.ui.charts import canvas, palette
from roas.ui.charts.last_hour import draw_last_hour
from roas.ui.charts.lines import largest
from roas.ui.charts.painter import Painter
from roas.ui.charts.scale import memory_scale, percent_scale, write_memory
from roas.ui.charts.verdicts import worst_first
from roas.ui.drawing import Picture
from roas.ui.translation import _ as translated
from roas.ui.translation import using_locale
from tests.unit.ui.samples import LONG_NAME, NASTY


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


def count(picture: Picture, colour: palette.Colour) -> int:
    """Count the pixels of a colour."""
    return sum(number for number, one in pixels(picture).getcolors(1_000_000) or [] if one == colour)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect every word that is written on a picture."""
    drawn_text: list[str] = []
    original = canvas.Canvas.text

    def text(self: canvas.Canvas, at: canvas.Point, said: str, *more: object, **options: object) -> float:
        drawn_text.append(canvas.writable(said))
        return original(self, at, said, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(canvas.Canvas, "text", text)
    return drawn_text


def test_short_history_fills_width(written: list[str]) -> None:
    """What was watched for minutes only is not pressed into the edge of an hour."""
    whole = a_series(unhealthy=range(100, 120))
    young = ServiceSeries("dev", "web", whole.points[100:])
    within_an_hour = count(drawn(whole), palette.VERDICTS[Verdict.UNHEALTHY][0])
    assert {"dev: the last hour", "60 min ago", "45", "now"} <= set(written)
    written.clear()
    within_minutes = count(drawn(young), palette.VERDICTS[Verdict.UNHEALTHY][0])
    assert {"dev: the last 20 minutes", "20 min ago", "15", "now"} <= set(written)
    assert within_minutes > 2 * within_an_hour


def test_no_data_draws_nothing() -> None:
    assert draw_last_hour([]) is None
    assert draw_last_hour([ServiceSeries("dev", "web", ())]) is None


def test_axes_have_units_and_end_now(written: list[str]) -> None:
    drawn(a_series(cpu=37.0, memory=300 * 2**20))
    assert {"60 min ago", "45", "30", "15", "now"} <= set(written)
    assert {"0 %", "20 %", "40 %", "0 MiB", "200 MiB", "300 MiB"} & set(written) >= {"0 %", "40 %", "0 MiB"}
    assert "CPU, % of one processor" in written
    assert "web" in written


def test_picture_fits_phone_and_discord() -> None:
    picture = drawn(*(a_series(f"worker-{n}") for n in range(100)))
    image = pixels(picture)
    assert image.width == 1000
    assert 700 <= image.height <= 1200
    assert len(picture.png) < 300_000
    assert len(picture.description) <= 1024


def test_dark_background_contrasts_with_colours() -> None:
    def luminance(colour: palette.Colour) -> float:
        parts = [c / 12.92 / 255 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    ground = luminance(palette.GROUND)
    assert ground < 0.03
    colours = {*palette.LINES, *(colour for colour, _ in palette.VERDICTS.values()), palette.TEXT, palette.FAINT}
    for colour in colours:
        assert (luminance(colour) + 0.05) / (ground + 0.05) >= 3, colour


# How the three kinds of colour-blind eyes see linear red, green and blue (Machado, Oliveira and Fernandes 2009).
BLINDNESS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colour_blind_readers_can_tell_lines(kind: str) -> None:
    """They can tell an unhealthy service from a healthy one too."""

    def seen(colour: palette.Colour) -> tuple[float, ...]:
        linear = [(c / 255) ** 2.2 for c in colour]
        mixed = (sum(f * c for f, c in zip(row, linear, strict=True)) for row in BLINDNESS[kind])
        return tuple(255 * max(0.0, min(1.0, c)) ** (1 / 2.2) for c in mixed)

    def apart(one: palette.Colour, other: palette.Colour) -> float:
        return sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5

    for one, other in itertools.combinations(palette.LINES, 2):
        assert apart(one, other) > 50, (one, other)
    assert apart(palette.VERDICTS[Verdict.HEALTHY][0], palette.VERDICTS[Verdict.UNHEALTHY][0]) > 50


def test_shape_repeats_colour_meaning() -> None:
    assert len(set(canvas.MARKERS)) == len(palette.LINES)
    heights = [palette.VERDICTS[v][1] for v in (Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY)]
    assert heights == sorted(set(heights))


def test_unhealthy_service_visible_among_hundred() -> None:
    series = [a_series(f"worker-{n:02}") for n in range(99)]
    well = drawn(*series, a_series("zzz"))
    unhealthy = drawn(*series, a_series("zzz", unhealthy=range(100, 103)))
    assert count(unhealthy, palette.VERMILION) > count(well, palette.VERMILION) + 100
    assert worst_first([*series, a_series("zzz", unhealthy=range(100, 103))])[0].service == "zzz"


def test_others_bar_shows_failures() -> None:
    worse = [a_series(f"worse-{n}", unhealthy=range(20)) for n in range(5)]
    wells = [a_series(f"worker-{n:02}") for n in range(20)]
    with_one = drawn(*worse, *wells, a_series("zzz", unhealthy=range(60, 70)))
    assert count(with_one, palette.VERMILION) > count(drawn(*worse, *wells, a_series("zzz")), palette.VERMILION) + 100


def test_undrawn_services_counted(written: list[str]) -> None:
    drawn(*(a_series(f"worker-{n:02}", cpu=float(n)) for n in range(100)))
    assert "95 others" in written
    assert "the 4 largest; 96 others use less" in written
    assert {"worker-99", "worker-98", "worker-97", "worker-96"} <= set(written)


def test_gap_breaks_line() -> None:
    seen = a_series().points
    parted = ServiceSeries("dev", "web", (*seen[:20], *seen[100:]))
    assert count(drawn(parted), palette.SKY) < 0.6 * count(drawn(a_series()), palette.SKY)
    assert largest([a_series(cpu=None)], lambda point: point.cpu_percent) == []
    assert drawn(a_series(cpu=None)).png


def test_service_labelled_with_environment(written: list[str]) -> None:
    drawn(a_series(environment="dev"), a_series(environment="prod"))
    assert {"dev/web", "prod/web"} <= set(written)
    assert "dev, prod: the last hour" in written


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


def test_hostile_names_break_nothing(written: list[str]) -> None:
    picture = drawn(a_series(LONG_NAME), a_series(NASTY), a_series("網站"), a_series("ok"))
    assert all(set(drawn_text) <= canvas.WRITABLE for drawn_text in written)
    assert len(picture.file().description or "") <= 1024
    many = drawn(*(a_series(f"{LONG_NAME}{n}", unhealthy=range(5)) for n in range(64)))
    assert len(many.file().description or "") <= 1024


def test_single_point_drawn() -> None:
    point = ServicePoint(0.0, Verdict.HEALTHY, None, None)
    assert drawn(ServiceSeries("dev", "web", (point,))).png
    assert drawn(ServiceSeries("dev", "web", (ServicePoint(0.0, Verdict.HEALTHY, 0.0, 0),))).png


@pytest.mark.parametrize("highest", [0.0, 0.3, 3.9, 4.0, 99.9, 100.0, 101.0, 799.0, 6400.0])
def test_scale_ends_above_peak_in_round_steps(highest: float) -> None:
    for scale in (percent_scale(highest), memory_scale(highest * 2**20)):
        assert scale.ticks[0] == 0
        assert 2 <= len(scale.ticks) <= 6
        assert scale.ticks[-1] == pytest.approx(scale.top)
    assert percent_scale(highest).top >= highest


def test_memory_labels_short() -> None:
    assert [write_memory(n * 2**20) for n in (0.5, 12.34, 1023.9, 1536)] == [
        "512 KiB",
        "12.3 MiB",
        "1024 MiB",
        "1.5 GiB",
    ]


async def test_drawing_uses_one_thread_and_locale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pictures are drawn beside the loop, in the reader's language."""
    threads = set()

    def draw(series: object) -> Picture:
        threads.add(threading.current_thread())
        return Picture("x.png", b"", translated("All services were healthy."))

    monkeypatch.setattr("roas.ui.charts.painter.draw_last_hour", draw)
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

    monkeypatch.setattr("roas.ui.charts.painter.draw_last_hour", draw)
    painter = Painter()
    assert await painter.last_hour([a_series()]) is None
    painter.close()
