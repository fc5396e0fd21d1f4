"""A deployment is scheduled, shown, cancelled and asked for again in the channel; a lock ends by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import discord
import pytest
from discord import app_commands

from roas.models.deployment import Freeze
from roas.models.plan import PlanState
from roas.models.windows import Windows, read_window
from roas.starting_times import read_moment
from tests.unit.cogs.conftest import Scene, buttons
from tests.unit.cogs.test_plans import proposal_of


def close(scene: Scene, *names: str) -> datetime:
    """Let the only window of environments be one in some hours; return when it opens."""
    opens = (datetime.now(UTC) + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    windows = Windows((read_window(f"0 {opens.hour} * * * for 1h"),))
    known = scene.application.environments
    known.update({name: replace(known[name], windows=windows) for name in names})
    return opens


async def come(scene: Scene, opens: datetime) -> None:
    """Let the time of the newest plan come, and its window be open."""
    record, now = await proposal_of(scene), datetime.now(UTC)
    moved = replace(record, request=replace(record.request, starts_at=now))
    await scene.application.state.approvals.add(moved)
    known = scene.application.environments
    known.update({name: replace(entry, windows=Windows()) for name, entry in known.items()})
    await scene.application.schedule.begin_due()


async def scheduled(scene: Scene, environment: str = "staging") -> datetime:
    """Let dora schedule a deployment for the next window; return when that opens."""
    opens = close(scene, environment)
    await scene.ask(scene.dora, "deploy", environment=environment, version="v2")
    record = await proposal_of(scene)
    assert record.request.starts_at == opens
    return opens


async def test_closed_window_offers_the_next_one(scene: Scene) -> None:
    opens = close(scene, "staging")
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    assert f"<t:{int(opens.timestamp())}:f>" in scene.answer(result)
    assert result.response is not None
    labels = [item.label for row in result.response.message.components for item in row.children]
    assert f"Deploy at {opens:%m-%d %H:%M} UTC" in labels


async def test_confirmed_for_later_is_shown_and_begins_once(scene: Scene) -> None:
    opens = await scheduled(scene)
    assert not scene.application.orchestrator.requests
    await scene.posted("Scheduled: Deploy v2 to staging")
    assert "Scheduled" in scene.answer(await scene.dora.slash(scene.ops, "status", environment="staging"))
    await come(scene, opens)
    assert [request.version for request in scene.application.orchestrator.requests] == ["v2"]
    assert (await proposal_of(scene)).state is PlanState.STARTED
    await scene.application.schedule.begin_due()
    assert len(scene.application.orchestrator.requests) == 1


async def test_begins_though_its_channel_is_gone(scene: Scene) -> None:
    opens = await scheduled(scene)
    await scene.posted("Scheduled: Deploy v2 to staging")
    scene.env.backend.delete_channel(scene.ops.id)
    await come(scene, opens)
    await scene.application.schedule.begin_due()
    assert [request.version for request in scene.application.orchestrator.requests] == ["v2"]
    assert (await proposal_of(scene)).state is PlanState.STARTED


async def test_changed_plan_asks_again_and_pings(scene: Scene) -> None:
    opens = await scheduled(scene)
    scene.application.orchestrator.digest = "e" * 64
    await come(scene, opens)
    message = await scene.posted("Confirm again: Deploy v2 to staging")
    assert message.content == f"<@{scene.dora.id}>"
    again = await scene.application.state.approvals.get((await proposal_of(scene)).id)
    assert again is not None
    assert again.state is PlanState.VOID or again.asks_again
    await scene.dora.click(message, custom_id=buttons(message)[0])
    assert [request.plan_digest for request in scene.application.orchestrator.requests] == ["e" * 64]


async def test_scheduled_is_cancelled_by_command(scene: Scene) -> None:
    await scheduled(scene)
    answered = scene.answer(await scene.dora.slash(scene.ops, "cancel", environment="staging"))
    assert "nothing was changed" in answered
    assert (await proposal_of(scene)).state is PlanState.WITHDRAWN
    assert "Withdrawn" in (await scene.posted("Withdrawn: Deploy v2 to staging")).embeds[0].title


async def test_approved_outside_of_a_window_begins_in_the_next(scene: Scene) -> None:
    opens = close(scene, "prod")
    await scene.ask(scene.dora, "deploy", environment="prod", version="v2")
    message = await scene.posted("Approval needed: Deploy v2 to prod")
    result = await scene.anna.click(message, custom_id=buttons(message)[0])
    assert f"<t:{int(opens.timestamp())}:f>" in scene.answer(result)
    assert not scene.application.orchestrator.approved
    record = await proposal_of(scene)
    assert record.state is PlanState.SCHEDULED
    await come(scene, opens)
    assert scene.application.orchestrator.approved == [record.deployment_id]


@pytest.mark.parametrize("by", ["next leader", "schedule"])
async def test_left_outside_of_a_window_still_asks_a_second_person(scene: Scene, by: str) -> None:
    """A bot died between the confirmation and the start: whoever takes that up lets it be approved."""
    opens = close(scene, "prod")
    await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2")
    record = await proposal_of(scene)
    who, planned = record.request.requested_by, [PlanState.PLANNED]
    await scene.application.state.approvals.move(record.id, PlanState.CONFIRMED, who, from_states=planned)
    if by == "schedule":
        await come(scene, opens)
    else:
        await scene.restart()
    await scene.posted("Approval needed: Deploy v2 to prod")
    (request,) = scene.application.orchestrator.requests
    assert request.needs_approval
    assert request.approved_by is None


async def test_wrong_time_is_refused_with_what_is_right(scene: Scene) -> None:
    opens = close(scene, "staging")
    for when, expected in (("soon", "Write"), (f"{(opens - timedelta(hours=1)):%H:%M}", "outside of every window")):
        result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2", when=when)
        assert expected in scene.answer(result)


@pytest.mark.skipif(not hasattr(app_commands, "Timestamp"), reason="discord.py has it since 2.7")
@pytest.mark.parametrize("style", ["", *(f":{letter}" for letter in "tTdDfFsSR")])
async def test_when_reads_all_that_discords_timestamp_reads(scene: Scene, style: str) -> None:
    """The option is of the same type, and means the same moment; a text can say more."""
    command = scene.env.bot.tree.get_command("deploy", guild=discord.Object(scene.guild.id))  # type: ignore[attr-defined]
    (option,) = [option for option in command.parameters if option.name == "when"]
    timestamp, at = app_commands.Timestamp(), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    typed = f"<t:{int(at.timestamp())}{style}>"
    assert option.type is timestamp.type
    assert read_moment(typed, Windows()) == await timestamp.transform(None, typed) == at  # type: ignore[arg-type]


async def test_lock_ends_by_itself(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "lock", environment="staging", reason="the fair", until="in 2h")
    assert "⏳ until" in scene.answer(result)
    freezes = scene.application.state.freezes
    freeze = await freezes.get("staging")
    assert freeze is not None
    assert freeze.until is not None
    await freezes.lift("staging", freeze.frozen_by)
    await freezes.put(Freeze("staging", freeze.frozen_by, "over", freeze.since, datetime.now(UTC)))
    await scene.application.schedule.begin_due()
    assert await freezes.get("staging") is None


async def test_hotfix_and_rollback_pass_a_freeze_with_a_reason(scene: Scene) -> None:
    await scene.dora.slash(scene.ops, "lock", environment="prod", reason="the fair")
    refused = scene.answer(await scene.dora.slash(scene.ops, "rollback", environment="prod"))
    assert "It passes with a reason" in refused
    await scene.hugo.slash(scene.ops, "hotfix", version="v3", reason="it burns")
    assert [request.reason for request in scene.application.orchestrator.requests] == ["it burns"]
