"""What an alert shows, within Discord's limits whatever it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.alert import Alert, AlertSource, AlertState, RecoveryStatus, Severity
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import draw_alert, draw_escalation, draw_group, draw_open_alerts, draw_ping, draw_shared_ping
from roas.ui.translation import translate, using_locale

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = Alert(
    "ALERT-01J0000000000000000000000A",
    "health:dev:web",
    AlertSource.HEALTH,
    Severity.HIGH,
    "dev: web is down",
    NOW,
    NOW,
    summary="web has ended with code 137.",
    environment="dev",
    service="web",
)
HOSTILE = "@everyone [x](https://evil.example) ``` **" + "y" * 5000


def labels(drawing: Drawing) -> list[str]:
    return [button.label for button in drawing.buttons]


def text(drawing: Drawing) -> str:
    return "\n".join(str(embed.to_dict()) for embed in drawing.embeds)


def test_urgent_alert_pings_only_role() -> None:
    drawing = draw_alert(ALERT, 42)
    assert (drawing.content, drawing.pings) == ("<@&42>", (42,))
    quiet = draw_alert(replace(ALERT, severity=Severity.WARNING), 42)
    assert (quiet.content, quiet.pings) == ("", ())
    assert draw_alert(ALERT).content == ""


def test_buttons_match_possible_actions() -> None:
    assert labels(draw_alert(ALERT)) == ["Acknowledge", "Silence 1 h", "Logs", "Restart", "Roll back"]
    assert labels(draw_alert(replace(ALERT, environment="", service=""))) == ["Acknowledge", "Silence 1 h"]
    assert labels(draw_alert(replace(ALERT, state=AlertState.ACKNOWLEDGED))) == [
        "Silence 1 h",
        "Logs",
        "Restart",
        "Roll back",
    ]
    assert labels(draw_alert(replace(ALERT, state=AlertState.RESOLVED, resolved_at=NOW))) == []


def test_engine_that_is_away_offers_nothing_that_needs_it() -> None:
    """Whoever is woken by it can neither deploy nor roll back: that advice would cost the minutes that count."""
    away = replace(ALERT, title="dev: the Docker engine cannot be reached", service="", severity=Severity.CRITICAL)
    assert labels(draw_alert(away)) == ["Acknowledge", "Silence 1 h"]
    for drawing in (draw_escalation(away), draw_shared_ping("S-1", [away, away], for_help=True)):
        assert "systemctl status docker" in text(drawing)
        assert "/rollback" not in text(drawing)
    assert "/rollback dev" in text(draw_shared_ping("S-1", [away, ALERT], for_help=True))
    assert "/rollback dev" in text(draw_escalation(ALERT))


def test_alert_shows_actions_and_acknowledger() -> None:
    dora = Actor(ActorKind.DISCORD, "7", "dora")
    drawing = draw_alert(
        replace(
            ALERT,
            state=AlertState.ACKNOWLEDGED,
            acknowledged_by=dora,
            actions=("restart: it ended again",),
            healing=RecoveryStatus.UNDER_WAY,
        )
    )
    assert "restart: it ended again" in text(drawing)
    assert "recovery in progress" in text(drawing)
    assert "<@7>" in text(drawing)


def test_hostile_text_sanitized_within_limits() -> None:
    hostile = replace(ALERT, title=HOSTILE, summary=HOSTILE, service=HOSTILE, actions=(HOSTILE,) * 20)
    many = [hostile] * 50
    drawings = [draw_alert(hostile), draw_escalation(hostile), draw_ping(hostile), draw_group("STORM-1", many)]
    drawings += [draw_shared_ping("STORM-1", many, for_help=for_help) for for_help in (True, False)]
    for drawing in drawings:
        assert sum(len(embed) for embed in drawing.embeds) <= 6000
        assert "@everyone" not in text(drawing)
        assert len(drawing.embeds[0].title or "") <= 256


def test_many_alerts_counted_and_worst_named() -> None:
    alerts = [replace(ALERT, id=f"ALERT-{n}", title=f"trouble {n}") for n in range(999)]
    alerts.append(replace(ALERT, id="ALERT-x", severity=Severity.CRITICAL, title="the worst"))
    drawing = draw_group("STORM-1", alerts, 42)
    assert "1000 alerts" in text(drawing)
    assert "999 high" in text(drawing)
    assert "the worst" in text(drawing)
    assert labels(drawing) == ["Acknowledge all", "Silence 1 h"]
    over = draw_group("STORM-1", [replace(a, state=AlertState.RESOLVED) for a in alerts], 42)
    assert not over.buttons


def test_status_lists_open_alerts() -> None:
    assert draw_open_alerts([]) is None
    embed = draw_open_alerts([ALERT, replace(ALERT, severity=Severity.CRITICAL, title="worse")])
    assert embed is not None
    assert "Open alerts: 2" in str(embed.title)
    assert (embed.description or "").index("worse") < (embed.description or "").index("web is down")


def test_silence_shows_end_time() -> None:
    silenced = replace(ALERT, state=AlertState.SILENCED, silenced_until=NOW + timedelta(hours=1))
    assert "until <t:" in text(draw_alert(silenced))


def test_single_alert_group_keeps_title() -> None:
    drawing = draw_group("STORM-1", [replace(ALERT, state=AlertState.RESOLVED)])
    assert drawing.embeds[0].title == "✅ dev: web is down"


def test_silenced_alert_mentions_without_ping() -> None:
    quiet = replace(ALERT, state=AlertState.SILENCED)
    for drawing in (draw_alert(quiet, 42), draw_group("STORM-1", [quiet, quiet], 42)):
        assert (drawing.content, drawing.pings) == ("<@&42>", ())


def test_single_alert_group_title_translated() -> None:
    """The title of a group of one is in the reader's language."""
    title = said("{environment}: {service} was stopped manually", environment="dev", service="web")
    raised = replace(ALERT, title=title)
    with using_locale("zh-TW"):
        title = draw_group("STORM-1", [raised]).embeds[0].title
        assert str(title).partition(" ")[2] == translate(raised.title)
        assert translate(raised.title) != raised.title


def test_group_ping_names_worst_and_counts_rest() -> None:
    alerts = [replace(ALERT, id=f"ALERT-{n}", title=f"trouble {n:03}") for n in range(100)]
    drawing = draw_shared_ping(
        "STORM-1", [*alerts, replace(ALERT, severity=Severity.CRITICAL, title="the worst")], 42, for_help=True
    )
    named = [line for line in (drawing.embeds[0].description or "").splitlines() if "trouble" in line]
    assert "the worst" in (drawing.embeds[0].description or "").splitlines()[0]
    assert f"… and {100 - len(named)} more" in text(drawing)
    assert "Operator needed: 101 alerts" in text(drawing)
    assert "/rollback dev" in text(drawing)
    assert (drawing.content, drawing.pings) == ("<@&42>", (42,))
