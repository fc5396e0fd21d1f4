"""The button on the live message: who may press it, what it does, and that it outlives the bot that posted it."""

import discord
import pytest

from roas.models.deployment import DeploymentKind, Outcome
from roas.ui.embeds.live import draw_live
from roas.ui.notifications.ops_channel import OpsChannel
from tests.unit.cogs.conftest import Scene, buttons, shown
from tests.unit.ui.story import Story


async def running(scene: Scene, environment: str = "staging") -> discord.Message:
    """Start a deployment that goes on until it is told to stop, and return its live message."""
    if environment == "staging":
        scene.application.orchestrator.hold.clear()
    result = await scene.ask(scene.dora, "deploy", environment=environment, version="v2")
    if environment == "prod":
        wanted = await scene.posted("Approval needed")
        scene.application.orchestrator.hold.clear()
        result = await scene.anna.click(wanted, custom_id=buttons(wanted)[0])
    assert "Started" in scene.answer(result)
    return await scene.posted(f"Deploy v2 to {environment}")


async def test_deployer_cancels_and_channel_shows_it(scene: Scene) -> None:
    live = await running(scene)
    result = await scene.click_and_say(scene.dora, live, buttons(live)[0], "wrong branch")
    assert "was asked to stop" in scene.answer(result)
    deployment_id, actor = scene.application.orchestrator.cancelled[0]
    assert buttons(live)[0].endswith(deployment_id)
    assert actor.id == str(scene.dora.id)
    outcome = await scene.posted("Deploy v2 to staging: was cancelled")
    assert "> wrong branch" in shown(outcome.embeds)


async def test_cancelled_message_names_user_without_button(scene: Scene) -> None:
    """The live message says who asked to cancel, and has no button left."""
    story = await Story.begin(scene.application.state, scene.application.bus)
    live = await scene.posted("Deploy v2 to staging")
    await scene.click_and_say(scene.dora, live, buttons(live)[0], "wrong branch")
    changed = await scene.posted("asked to cancel")
    assert changed.id == live.id
    assert "> wrong branch" in shown(changed.embeds)
    assert not changed.components
    await story.finish(Outcome.CANCELLED)


@pytest.mark.parametrize("environment", ["staging", "prod"])
async def test_non_deployer_may_not_cancel(scene: Scene, environment: str) -> None:
    live = await running(scene, environment)
    somebody = scene.hugo if environment == "prod" else scene.bob
    assert "You may not do this" in scene.answer(await somebody.click(live, custom_id=buttons(live)[0]))
    assert not scene.application.orchestrator.cancelled


async def test_approver_may_cancel_hotfix(scene: Scene) -> None:
    await Story.begin(scene.application.state, scene.application.bus, kind=DeploymentKind.HOTFIX)
    live = await scene.posted("Hotfix v2 for staging")
    assert "was asked to stop" in scene.answer(await scene.click_and_say(scene.anna, live, buttons(live)[0]))


async def test_button_works_after_restart(scene: Scene) -> None:
    """The form is taken by the bot that lives, too, whichever has opened it."""
    live = await running(scene)
    await scene.restart()
    opened = await scene.dora.click(live, custom_id=buttons(live)[0])
    await scene.restart()
    result = await scene.dora.submit_modal(opened, {"reason": ""})
    assert "was asked to stop" in scene.answer(result)
    await scene.posted("Deploy v2 to staging: was cancelled")
    assert len(scene.posts()) == 2


async def test_stale_button_reports_finished(scene: Scene) -> None:
    story = await Story.begin(scene.application.state, scene.application.bus)
    await story.finish()
    await scene.posted("succeeded")
    channel = OpsChannel(scene.env.bot, scene.guild.id, scene.ops.id)
    old = await channel.send(draw_live(story.deployment), nonce="as it was before the end")
    message = next(m for m in scene.posts() if m.id == old)
    assert "has ended already" in scene.answer(await scene.dora.click(message, custom_id=buttons(message)[0]))


async def test_next_bot_finishes_live_message(scene: Scene) -> None:
    story = await Story.begin(scene.application.state, scene.application.bus)
    live = await scene.posted("Deploy v2 to staging")
    await scene.silence()
    await story.finish(announced=False)
    await scene.restart()
    outcome = await scene.posted("Deploy v2 to staging: succeeded")
    assert outcome.reference is not None
    assert outcome.reference.message_id == live.id
    assert len(scene.posts()) == 2
