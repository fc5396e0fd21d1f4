"""History, logs, locks and /cancel: what people type, and what they are answered."""

from datetime import UTC, datetime, timedelta

import discord
import pytest
from simcord.actors import MemberActor

from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import Outcome
from tests.unit.cogs.conftest import Scene, buttons
from tests.unit.cogs.fake_application import kept_release
from tests.unit.ui.story import Story, until


async def ended(scene: Scene, environment: str, version: str, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    """Let a deployment come to its end, without any event."""
    story = await Story.begin(scene.application.state, scene.application.bus, environment=environment, version=version)
    await story.finish(outcome)


async def test_history_shows_who_what_duration_and_outcome(scene: Scene) -> None:
    await ended(scene, "staging", "v1")
    await ended(scene, "prod", "v2", Outcome.ROLLED_BACK)
    answer = scene.answer(await scene.bob.slash(scene.ops, "history"))
    assert "**Deploy v1 to staging** succeeded" in answer
    assert "**Deploy v2 to prod** failed and was rolled back" in answer
    assert "1 min 15 s" in answer
    assert "<@123456789012345678>" in answer


async def test_history_filters_environment_and_outcome(scene: Scene) -> None:
    await ended(scene, "staging", "v1")
    await ended(scene, "prod", "v2")
    await ended(scene, "prod", "v3", Outcome.CANCELLED)
    of_prod = scene.answer(await scene.bob.slash(scene.ops, "history", environment="prod"))
    assert "v1" not in of_prod
    assert "v2" in of_prod
    cancelled = scene.answer(await scene.bob.slash(scene.ops, "history", environment="prod", outcome="cancelled"))
    assert "v3" in cancelled
    assert "v2" not in cancelled
    none = scene.answer(await scene.bob.slash(scene.ops, "history", environment="dev"))
    assert "No deployments" in none


async def test_history_pages_turn_after_restart(scene: Scene) -> None:
    for number in range(10):
        await ended(scene, "staging", f"v{number}")
    result = await scene.bob.slash(scene.ops, "history", environment="staging")
    assert "v9" in scene.answer(result)
    assert "v1 " not in scene.answer(result)
    assert result.response is not None
    (older,) = buttons(result.response.message)
    await scene.restart()
    turned = await scene.bob.click(result.response.message, custom_id=older)
    assert "Deploy v1 to staging" in scene.answer(turned)
    assert turned.response is not None
    (newer,) = buttons(turned.response.message)
    assert "Deploy v9 to staging" in scene.answer(await scene.bob.click(turned.response.message, custom_id=newer))


async def test_unknown_environment_suggests_nearest(scene: Scene) -> None:
    for command, options in {
        "history": {},
        "lock": {"reason": "x"},
        "unlock": {},
        "cancel": {},
        "logs": {"service": "web"},
    }.items():
        answer = scene.answer(await scene.dora.slash(scene.ops, command, environment="stagin", **options))
        assert "Did you mean staging?" in answer, command


async def test_logs_sent_as_file_to_permitted_users(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    result = await scene.dora.slash(scene.ops, "logs", service="web", since="15m", lines=50)
    assert "Last log lines of `web` of staging" in scene.answer(result)
    assert result.response is not None
    (file,) = result.response.attachments
    assert file.filename == "staging-web.log"
    assert b"hello" in await file.read()
    asked = scene.application.stacks.asked[0]
    assert (asked["environment"], asked["id"], asked["lines"]) == ("staging", "web", 50)
    assert timedelta(minutes=14) < datetime.now(UTC) - asked["since"] < timedelta(minutes=16)
    assert "one of these roles is needed" in scene.answer(await scene.bob.slash(scene.ops, "logs", service="web"))


async def test_ambiguous_log_service_needs_environment(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    await kept_release(scene.application, "prod", "v1")
    answer = scene.answer(await scene.dora.slash(scene.ops, "logs", service="web"))
    assert "Say which environment: staging, prod." in answer
    answer = scene.answer(await scene.dora.slash(scene.ops, "logs", service="web", environment="prod"))
    assert "Last log lines of `web` of prod" in answer


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"service": "wbe"}, "Did you mean web?"),
        ({"service": "wbe", "environment": "staging"}, "Did you mean web or worker?"),
        ({"service": "web", "since": "yesterday"}, "is not a duration, such as 90s, 15m, 2h or 3d"),
    ],
)
async def test_invalid_log_options_explained(scene: Scene, options: dict[str, str], text: str) -> None:
    await kept_release(scene.application, "staging", "v1")
    assert text in scene.answer(await scene.dora.slash(scene.ops, "logs", **options))
    assert not scene.application.stacks.asked


