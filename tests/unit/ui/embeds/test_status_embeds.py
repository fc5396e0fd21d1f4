"""The status shows every service, the worst first, and cuts nothing in silence."""

import re
from dataclasses import replace
from datetime import timedelta

import discord
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roas.api.documents import EnvironmentStatus, StatusReport
from roas.cli.output import Terminal
from roas.cli.status import show_status
from roas.metrics.integration_monitor import LIMITS, IntegrationFigures
from roas.models.candidate import Hold
from roas.models.deployment import PhaseStatus
from roas.models.health import ContainerState, ServiceHealth, StackHealth, Verdict
from roas.models.phases import PhaseName
from roas.ui.drawing import BAD, GOOD
from roas.ui.embeds.status import draw_integration, draw_status
from roas.ui.translation import using_locale
from tests.unit.ui.embeds.test_embeds import assert_within_limits, text_of
from tests.unit.ui.samples import NOON, a_container, a_deployment, a_lock, a_release, a_stack


def many(count: int = 100, unhealthy: int = 3) -> StackHealth:
    services = tuple(
        ServiceHealth(
            f"worker-{number:03}",
            Verdict.UNHEALTHY if number >= count - unhealthy else Verdict.HEALTHY,
            "fails its health check" if number >= count - unhealthy else "",
            (a_container(f"worker-{number:03}", restarts=number),),
            1.5,
            1024 * 1024 * number,
        )
        for number in range(count)
    )
    return StackHealth("staging", Verdict.UNHEALTHY, services, NOON + timedelta(hours=3, minutes=5))


def test_services_listed_worst_first_with_figures() -> None:
    stack = a_stack(("redis", Verdict.HEALTHY, ""), ("web", Verdict.UNHEALTHY, "health check fails"))
    drawing = draw_status([EnvironmentStatus("staging", stack, a_release())])
    text = text_of(drawing.embeds)
    assert text.index("**web**") < text.index("**redis**")
    assert "🔴 1 unhealthy · 🟢 1 healthy" in text
    assert "🔴 **web** unhealthy: health check fails" in text
    assert "`web:v3` · started <t:" in text
    assert "CPU 12.3 % · 64 MiB · 2 restarts" in text
    assert "**r3** · version `v3` · succeeded" in text
    assert drawing.embeds[0].colour == BAD
    assert not drawing.attachments
    unnamed = text_of(draw_status([EnvironmentStatus("staging", stack, a_release(version=""))]).embeds)
    assert "**r3** · succeeded" in unnamed, "the files follow no version"


