"""A plan is confirmed by who asked, then by a second person where that is wanted; exactly it is started, once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.cogs.channel_plans import ChannelPlans
from roas.cogs.deployment import DeploymentCog
from roas.cogs.ops_cog import actor_of
from roas.cogs.permissions import Asker
from roas.errors import EngineUnavailableError, ImageChangedError, ImageNotFoundError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, Freeze, Outcome, ServiceProgress, ServiceStep
from roas.models.plan import LIFETIME, PlanRecord, PlanState
from roas.models.state_change import ChangeType
from roas.ui.embeds.outcome import PROMOTE_PREFIX, ROLLBACK_PREFIX
from roas.ui.embeds.plan import draw_approval
from tests.unit.cogs.conftest import Scene, buttons, shown
from tests.unit.cogs.fake_application import kept_release
from tests.unit.ui.story import Story, until

WHO = Actor(ActorKind.DISCORD, "1", "somebody")


async def proposal_of(scene: Scene) -> PlanRecord:
    """Return the newest plan of the journal, ended or not."""
    rows = [c.subject for c in await scene.application.state.changes() if c.new == "plan planned"]
    found = await scene.application.state.approvals.get(rows[-1])
    assert found is not None
    return found


def proposals_of(scene: Scene) -> ChannelPlans:
    """Return what takes the answers to plans."""
    cog: DeploymentCog = scene.env.bot.get_cog("ROAS Deployment")  # type: ignore[attr-defined]
    return cog.channel_plans


async def asked_for_approval(scene: Scene, version: str = "v2"):
    """Let dora ask for a deployment of prod, and return the message that asks a second person."""
    await scene.ask(scene.dora, "deploy", environment="prod", version=version)
    return await scene.posted(f"Approval needed: Deploy {version} to prod")


async def aged(scene: Scene, by: timedelta) -> None:
    """Let time pass for the newest plan."""
    plan_record = await proposal_of(scene)
    older = replace(plan_record, expires_at=plan_record.expires_at - by)
    await scene.application.state.approvals.add(older)


async def test_unconfirmed_plan_changes_nothing(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    assert "Nothing changes until you confirm" in scene.answer(result)
    assert not scene.application.orchestrator.requests
    assert not scene.posts()


async def test_used_plan_loses_buttons(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    pressed = await scene.press(scene.dora, result, "confirm")
    assert "🚀 Started" in scene.answer(pressed)
    assert result.response is not None
    assert not buttons(result.response.message)


async def test_requester_may_discard_plan(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    assert "was cancelled" in scene.answer(await scene.press(scene.dora, result, "withdraw"))
    assert (await proposal_of(scene)).state is PlanState.WITHDRAWN
    assert not scene.application.orchestrator.requests


async def test_plan_shows_last_duration(scene: Scene) -> None:
    story = await Story.begin(scene.application.state, scene.application.bus)
    await story.finish()
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v3")
    assert "Last time\ntook 1 min 15 s" in scene.answer(result)


async def test_second_person_approves_exact_draft(scene: Scene) -> None:
    """What was confirmed is prepared at once; the yes of a second person is for that very deployment."""
    wanted = await asked_for_approval(scene)
    (request,) = scene.application.orchestrator.requests
    assert (request.requested_by.name, request.approved_by, request.needs_approval) == ("dora", None, True)
    assert request.plan_digest == "d" * 64
    (waiting,) = await scene.application.state.drafts.waiting("prod")
    assert await scene.application.state.locks.get("prod") is None
    assert "🚀 Started" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))
    approved = await scene.posted("Approved: Deploy v2 to prod")
    assert approved.id == wanted.id
    assert not buttons(approved)
    live = await scene.posted("approved by")
    assert f"<@{scene.anna.id}>" in shown(live.embeds)
    known = await scene.application.state.deployments.get(waiting.id)
    assert known is not None
    assert known.request.approved_by is not None
    assert known.request.approved_by.name == "anna"
    assert len(scene.application.orchestrator.requests) == 1


@pytest.mark.parametrize("step", ["confirm", "approve"])
async def test_power_that_is_hidden_meanwhile_is_given_by_nobody(scene: Scene, step: str) -> None:
    """Another stack may call a word of it a secret, once it was planned."""
    power = "web: cap_add SYS_ADMIN"
    if step == "confirm":
        message = (await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")).response.message
    else:
        message = await asked_for_approval(scene)
    record = await proposal_of(scene)
    await scene.application.state.approvals.add(replace(record, plan=replace(record.plan, new_powers=(power,))))
    scene.application.redactor.add(["SYS_ADMIN"])
    person = scene.dora if step == "confirm" else scene.anna
    answer = scene.answer(await person.click(message, custom_id=buttons(message)[0]))
    assert "cannot be shown whole" in answer
    assert (await proposal_of(scene)).state in {PlanState.PLANNED, PlanState.DRAFTED}


async def test_only_the_command_plans(scene: Scene) -> None:
    """No click plans again; what is only shown keeps nothing."""
    orchestrator = scene.application.orchestrator
    await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2", dry_run=True)
    assert (len(orchestrator.planned), len(orchestrator.shown)) == (0, 1)
    wanted = await asked_for_approval(scene)
    await scene.anna.click(wanted, custom_id=buttons(wanted)[0])
    assert (len(orchestrator.planned), len(orchestrator.shown)) == (1, 1)


async def test_plan_pings_nobody_if_disabled(scene: Scene) -> None:
    assert (await asked_for_approval(scene)).content == f"<@&{scene.roles['approver'].id}>"
    scene.application.settings.discord_mention_approvers = False
    await scene.restart()
    await scene.ask(scene.dora, "deploy", environment="prod", version="v3")
    assert (await scene.posted("Approval needed: Deploy v3")).content == ""


async def test_self_approval_refused(scene: Scene) -> None:
    both = scene.join("both", "deployer", "approver")
    await scene.ask(both, "deploy", environment="prod", version="v2")
    wanted = await scene.posted("Approval needed")
    answer = scene.answer(await both.click(wanted, custom_id=buttons(wanted)[0]))
    assert "You asked for this plan yourself" in answer
    assert await scene.application.state.drafts.waiting("prod")


async def test_plan_is_used_once(scene: Scene) -> None:
    wanted = await asked_for_approval(scene)
    before = draw_approval(await proposal_of(scene))
    await scene.anna.click(wanted, custom_id=buttons(wanted)[0])
    await scene.posted("Deploy v2 to prod: succeeded")
    wanted = await scene.as_it_was(before)
    again = scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))
    assert "started as `DEPLOY-" in again
    assert "https://discord.com/channels/" in again
    assert len(scene.application.orchestrator.requests) == 1


async def test_changed_plan_is_void(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2")
    scene.application.orchestrator.start_fault = ImageChangedError("prod is on r7 by now.")
    answer = scene.answer(await scene.press(scene.dora, result, "confirm"))
    assert "Type it again, such as /deploy, for a new plan" in answer
    assert (await proposal_of(scene)).state is PlanState.VOID
    scene.application.orchestrator.start_fault = None
    assert "prod is on r7 by now" in scene.answer(await scene.press(scene.dora, result, "confirm"))
    assert not scene.application.orchestrator.requests
    await asked_for_approval(scene)
    assert len(scene.application.orchestrator.requests) == 1, "typed again, it goes on"


async def test_void_draft_is_told(scene: Scene) -> None:
    orchestrator, state = scene.application.orchestrator, scene.application.state
    await asked_for_approval(scene)
    (waiting,) = await state.drafts.waiting("prod")
    await orchestrator.start(replace(waiting.request, version="v3", interaction_id="PLAN-" + "0" * 26))
    void = await scene.posted("Void: Deploy v2 to prod")
    assert "took its place" in shown(void.embeds)
    assert not buttons(void)


async def test_plan_of_the_release_before_is_void(scene: Scene) -> None:
    """It asked for the approval before anything was prepared."""
    await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2")
    plan_record = await proposal_of(scene)
    await scene.application.state.approvals.move(
        plan_record.id, PlanState.AWAITING, WHO, from_states=[PlanState.PLANNED]
    )
    await scene.restart()

    async def is_void() -> bool:
        return (await proposal_of(scene)).state is PlanState.VOID

    await until(is_void)
    assert not scene.application.orchestrator.requests


@pytest.mark.parametrize("step", ["confirm", "approve"])
async def test_plan_expires(scene: Scene, step: str) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2")
    if step == "approve":
        await scene.press(scene.dora, result, "confirm")
        wanted = await scene.posted("Approval needed")
        await aged(scene, timedelta(hours=25))
        pressed = await scene.anna.click(wanted, custom_id=buttons(wanted)[0])
        expired = await scene.posted("Not approved in time")
        assert not buttons(expired)
        assert not await scene.application.state.drafts.waiting("prod")
    else:
        await aged(scene, timedelta(minutes=16))
        pressed = await scene.press(scene.dora, result, "confirm")
        assert not scene.application.orchestrator.requests
    assert "Nobody approved it in time" in scene.answer(pressed)


async def claimed(scene: Scene, *, restart: bool = True) -> PlanRecord:
    """Let a bot die between the confirmation of a plan and its start."""
    await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    plan_record = await proposal_of(scene)
    await scene.application.state.approvals.move(
        plan_record.id, PlanState.CONFIRMED, WHO, from_states=[PlanState.PLANNED]
    )
    if restart:
        await scene.restart()
    return plan_record


def said_by(scene: Scene, *roles: str, user_id: int = 71) -> tuple[Asker, Actor]:
    """Make somebody who presses a button; the simulation presses one button at a time, so that two go without it."""
    ids = frozenset(scene.roles[role].id for role in roles)
    asker = Asker(user_id, "somebody", scene.guild.id, scene.ops.id, ids)
    return asker, actor_of(asker)


async def test_timely_confirmation_survives_slow_start(scene: Scene) -> None:
    orchestrator, channel_plans = scene.application.orchestrator, proposals_of(scene)
    await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    plan_id = (await proposal_of(scene)).id
    dora = said_by(scene, "deployer", user_id=scene.dora.id)
    orchestrator.thinking.clear()
    in_time = asyncio.create_task(channel_plans.confirm(plan_id, *dora))

    async def is_confirmed() -> bool:
        return (await proposal_of(scene)).state is PlanState.CONFIRMED

    await until(is_confirmed)
    await aged(scene, LIFETIME)
    too_late = asyncio.create_task(channel_plans.confirm(plan_id, *dora))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not too_late.done(), "one click at a time"
    orchestrator.thinking.set()
    assert "🚀 Started" in (await in_time)[1]
    assert "started as" in (await too_late)[1]
    assert (await proposal_of(scene)).state is PlanState.STARTED
    assert len(orchestrator.requests) == 1


@pytest.mark.parametrize("environment", ["staging", "prod"])
async def test_concurrent_clicks_start_once(scene: Scene, environment: str) -> None:
    channel_plans = proposals_of(scene)
    if environment == "prod":
        await asked_for_approval(scene)
        plan_id = (await proposal_of(scene)).id
        pressed = [channel_plans.approve(plan_id, *said_by(scene, "approver", user_id=number)) for number in (71, 72)]
        answers = await asyncio.gather(*pressed)
    else:
        await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
        plan_id = (await proposal_of(scene)).id
        dora = said_by(scene, "deployer", user_id=scene.dora.id)
        answers = [
            text for _plan, text in await asyncio.gather(*(channel_plans.confirm(plan_id, *dora) for _ in range(2)))
        ]
    assert sorted("🚀 Started" in text for text in answers) == [False, True]
    assert len(scene.application.orchestrator.requests) == 1
    assert (await proposal_of(scene)).state is PlanState.STARTED


async def test_claimed_plan_of_dead_bot_still_expires(scene: Scene) -> None:
    """A plan that a dead bot had claimed waits again for the rest of its time."""
    await claimed(scene, restart=False)
    await scene.silence()
    await aged(scene, LIFETIME)
    await scene.restart()

    async def is_expired() -> bool:
        return (await proposal_of(scene)).state is PlanState.EXPIRED

    await until(is_expired)
    assert not scene.application.orchestrator.requests


async def test_plan_survives_unreachable_engine(scene: Scene) -> None:
    wanted = await asked_for_approval(scene)
    scene.application.orchestrator.start_fault = EngineUnavailableError("away", hint="start it")
    assert "away" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))
    scene.application.orchestrator.start_fault = None
    assert "🚀 Started" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))


async def test_deployment_lock_gives_plan_back(scene: Scene) -> None:
    wanted = await asked_for_approval(scene)
    other = await Story.begin(scene.application.state, scene.application.bus, environment="prod")
    assert other.id in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))
    assert (await proposal_of(scene)).state is PlanState.DRAFTED
    await other.finish(Outcome.CANCELLED)
    assert "🚀 Started" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))


async def test_freeze_gives_plan_back(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    await scene.application.state.freezes.put(Freeze("staging", WHO, "the fair", datetime.now(UTC)))
    assert "the fair" in scene.answer(await scene.press(scene.dora, result, "confirm"))
    assert not scene.application.orchestrator.requests
    await scene.application.state.freezes.lift("staging", WHO)
    assert "🚀 Started" in scene.answer(await scene.press(scene.dora, result, "confirm"))


async def test_half_confirmed_plan_survives_restarts(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2")
    await scene.restart()
    assert "A second person" in scene.answer(await scene.press(scene.dora, result, "confirm"))
    wanted = await scene.posted("Approval needed")
    await scene.restart()
    assert "🚀 Started" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))
    await scene.restart()
    await scene.posted("Approved: Deploy v2 to prod")
    await scene.posted("Deploy v2 to prod: succeeded")
    assert len(scene.posts()) == 3
    assert len(scene.application.orchestrator.requests) == 1


async def test_started_plan_not_started_again(scene: Scene) -> None:
    """A bot that died between the start and its record starts nothing twice."""
    plan_record = await claimed(scene, restart=False)
    started = await scene.application.orchestrator.start(plan_record.request)
    await scene.restart()

    async def is_known() -> bool:
        return (await proposal_of(scene)).deployment_id == started.id

    await until(is_known)
    assert (await proposal_of(scene)).state is PlanState.STARTED
    assert len(scene.application.orchestrator.requests) == 1


async def test_next_bot_starts_confirmed_plan(scene: Scene) -> None:
    await claimed(scene)
    await scene.posted("Deploy v2 to staging: succeeded")
    assert len(scene.application.orchestrator.requests) == 1
    assert (await proposal_of(scene)).state is PlanState.STARTED


async def test_plan_confirmed_during_standby_starts_later(scene: Scene) -> None:
    """What was confirmed while another bot was leader starts when this one leads again."""
    leadership = scene.env.bot.get_cog("ROAS Deployment").leadership
    await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    plan_record = await proposal_of(scene)
    leadership.lose()
    confirmed, planned = PlanState.CONFIRMED, [PlanState.PLANNED]
    await scene.application.state.approvals.move(plan_record.id, confirmed, WHO, from_states=planned)
    leadership.gain()
    await scene.posted("Deploy v2 to staging: succeeded")
    assert (await proposal_of(scene)).state is PlanState.STARTED


async def test_self_approval_refused_after_settings_change(scene: Scene) -> None:
    """It needs a second person once the settings demand one."""
    await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    plan_record = await proposal_of(scene)
    planned, dora = [PlanState.PLANNED], plan_record.request.requested_by
    await scene.application.state.approvals.move(plan_record.id, PlanState.CONFIRMED, dora, from_states=planned)
    staging = scene.application.environments["staging"]
    scene.application.environments["staging"] = replace(staging, needs_approval=True)
    await scene.restart()
    wanted = await scene.posted("Approval needed")
    assert "🚀 Started" in scene.answer(await scene.anna.click(wanted, custom_id=buttons(wanted)[0]))


async def test_unstartable_plan_waits_again(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    plan_record = await proposal_of(scene)
    confirmed, planned = PlanState.CONFIRMED, [PlanState.PLANNED]
    await scene.application.state.approvals.move(plan_record.id, confirmed, WHO, from_states=planned)
    await scene.application.state.freezes.put(Freeze("staging", WHO, "the fair", datetime.now(UTC)))
    await scene.restart()

    async def waits_again() -> bool:
        return (await proposal_of(scene)).state is PlanState.PLANNED

    await until(waits_again)
    await scene.application.state.freezes.lift("staging", WHO)
    assert "🚀 Started" in scene.answer(await scene.press(scene.dora, result, "confirm"))


async def test_plan_without_possible_approver_refused(scene: Scene) -> None:
    scene.application.settings.discord_approver_role_ids = frozenset()
    await scene.restart()
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v2"))
    assert "names no role" in answer
    assert not scene.application.orchestrator.planned


async def test_hotfix_without_approval_is_audited(scene: Scene) -> None:
    answer = scene.answer(await scene.hugo.slash(scene.ops, "hotfix", version="v2.1", reason="checkout is down"))
    assert "🚀 Started" in answer
    live = await scene.posted("Hotfix v2.1 for prod")
    assert "not approved by a second person" in shown(live.embeds)
    audit = [c for c in await scene.application.state.changes("prod") if c.type is ChangeType.AUDIT]
    alone = next(c for c in audit if c.new == "hotfix asked for, without a second person's approval")
    assert alone.metadata["by"] == "hugo"
    assert alone.metadata["reason"] == "checkout is down"


async def test_outcome_button_plans_rollback(scene: Scene) -> None:
    first = await kept_release(scene.application, "staging", "v1")
    second = await kept_release(scene.application, "staging", "v2")
    story = await Story.begin(scene.application.state, scene.application.bus)
    story.deployment = replace(story.deployment, from_release=first.number, to_release=second.number)
    await story.finish()
    outcome = await scene.outcome_of(story.id)
    clicked = await scene.dora.click(outcome, custom_id=f"{ROLLBACK_PREFIX}{story.id}")
    assert "🚀 Started" in scene.answer(await scene.press(scene.dora, clicked, "confirm"))
    request = scene.application.orchestrator.requests[0]
    assert request.kind is DeploymentKind.ROLLBACK
    assert request.target_release == first.number
    assert story.id in request.reason


async def test_outcome_button_plans_promotion(scene: Scene) -> None:
    """Where another environment requires what came up, its button plans to promote just that release."""
    before, release = [await kept_release(scene.application, "dev", version) for version in ("v1", "v2")]
    story = await Story.begin(scene.application.state, scene.application.bus, environment="dev")
    story.deployment = replace(
        story.deployment, from_release=before.number, to_release=release.number, promotes_to="staging"
    )
    await story.finish()
    outcome = await scene.outcome_of(story.id)
    clicked = await scene.dora.click(outcome, custom_id=f"{PROMOTE_PREFIX}{story.id}")
    assert "🚀 Started" in scene.answer(await scene.press(scene.dora, clicked, "confirm"))
    request = scene.application.orchestrator.requests[0]
    assert (request.environment, request.promoted_from) == ("staging", "dev")
    assert request.promoted_release == release.number


async def test_failed_outcome_button_plans_whole_release(scene: Scene) -> None:
    """Its button plans a rollback to a whole release."""
    first = await kept_release(scene.application, "staging", "v1")
    story = await Story.begin(scene.application.state, scene.application.bus)
    story.deployment = replace(story.deployment, from_release=first.number, to_release=first.number + 1)
    await story.service(ServiceProgress("web", ServiceStep.FAILED, changed=True))
    await story.finish(Outcome.FAILED)
    outcome = await scene.outcome_of(story.id)
    clicked = await scene.dora.click(outcome, custom_id=f"{ROLLBACK_PREFIX}{story.id}")
    await scene.press(scene.dora, clicked, "confirm")
    assert scene.application.orchestrator.requests[0].target_release == first.number


async def test_stale_outcome_button_reports_newer_state(scene: Scene) -> None:
    first = await kept_release(scene.application, "staging", "v1")
    second = await kept_release(scene.application, "staging", "v2")
    story = await Story.begin(scene.application.state, scene.application.bus)
    story.deployment = replace(story.deployment, from_release=first.number, to_release=second.number)
    await story.finish()
    outcome = await scene.outcome_of(story.id)
    third = await kept_release(scene.application, "staging", "v3")
    answer = scene.answer(await scene.dora.click(outcome, custom_id=f"{ROLLBACK_PREFIX}{story.id}"))
    assert f"staging is on another release since {story.id}: {third.label}" in answer
    assert "Use /rollback and choose where to go back to" in answer
    chosen = await scene.dora.slash(scene.ops, "rollback", environment="staging", to=str(first.number))
    assert "🚀 Started" in scene.answer(await scene.press(scene.dora, chosen, "confirm"))
    assert scene.application.orchestrator.requests[0].target_release == first.number


async def test_unavailable_version_suggests_nearest(scene: Scene) -> None:
    scene.application.stacks.versions = ("v1.4.2", "v1.4.1", "nightly")
    scene.application.orchestrator.fault = ImageNotFoundError("shop/web:v1.4.3 is not here", hint="Push it.")
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v1.4.3"))
    assert "Push it. Did you mean v1.4.2 or v1.4.1?" in answer


async def test_local_versions_suggested_first(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1.0")
    scene.application.stacks.versions = ("v1.2", "v1.1")
    result = await scene.dora.autocomplete(scene.ops, "deploy", "version", "v", environment="staging")
    assert [choice["value"] for choice in result] == ["v1.2", "v1.1", "v1.0"]
