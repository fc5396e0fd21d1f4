"""Alerts in the channel: one message each, and buttons for those who may."""

from dataclasses import replace

import discord
import pytest

from roas.models.alert import DRIFT, AlertReport, AlertSource, AlertState, Severity
from roas.models.deployment import DeploymentKind, Operation
from roas.models.state_change import ChangeType
from roas.ui.embeds.alert import draw_alert, draw_escalation
from roas.ui.translation import using_locale
from tests.unit.cogs.conftest import Scene, buttons, shown
from tests.unit.cogs.fake_application import kept_release
from tests.unit.ui.story import until

REPORT = AlertReport(
    "f1", AlertSource.HEALTH, Severity.WARNING, "dev: web is down", "It ended.", environment="dev", service="web"
)


def button(message: discord.Message, action: str) -> str:
    ids = [str(item.custom_id) for row in message.components for item in row.children]  # type: ignore[union-attr]
    return next(identifier for identifier in ids if f":{action}:" in identifier)


async def raised(scene: Scene, report: AlertReport = REPORT) -> discord.Message:
    await scene.application.alert_service.take([report])
    return await scene.posted(report.title)


async def test_alert_is_one_edited_message(scene: Scene) -> None:
    message = await raised(scene)
    await scene.application.alert_service.take([REPORT, replace(REPORT, firing=False)])
    over = await scene.posted("resolved")
    assert over.id == message.id
    assert not over.components
    assert len(scene.posts()) == 1


async def test_deployers_may_acknowledge_and_silence(scene: Scene) -> None:
    message = await raised(scene)
    assert "acknowledged by you" in scene.answer(await scene.dora.click(message, custom_id=button(message, "ack")))
    message = await scene.posted("acknowledged")
    assert "silenced for an hour" in scene.answer(await scene.anna.click(message, custom_id=button(message, "silence")))
    (alert,) = await scene.application.state.alerts.open()
    assert alert.state is AlertState.SILENCED
    changes = await scene.application.state.changes()
    assert [(change.new, change.metadata["by"]) for change in changes if change.type is ChangeType.AUDIT] == [
        ("acknowledged", "dora"),
        ("silenced", "anna"),
    ]


async def test_user_without_role_changes_nothing(scene: Scene) -> None:
    message = await raised(scene)
    for action in ("ack", "silence", "logs", "restart", "rollback"):
        answered = await scene.bob.click(message, custom_id=button(message, action))
        assert "You may not do this" in scene.answer(answered)
    (alert,) = await scene.application.state.alerts.open()
    assert alert.state is AlertState.FIRING


async def test_rollback_button_only_shows_plan(scene: Scene) -> None:
    message = await raised(scene)
    answered = await scene.dora.click(message, custom_id=button(message, "rollback"))
    assert answered.response is not None
    assert not scene.application.orchestrator.requests
    (alert,) = await scene.application.state.alerts.open()
    with using_locale("en-US"):
        assert "or go back with /rollback dev" in shown(draw_escalation(alert).embeds)
    assert "Started" in scene.answer(await scene.press(scene.dora, answered, "confirm"))
    assert [request.kind for request in scene.application.orchestrator.requests] == [DeploymentKind.ROLLBACK]


async def test_restart_button_restarts_the_service(scene: Scene) -> None:
    message = await raised(scene)
    assert "Started" in scene.answer(await scene.dora.click(message, custom_id=button(message, "restart")))
    (request,) = scene.application.orchestrator.requests
    assert (request.operation, request.services, request.environment) == (Operation.RESTART, ("web",), "dev")
    assert request.reason.startswith("ALERT-")


async def test_stale_alert_button_reports_resolved(scene: Scene) -> None:
    message = await raised(scene)
    ids = [button(message, action) for action in ("ack", "silence")]
    (alert,) = await scene.application.state.alerts.open()
    await scene.application.alert_service.take([replace(REPORT, firing=False)])
    await scene.posted("resolved")
    seen = await scene.as_it_was(draw_alert(alert))
    for custom_id in ids:
        answer = scene.answer(await scene.dora.click(seen, custom_id=custom_id))
        assert "resolved already; there is nothing to do" in answer
        assert "did not work" not in answer


@pytest.mark.parametrize("action", ["restore", "keep"])
async def test_drift_alert_offers_a_decision(scene: Scene, action: str) -> None:
    await kept_release(scene.application, "staging", "v1")
    drift = AlertReport(
        f"{DRIFT}staging", AlertSource.INTEGRATION, Severity.WARNING, "staging differs", environment="staging"
    )
    message = await raised(scene, drift)
    assert not [item for item in buttons(message) if ":rollback:" in item]
    answered = await scene.dora.click(message, custom_id=button(message, action))
    assert "Nothing changes until you confirm" in scene.answer(answered)
    current = await scene.application.state.releases.current("staging")
    (asked,) = scene.application.orchestrator.planned
    assert current is not None
    if action == "restore":
        assert (asked.kind, asked.target_release) == (DeploymentKind.ROLLBACK, current.number)
    else:
        assert (asked.operation, asked.services) == (Operation.KEEP, ())


async def test_alert_buttons_survive_restart(scene: Scene) -> None:
    message = await raised(scene)
    await scene.restart()
    assert "acknowledged by you" in scene.answer(await scene.dora.click(message, custom_id=button(message, "ack")))
    assert len(scene.posts()) == 1


async def test_alert_raised_offline_is_announced(scene: Scene) -> None:
    await scene.silence()
    await scene.application.alert_service.take([REPORT])
    await scene.restart()
    await scene.posted(REPORT.title)


async def test_storm_shares_message_and_acknowledgement(scene: Scene) -> None:
    """Many alerts at once share a message, and one click acknowledges all."""
    await scene.application.alert_service.take(
        [replace(REPORT, fingerprint=f"f{n}", title=f"trouble {n}") for n in range(50)]
    )
    message = await scene.posted("50 alerts")
    assert "50 acknowledged" in scene.answer(await scene.dora.click(message, custom_id=button(message, "ack")))
    await until(lambda: "👀" in shown(scene.posts()[0].embeds))
    assert len(scene.posts()) == 1


async def test_status_lists_open_alerts(scene: Scene) -> None:
    await raised(scene)
    assert "Open alerts: 1" in scene.answer(await scene.bob.slash(scene.ops, "status"))


async def test_failed_recovery_pings_role(scene: Scene) -> None:
    message = await raised(scene, replace(REPORT, severity=Severity.HIGH))
    (alert,) = await scene.application.state.alerts.open()
    await scene.application.alert_service.note(alert.id, "escalated: nothing helped", escalated=True)
    call = await scene.posted("Operator needed")
    assert call.id != message.id
    assert "nothing helped" in shown(call.embeds)
