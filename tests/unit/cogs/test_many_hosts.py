"""An environment on many hosts in the channel: all of them by its name, one of them by its own, in its channel."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from roas.configuration.tables import EnvironmentSettings
from roas.models.alert import AlertReport, AlertSource, Severity
from tests.unit.cogs.conftest import Scene, arranged, shown
from tests.unit.ui.story import until


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Let `dev` be on two hosts, and have the channel `general`."""
    async with arranged(tmp_path / "state") as scene:
        application = scene.application
        application.settings.environments["dev"] = EnvironmentSettings(ops_channel_id=scene.general.id)
        dev = application.environments["dev"]
        hosts = tuple(replace(dev, name=f"dev@{host}", part_of="dev") for host in ("a", "b"))
        application.environments["dev"] = replace(dev, hosts=hosts)
        application.environments |= {host.name: host for host in hosts}
        await scene.restart()
        yield scene


def posted(scene: Scene, text: str) -> bool:
    """Return whether the channel of all hosts shows some words."""
    return any(text in shown(message.embeds) for message in scene.general.history())


async def test_status_by_name_has_each_host(scene: Scene) -> None:
    answer = scene.answer(await scene.bob.slash(scene.general, "status", environment="dev"))
    assert [name for name in ("dev:", "dev@a:", "dev@b:") if name not in answer] == []
    answer = scene.answer(await scene.bob.slash(scene.ops, "status"))
    assert "dev:" in answer
    assert "dev@a:" not in answer


async def test_one_host_is_found_in_the_channel_of_all(scene: Scene) -> None:
    answer = scene.answer(await scene.dora.slash(scene.general, "status", environment="dev@b"))
    assert "dev@b:" in answer
    elsewhere = scene.guild.create_text_channel("elsewhere")
    answer = scene.answer(await scene.dora.slash(elsewhere, "status", environment="dev@b"))
    assert "only works in" in answer


async def test_all_hosts_are_deployed_by_one_command(scene: Scene) -> None:
    await scene.ask(scene.dora, "deploy", environment="dev", version="v2")
    await until(lambda: posted(scene, "Deploy v2 to dev: succeeded"))
    assert [request.environment for request in scene.application.orchestrator.requests] == ["dev"]


async def test_alert_of_a_host_is_in_the_channel_of_all(scene: Scene) -> None:
    report = AlertReport("x", AlertSource.HEALTH, Severity.WARNING, "web is down", environment="dev@a", service="web")
    await scene.application.alert_service.take([report])
    await until(lambda: posted(scene, "web is down"))


async def test_history_of_one_host_is_shown(scene: Scene) -> None:
    answer = scene.answer(await scene.dora.slash(scene.general, "history", environment="dev@a"))
    assert "dev@a" in answer