async def test_empty_log_reported_without_file(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    scene.application.stacks.log = ""
    result = await scene.dora.slash(scene.ops, "logs", service="web")
    assert "`web` of staging has written nothing." in scene.answer(result)
    assert result.response is not None
    assert not result.response.attachments
    result = await scene.dora.slash(scene.ops, "logs", service="web", since="15m")
    assert "`web` of staging has written nothing since <t:" in scene.answer(result)


async def test_frozen_environment_refused_with_details(scene: Scene) -> None:
    """The refusal says who froze the environment, when and why."""
    assert "is locked. Only a hotfix" in scene.answer(
        await scene.dora.slash(scene.ops, "lock", environment="staging", reason="the fair")
    )
    assert any("is locked by <@" in post.content and "the fair" in post.content for post in scene.posts())
    for command, options in {"deploy": {"version": "v2"}, "rollback": {}}.items():
        answer = scene.answer(await scene.dora.slash(scene.ops, command, environment="staging", **options))
        assert "staging is locked by dora since" in answer
        assert "the fair" in answer
    assert not scene.application.orchestrator.planned
    assert "the fair" in scene.answer(await scene.bob.slash(scene.ops, "status", environment="staging"))
    await scene.restart()
    assert "the fair" in scene.answer(
        await scene.anna.slash(scene.ops, "lock", environment="staging", reason="another")
    )
    waits = Candidate("CAND-1", "ci", "staging", "v9", datetime.now(UTC), state=CandidateState.WAITING)
    await scene.application.state.candidates.add(waits)
    opened = scene.answer(await scene.anna.slash(scene.ops, "unlock", environment="staging"))
    assert "is unlocked" in opened
    assert "`v9`, which `ci` offers, has waited" in opened
    assert "the fair" in opened
    assert any("is unlocked by <@" in post.content for post in scene.posts())
    assert "🚀 Started" in scene.answer(await scene.ask(scene.dora, "deploy", environment="staging", version="v2"))


async def test_production_unlock_needs_approver_or_locker(scene: Scene) -> None:
    other = scene.join("other", "deployer")
    await scene.dora.slash(scene.ops, "lock", environment="prod", reason="the fair")
    refused = scene.answer(await other.slash(scene.ops, "unlock", environment="prod"))
    assert "To unlock prod, one of these roles is needed" in refused
    assert "is unlocked" in scene.answer(await scene.dora.slash(scene.ops, "unlock", environment="prod"))
    await scene.dora.slash(scene.ops, "lock", environment="prod", reason="again")
    assert "is unlocked" in scene.answer(await scene.anna.slash(scene.ops, "unlock", environment="prod"))
    assert "prod is not locked" in scene.answer(await scene.anna.slash(scene.ops, "unlock", environment="prod"))


async def test_freeze_keeps_running_deployment(scene: Scene) -> None:
    story = await Story.begin(scene.application.state, scene.application.bus)
    answer = scene.answer(await scene.dora.slash(scene.ops, "lock", environment="staging", reason="the fair"))
    assert f"`{story.id}` is under way and continues" in answer
    await story.finish()


async def test_cancel_picks_only_running_deployment(scene: Scene) -> None:
    assert "No deployment is under way" in scene.answer(await scene.dora.slash(scene.ops, "cancel"))
    story = await Story.begin(scene.application.state, scene.application.bus)
    assert "one of these roles is needed" in scene.answer(await scene.bob.slash(scene.ops, "cancel"))
    assert "was asked to stop" in scene.answer(await scene.dora.slash(scene.ops, "cancel"))
    assert scene.application.orchestrator.cancelled[0][0] == story.id
    await story.finish(Outcome.CANCELLED)


async def test_cancel_of_several_needs_environment(scene: Scene) -> None:
    stories = [
        await Story.begin(scene.application.state, scene.application.bus, environment=name) for name in ("dev", "prod")
    ]
    assert "Say which environment: dev, prod." in scene.answer(await scene.dora.slash(scene.ops, "cancel"))
    suggested = await scene.dora.autocomplete(scene.ops, "cancel", "environment", "")
    assert sorted(choice["value"] for choice in suggested) == ["dev", "prod"]
    answer = scene.answer(await scene.dora.slash(scene.ops, "cancel", environment="staging"))
    assert "No deployment of staging is under way" in answer
    for story in stories:
        await story.finish(Outcome.CANCELLED)


async def test_options_have_suggestions(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    await scene.dora.slash(scene.ops, "lock", environment="prod", reason="x")

    async def values(command: str, option: str, typed: str = "") -> list[str]:
        return [choice["value"] for choice in await scene.dora.autocomplete(scene.ops, command, option, typed)]

    assert await values("history", "environment", "s") == ["staging"]
    assert await values("lock", "environment", "d") == ["dev", "prod"]
    assert await values("unlock", "environment") == ["prod"]
    assert await values("logs", "environment", "s") == ["staging"]
    assert await values("logs", "service") == ["web", "redis"]
    assert await values("logs", "since", "1") == ["15m", "1h", "1d"]
    assert not await scene.bob.autocomplete(scene.ops, "logs", "service", "")


async def asked_elsewhere(scene: Scene, who: MemberActor) -> str:
    return scene.answer(await who.slash(scene.general, "status"))


async def test_deleted_ops_channel_reported_elsewhere(scene: Scene) -> None:
    """The bot says in another channel that it is gone, and what to do."""
    assert "only works in the ops channel" in await asked_elsewhere(scene, scene.dora)
    scene.env.backend.delete_channel(scene.ops.id)
    await scene.env.settle()
    assert "is gone, or the bot cannot see it" in await asked_elsewhere(scene, scene.dora)
    assert "only works in the ops channel" in await asked_elsewhere(scene, scene.bob)


async def test_invisible_ops_channel_counts_as_deleted(scene: Scene) -> None:
    hidden = discord.PermissionOverwrite(view_channel=False)
    everybody = discord.utils.get(scene.env.bot.get_guild(scene.guild.id).roles, name="@everyone")  # type: ignore[union-attr]
    ours = scene.guild.create_text_channel("hidden", overwrites={everybody: hidden})
    scene.application.settings.discord_ops_channel_id = ours.id
    await scene.restart()
    assert "is gone, or the bot cannot see it" in await asked_elsewhere(scene, scene.anna)


async def test_closed_channel_shown_in_status(scene: Scene) -> None:
    scene.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
    story = await Story.begin(scene.application.state, scene.application.bus)
    cog = scene.env.bot.get_cog("ROAS Deployment")  # type: ignore[attr-defined]

    async def told() -> bool:
        return bool(cog.live_messages.trouble(""))

    await until(told)
    answer = scene.answer(await scene.bob.slash(scene.ops, "status", environment="staging"))
    assert "Channel problems" in answer
    await story.finish(Outcome.CANCELLED)