@pytest.mark.parametrize(
    ("soak", "embed", "line"),
    [
        (0.0, "dev → staging", "takes only what was healthy in dev: dev → staging"),
        (3600.0, "dev → staging, once healthy there for 1 h", "healthy in dev for 1 h 0 min: dev → staging"),
    ],
)
def test_order_of_environments_shown(
    soak: float, embed: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stack = a_stack(("web", Verdict.HEALTHY, ""))
    status = EnvironmentStatus("staging", stack, a_release(), requires="dev", soak_seconds=soak)
    assert embed in text_of(draw_status([status]).embeds)
    show_status(Terminal(), StatusReport((status,)))
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "embed", "line"),
    [("v3", "`v3`", "v3 is on hold since"), ("", "nothing is deployed by itself", "automation is on hold since")],
)
def test_holds_shown(
    version: str, embed: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    hold = Hold("staging", version, NOON, "DEPLOY-1", "dora rolled it back.")
    status = EnvironmentStatus("staging", a_stack(("web", Verdict.HEALTHY, "")), a_release(), holds=(hold,))
    drawn = text_of(draw_status([status]).embeds)
    assert embed in drawn
    assert "dora rolled it back." in drawn
    show_status(Terminal(), StatusReport((status,)))
    said = capsys.readouterr().out
    assert line in said
    assert "dora rolled it back." in said


def test_pruned_releases_named() -> None:
    """Whoever wants to go back learns before it what can no longer be restored."""
    stack = replace(a_stack(("web", Verdict.HEALTHY, "")), lost=("r2", "r1"))
    status = EnvironmentStatus("staging", stack, a_release())
    assert "r2, r1: images were pruned" in text_of(draw_status([status]).embeds)


def test_running_version_shown_not_wanted_one() -> None:
    other = replace(a_container("web"), image_id="sha256:" + "b" * 64, image_reference="shop/web:v2")
    stack = StackHealth("staging", Verdict.HEALTHY, (ServiceHealth("web", Verdict.HEALTHY, "", (other,)),), NOON)
    assert "`web:v2`" in text_of(draw_status([EnvironmentStatus("staging", stack, a_release())]).embeds)


def test_stopped_service_says_who_stopped_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong with it; nobody should read that it serves."""
    monkeypatch.setenv("COLUMNS", "160")
    ended = replace(a_container("web"), state=ContainerState.EXITED, exit_code=0)
    stopped = ServiceHealth("web", Verdict.HEALTHY, "was stopped by dora, 2026-11-30 03:00 UTC", (ended,))
    stopped = replace(stopped, stopped=True)
    store = ServiceHealth("store", Verdict.HEALTHY, "passes its health check", (a_container("store"),))
    status = EnvironmentStatus("staging", StackHealth("staging", Verdict.HEALTHY, (store, stopped), NOON), a_release())
    said = text_of(draw_status([status]).embeds)
    assert "staging: healthy" in said
    assert "⏹️ 1 stopped · 🟢 1 healthy" in said
    assert "⏹️ **web** stopped: was stopped by dora" in said
    show_status(Terminal(), StatusReport((status,)))
    assert re.search(r"web +stopped ", capsys.readouterr().out)
    alone = EnvironmentStatus("staging", StackHealth("staging", Verdict.HEALTHY, (stopped,), NOON), a_release())
    assert "⚫ staging: stopped" in text_of(draw_status([alone]).embeds)


@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_hundred_services_cut_with_full_file(locale: str) -> None:
    """The worst are shown, the rest is counted, and a file has them all."""
    with using_locale(locale):
        drawing = draw_status([EnvironmentStatus("staging", many(), a_release(services=("worker-007",)))])
    assert_within_limits(drawing.embeds)
    description = drawing.embeds[0].description or ""
    shown = [number for number in range(100) if f"**worker-{number:03}**" in description]
    assert {97, 98, 99} <= set(shown)
    assert 20 <= len(shown) < 100
    assert str(100 - len(shown)) in description
    assert "🔴 3" in description
    assert "🟢 97" in description
    assert "services.txt" in description
    (table,) = drawing.attachments
    rows = table.text.splitlines()[2:]
    assert [row.split()[0] for row in rows[:3]] == ["worker-097", "worker-098", "worker-099"]
    assert sorted(row.split()[0] for row in rows) == [f"worker-{number:03}" for number in range(100)]
    row = next(row for row in rows if row.startswith("worker-007"))
    assert row.split()[2:] == ["worker-007:v3", "3h05m", "1.5", "%", "7", "MiB", "7"]


def test_extra_embeds_shorten_service_list() -> None:
    beside = [discord.Embed(title="alerts", description="a" * 1200), discord.Embed(title="figures", description="f")]
    drawing = draw_status([EnvironmentStatus("staging", many(), a_release())], beside)
    assert_within_limits(drawing.embeds)
    assert drawing.embeds[1:] == tuple(beside)
    assert "services.txt" in (drawing.embeds[0].description or "")


def test_remaining_environments_counted() -> None:
    drawing = draw_status([EnvironmentStatus(f"env-{n}", many(3)) for n in range(12)], [discord.Embed(title="x")])
    assert_within_limits(drawing.embeds)
    assert len(drawing.embeds) == 10
    assert "3 more" in str(drawing.embeds[8].footer.text)


def test_running_deployment_or_lock_holder_shown() -> None:
    running = a_deployment(statuses={PhaseName.EXECUTION: PhaseStatus.IN_PROGRESS})
    status = EnvironmentStatus("staging", active=running, lock=a_lock(running))
    for busy in (draw_status([status]), draw_status([status] * 3)):
        text = text_of(busy.embeds)
        assert "· execution" in text
        assert running.id in text
    why = "goes on by itself once this has passed"
    waiting = replace(running, phases=tuple(replace(phase, summary=why) for phase in running.phases))
    told = text_of(draw_status([EnvironmentStatus("staging", active=waiting)]).embeds)
    assert "· execution · ⚠️ goes on by itself once this has passed" in told
    held = text_of(draw_status([EnvironmentStatus("staging", lock=a_lock(running))]).embeds)
    assert "since" in held
    assert "deploy v2" in held


def test_lost_engine_status_keeps_release() -> None:
    status = EnvironmentStatus("staging", None, a_release(), fault="The engine is away.")
    text = text_of(draw_status([status]).embeds)
    assert "The engine is away." in text
    assert "r3" in text


def test_integration_shows_five_figures_with_limits() -> None:
    embed = draw_integration(
        IntegrationFigures(0.012, "live messages", 0.003, 2.0, 0.25, "dev/web", 0.0, "", 1.0), frozenset()
    )
    assert (embed.description or "").splitlines() == [
        "🟢 Event latency: 12 ms (at most 1000 ms)",
        "🟢 Redis sync lag: 3 ms (at most 500 ms)",
        "🟢 Dependency resolution time: 2.0 s, 25 % of the timeout (at most 80 %)",
        "🟢 Integration error rate: 0 % (at most 5 %)",
        "🟢 Deployment success rate: 100 % (at least 95 %)",
    ]
    assert embed.colour == GOOD


@given(st.floats(0, 1e6), st.floats(0, 1e3))
@example(0.0, 3.33e-6)
def test_figures_have_few_digits(seconds: float, ratio: float) -> None:
    """Neither tiny shares nor long waits fill the line, or have an exponent."""
    figures = IntegrationFigures(seconds, "", seconds, seconds, ratio, "dev/web", ratio, "", min(ratio, 1.0))
    text = str(draw_integration(figures, frozenset()).description)
    told = [LIMITS[0].describe(seconds * 1000, ""), LIMITS[-1].describe(ratio, "")]
    for line in (text, *told):
        assert not re.search(r"\de[+-]|\.\d\d", line), line


def test_figure_red_while_alert_fires() -> None:
    """One without a measurement says so."""
    embed = draw_integration(IntegrationFigures(1.2, "slow one"), frozenset({"event_latency"}))
    assert "🔴 Event latency: 1200 ms, slowest: `slow one`" in (embed.description or "")
    assert (embed.description or "").count("nothing to measure yet") == 3
    assert "Deployment success rate: measured once there are 5 in a day" in (embed.description or "")
    assert str(embed.title).endswith("Bot components: 1 alert")
    assert embed.colour == BAD
    deployed = draw_integration(IntegrationFigures(0.1, success_ratio=0.8), frozenset({"coordination_success_rate"}))
    assert deployed.title == "⚠️ Deployment success rate", "the bot's components are well"
    assert "🔴 Deployment success rate: 80 % (at least 95 %)" in (deployed.description or "")


def test_redis_that_is_not_set_is_not_waited_for() -> None:
    embed = draw_integration(IntegrationFigures(0.1, has_redis=False), frozenset())
    assert "Redis" not in (embed.description or "")


def test_swarm_services_name_their_nodes_and_what_is_not_known() -> None:
    tasks = tuple(replace(a_container("web"), id=node, node=node) for node in ("node2", "node1"))
    web = ServiceHealth("web", Verdict.HEALTHY, "", tasks, 1.5, 1024 * 1024, unmeasured=1)
    text = text_of(draw_status([EnvironmentStatus("staging", replace(many(0), services=(web,)))]).embeds)
    assert "2 containers · on node1, node2 ·" in text
    assert "CPU 1.5 % · 1 MiB · CPU and memory on other nodes not known" in text


def test_manager_that_answers_is_named_where_there_are_several() -> None:
    known = a_stack(("web", Verdict.HEALTHY, ""))
    assert "manager" not in text_of(draw_status([EnvironmentStatus("staging", known)]).embeds)
    asked = replace(known, manager="ssh://deploy@10.0.0.3")
    text = text_of(draw_status([EnvironmentStatus("staging", asked)]).embeds)
    assert "Asked: the manager at `ssh://deploy@10.0.0.3`" in text


def test_what_was_seen_before_is_shown_with_its_age() -> None:
    """A Swarm without a quorum answers nothing; and what was healthy is not called so now."""
    before = replace(a_stack(("web", Verdict.HEALTHY, "")), fault="The Swarm has no leader", remembered=True)
    (embed,) = draw_status([EnvironmentStatus("staging", before, fault="The Swarm has no leader")]).embeds
    text = text_of([embed])
    assert embed.colour != GOOD
    assert "staging: not known" in text
    assert "⚠️ The Swarm has no leader\nAs it was seen <t:" in text
    assert "🟢 **web** healthy" in text
