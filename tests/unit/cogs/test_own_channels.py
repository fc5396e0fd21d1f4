"""An environment's own channel takes what concerns that environment, and nothing else; the ops channel takes all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.configuration.tables import EnvironmentSettings
from roas.models.alert import AlertReport, AlertSource, Severity
from tests.unit.cogs.conftest import Scene, arranged, buttons, shown
from tests.unit.cogs.test_channel_commands import ended
from tests.unit.ui.story import Story, until


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Let `dev` have the channel `general`, which it shares with nobody."""
    async with arranged(tmp_path / "state") as scene:
        scene.application.settings.environments["dev"] = EnvironmentSettings(ops_channel_id=scene.general.id)
        await scene.restart()
        yield scene


COMMANDS = {
    "deploy": {"version": "v2"},
    "rollback": {},
    "status": {},
    "history": {},
    "logs": {"service": "web"},
    "lock": {"reason": "x"},
    "unlock": {},
    "cancel": {},
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_another_environment_is_refused_with_where_to_go(scene: Scene, command: str) -> None:
    answer = scene.answer(await scene.anna.slash(scene.general, command, environment="prod", **COMMANDS[command]))
    assert f"This only works in the ops channel, <#{scene.ops.id}>." in answer


async def test_hotfix_of_prod_is_refused_there(scene: Scene) -> None:
    answer = scene.answer(await scene.hugo.slash(scene.general, "hotfix", version="v2", reason="x"))
    assert f"<#{scene.ops.id}>" in answer


@pytest.mark.parametrize("command", COMMANDS)
async def test_its_own_environment_is_taken_in_both(scene: Scene, command: str) -> None:
    for channel in (scene.general, scene.ops):
        answer = scene.answer(await scene.dora.slash(channel, command, environment="dev", **COMMANDS[command]))
        assert "only works in" not in answer


async def test_elsewhere_both_channels_are_named(scene: Scene) -> None:
    elsewhere = scene.guild.create_text_channel("elsewhere")
    answer = scene.answer(await scene.dora.slash(elsewhere, "deploy", environment="dev", version="v2"))
    assert f"This only works in the ops channel, <#{scene.ops.id}>." in answer


async def test_all_means_those_of_the_channel(scene: Scene) -> None:
    await ended(scene, "dev", "v1")
    await ended(scene, "prod", "v2")
    await scene.application.alert_service.take(
        [
            AlertReport(name, AlertSource.HEALTH, Severity.WARNING, f"{name}: web is down", environment=name)
            for name in ("dev", "prod")
        ]
    )
    history = scene.answer(await scene.bob.slash(scene.general, "history"))
    assert "v1 to dev" in history
    assert "prod" not in history
    status = scene.answer(await scene.bob.slash(scene.general, "status"))
    assert "dev" in status
    assert "prod" not in status
    assert "staging" not in status
    everything = scene.answer(await scene.bob.slash(scene.ops, "status"))
    assert "prod: web is down" in everything
    assert "dev: web is down" in everything


async def test_cancel_means_the_one_of_the_channel(scene: Scene) -> None:
    await Story.begin(scene.application.state, scene.application.bus, environment="prod")
    answer = scene.answer(await scene.anna.slash(scene.general, "cancel"))
    assert "No deployment is under way" in answer


async def test_suggestions_are_those_of_the_channel(scene: Scene) -> None:
    for command in ("deploy", "status", "history", "logs", "lock"):
        there = await scene.dora.autocomplete(scene.general, command, "environment", "")
        assert [choice["value"] for choice in there] == ["dev"], command
        everywhere = await scene.dora.autocomplete(scene.ops, command, "environment", "")
        assert len(everywhere) == 3, command


async def test_a_wrong_name_is_answered_with_those_of_the_channel(scene: Scene) -> None:
    answer = scene.answer(await scene.dora.slash(scene.general, "deploy", environment="pro", version="v2"))
    assert "There is no environment" in answer
    assert "prod" not in answer


async def test_buttons_of_its_alert_work_in_its_channel(scene: Scene) -> None:
    report = AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "dev: web is down", environment="dev")
    await scene.application.alert_service.take([report])
    await until(lambda: any("web is down" in shown(message.embeds) for message in scene.general.history()))
    (message,) = [one for one in scene.general.history() if "web is down" in shown(one.embeds)]
    ack = next(button for button in buttons(message) if ":ack:" in button)
    assert "acknowledged" in scene.answer(await scene.dora.click(message, custom_id=ack))
    assert not any("web is down" in shown(post.embeds) for post in scene.posts())


async def test_an_alert_of_another_environment_is_refused_there(scene: Scene) -> None:
    """A message of a time when the settings were others, or a click that somebody's client forged."""
    report = AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "prod: web is down", environment="prod")
    await scene.application.alert_service.take([report])
    (alert,) = await scene.application.state.alerts.all()
    scene.application.settings.environments["prod"] = EnvironmentSettings(ops_channel_id=scene.general.id)
    await scene.restart()
    await until(lambda: any("web is down" in shown(message.embeds) for message in scene.general.history()))
    (message,) = [one for one in scene.general.history() if "web is down" in shown(one.embeds)]
    del scene.application.settings.environments["prod"]
    await scene.restart()
    ack = next(button for button in buttons(message) if ":ack:" in button)
    assert f"<#{scene.ops.id}>" in scene.answer(await scene.dora.click(message, custom_id=ack))
    assert (await scene.application.state.alerts.get(alert.id)).acknowledged_by is None
