"""Plans, approvals and estimates: what is drawn of them, within Discord's limits, and how the channel is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.api.documents import EnvironmentStatus
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    DeploymentKind,
    DeploymentRequest,
    Freeze,
    Operation,
    Outcome,
    ServiceProgress,
    ServiceStep,
)
from roas.models.plan import LIFETIME, Plan, PlanRecord, PlanState
from roas.models.stored import new_id
from roas.state.manager import StateManager
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import HistoryPage, draw_history, draw_outcome
from roas.ui.embeds.plan import draw_approval, draw_confirmation, draw_plan, draw_plan_message
from roas.ui.embeds.status import draw_status
from roas.ui.notifications.deployment_notifier import last_seconds, usual_seconds
from roas.ui.notifications.notifier import APPROVAL, Pace
from roas.ui.notifications.ops_channel import ChannelClosedError, DiscordAwayError
from tests.unit.ui.conftest import FakeChannel, Messages
from tests.unit.ui.embeds.test_embeds import assert_within_limits, text_of
from tests.unit.ui.samples import DORA, NASTY, NOON, a_deployment, a_plan, largest_deployment
from tests.unit.ui.story import Story, until

ANNA = Actor(ActorKind.DISCORD, "223456789012345678", "anna")
SLOW_RETRY = Pace(poll=60, first_retry=60, longest_retry=60, longest_retry_closed=60)


def a_plan_record(state: PlanState = PlanState.DRAFTED, *, large: bool = False) -> PlanRecord:
    """Make a plan that dora asked for; `large` is the largest one that there can be."""
    request = DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, version="v2", plan_digest="d" * 64)
    plan = replace(a_plan(), environment="prod")
    if large:
        request = replace(request, reason=NASTY * 10, services=(NASTY,) * 64, environment="e" * 32)
        plan = replace(a_plan(64, warnings=(NASTY * 10,) * 64), environment="e" * 32, version="v" * 128)
    now = datetime.now(UTC)
    decided = ANNA if state not in {PlanState.PLANNED, PlanState.EXPIRED} else None
    note = NASTY * 20 if large else "An image changed."
    return PlanRecord(new_id("PLAN"), request, plan, now, now + LIFETIME, state, decided, now, new_id("DEPLOY"), note)


@pytest.mark.parametrize("state_", PlanState)
def test_largest_approval_within_limits_pings_nobody(state_: PlanState) -> None:
    drawing = draw_approval(a_plan_record(state_, large=True))
    assert_within_limits(drawing.embeds)
    assert "@everyone" not in text_of(drawing.embeds)
    assert drawing.content == (f"<@{DORA.id}>" if state_ is PlanState.PLANNED else ""), "it is asked for again"


def test_largest_plan_within_limits() -> None:
    drawing = draw_confirmation(a_plan_record(PlanState.PLANNED, large=True), last_seconds=7300)
    assert_within_limits(drawing.embeds)
    assert len(drawing.content) <= 2000
    assert all(len(button.custom_id) <= 100 and len(button.label) <= 80 for button in drawing.buttons)


def test_frozen_environment_within_limits() -> None:
    frozen = EnvironmentStatus("e" * 32, freeze=Freeze("e" * 32, DORA, NASTY * 10, NOON))
    assert_within_limits(draw_status([frozen] * 10, trouble={"e" * 32: NASTY * 100}).embeds)


def secret_free(plan: Plan) -> list[str]:
    """Return every word of a plan that people say yes to."""
    services = [(service.service, service.new_image or "", *service.changed_keys) for service in plan.changed]
    return [*(word for text in services for word in text), *plan.order, *plan.warnings]


@pytest.mark.parametrize("count", [3, 12, 64])
def test_approver_sees_services_images_and_keys(count: int) -> None:
    plan_record = a_plan_record()
    keys = tuple(f"environment.KEY_{number}" for number in range(8 if count > 3 else 3))
    plan = a_plan(count)
    plan = replace(plan, services=tuple(replace(service, changed_keys=keys) for service in plan.services))
    plan_record = replace(plan_record, plan=plan)
    for drawing in (draw_confirmation(plan_record), draw_approval(plan_record), draw_plan_message(plan, dry_run=True)):
        assert [file.name for file in drawing.attachments] == ([] if count == 3 else ["plan.txt"])
        if drawing.attachments:
            assert "All of it is in `plan.txt`" in f"{drawing.content}\n{text_of(drawing.embeds)}"
            missing = [word for word in secret_free(plan) if word not in drawing.attachments[0].text]
            assert missing == []


@pytest.mark.parametrize("count", [2, 200])
def test_approver_sees_what_changes_line_by_line(count: int) -> None:
    """In the message, in Discord's colours; what it has no room for is in the file, whole."""
    diff = ("web:/greeting:", "@@ -1 +1 @@", *(f"{'-+'[n % 2]}greeting {n}" for n in range(count)))
    record = a_plan_record()
    record = replace(record, plan=replace(record.plan, diff=diff))
    for drawing in (draw_confirmation(record), draw_approval(record), draw_plan_message(record.plan, dry_run=True)):
        assert_within_limits(drawing.embeds)
        said = text_of(drawing.embeds)
        assert "```diff\nweb:/greeting:\n@@ -1 +1 @@\n-greeting 0\n+greeting 1\n" in said
        assert "line by line: `plan.diff`" in f"{drawing.content}\n{said}"
        (file,) = [file for file in drawing.attachments if file.name == "plan.diff"]
        assert file.text == "\n".join(diff) + "\n"


def test_overflow_goes_into_file() -> None:
    """An approval shares its room with who asked and why, so that the plan is cut where the plan alone is not."""
    drawing = draw_approval(a_plan_record(large=True), last_seconds=7300)
    assert_within_limits(drawing.embeds)
    assert [
        word for word in secret_free(a_plan_record(large=True).plan) if word not in drawing.attachments[0].text
    ] == []


def test_same_name_from_other_registry_visible() -> None:
    old, new = "ghcr.io/shop/web:v1@sha256:" + "a" * 64, "evil.example/web:v2"
    plan = a_plan()
    services = tuple(replace(service, old_image=old, new_image=new) for service in plan.services[2:])
    assert "ghcr.io/shop/web:v1 → evil.example/web:v2" in text_of(draw_plan(replace(plan, services=services)))


async def test_approval_shows_last_duration(state: StateManager, messages: Messages, channel: FakeChannel) -> None:
    story = await Story.begin(state, messages.parts[1], environment="prod")
    await story.finish()
    plan_record = a_plan_record()
    await state.approvals.add(plan_record)
    messages.start().follow(plan_record.id, plan_record.environment)
    await until(lambda: "🗳️ Approval needed: Deploy v2 to prod" in channel.titles())
    asked = next(message for message in channel.messages.values() if message.key == plan_record.id)
    assert "Last time\ntook 1 min 15 s" in text_of(asked.embeds)


@pytest.mark.parametrize("state_", PlanState)
def test_only_open_plan_has_buttons(state_: PlanState) -> None:
    plan_record = a_plan_record(state_)
    assert bool(draw_approval(plan_record).buttons) is (plan_record.waits or state_ is PlanState.SCHEDULED)


def test_history_page_ids_short() -> None:
    page = HistoryPage("e" * 32, Outcome.ROLLED_BACK, 999_999)
    drawing = draw_history([largest_deployment(Outcome.FAILED)] * 8, page, has_more=True)
    assert_within_limits(drawing.embeds)
    assert [len(button.custom_id) <= 100 for button in drawing.buttons] == [True, True]


def test_live_message_shows_estimate_and_end_time() -> None:
    text = text_of(draw_live(a_deployment(), usual_seconds=90).embeds)
    done = int((NOON + timedelta(seconds=90)).timestamp())
    assert f"usually takes 1 min 30 s, until <t:{done}:T>" in text
    assert "usually" not in text_of(draw_live(a_deployment()).embeds)
    ended = a_deployment(outcome=Outcome.SUCCEEDED)
    assert "usually" not in text_of(draw_live(ended, usual_seconds=90).embeds)
    for drawing in (draw_live(replace(ended, attempts=2)), draw_outcome(replace(ended, attempts=2))):
        assert " · attempt 2" in text_of(drawing.embeds)


def test_only_reversible_outcome_has_rollback_button() -> None:
    assert [b.label for b in draw_outcome(a_deployment(outcome=Outcome.SUCCEEDED)).buttons] == ["Roll back to r1"]
    assert not draw_outcome(replace(a_deployment(outcome=Outcome.SUCCEEDED), from_release=None)).buttons
    for outcome in (Outcome.ROLLED_BACK, Outcome.CANCELLED, Outcome.FAILED):
        assert not draw_outcome(a_deployment(outcome=outcome)).buttons
    touched = (ServiceProgress("web", ServiceStep.FAILED, changed=True),)
    broken = a_deployment(outcome=Outcome.FAILED, services=touched)
    assert [b.label for b in draw_outcome(broken).buttons] == ["Roll back to r1"]


def test_recovery_plan_never_says_nothing_changes() -> None:
    """A plan back from half-way changes something."""
    plan = replace(a_plan(1, warnings=("The last deployment was interrupted.",)), to_release=1)
    text = text_of(draw_plan(plan))
    assert "No changes" not in text
    assert "was interrupted" in text


async def test_estimate_is_median_of_recent_successes(state: StateManager) -> None:
    async def took(
        seconds: float,
        outcome: Outcome = Outcome.SUCCEEDED,
        kind: DeploymentKind = DeploymentKind.DEPLOY,
        attempts: int = 1,
    ) -> None:
        deployment = a_deployment(kind)
        fence = await state.deployments.create(deployment, "x")
        ended = replace(deployment, outcome=outcome, ended_at=NOON, duration_seconds=seconds, attempts=attempts)
        await state.deployments.finish(ended, fence)

    assert await usual_seconds(state, a_deployment()) is None
    for seconds in (1000.0, 10.0, 12.0, 14.0, 16.0, 100.0):
        await took(seconds)
    await took(1.0, Outcome.FAILED)
    await took(1.0, kind=DeploymentKind.ROLLBACK)
    await took(9000.0, attempts=2)
    assert await usual_seconds(state, a_deployment()) == 14.0
    assert await usual_seconds(state, a_deployment(environment="prod")) is None
    request = a_deployment().request
    assert await last_seconds(state, request) == 100.0
    assert await last_seconds(state, replace(request, operation=Operation.STOP)) is None, "that is another thing"


async def test_approval_message_shows_result(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = a_plan_record()
    await state.approvals.add(plan_record)
    told = messages.start()
    told.follow(plan_record.id, plan_record.environment)
    await until(lambda: channel.titles() == ["🗳️ Approval needed: Deploy v2 to prod"])
    await state.approvals.move(plan_record.id, PlanState.WITHDRAWN, ANNA, from_states=[PlanState.DRAFTED])
    told.follow(plan_record.id, plan_record.environment).notify(urgent=True)
    await until(lambda: channel.titles() == ["🚫 Withdrawn: Deploy v2 to prod"])
    post = await state.posts.get(plan_record.id, APPROVAL)
    assert post is not None


async def test_expired_approval_closed_unprompted(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = replace(a_plan_record(), expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
    await state.approvals.add(plan_record)
    messages.start(SLOW_RETRY).follow(plan_record.id, plan_record.environment)
    await until(lambda: channel.titles() == ["⌛ Not approved in time: Deploy v2 to prod"])


async def test_timely_approval_never_shown_late(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = replace(a_plan_record(PlanState.CONFIRMED), expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await state.approvals.add(plan_record)
    messages.start().follow(plan_record.id, plan_record.environment)
    await until(lambda: channel.titles() == ["✅ Approved: Deploy v2 to prod"])


async def test_confirmed_plan_not_shown_as_approval(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    """A plan that needs no second person is not shown as an approval while it starts."""
    for plan_record in (replace(a_plan_record(PlanState.CONFIRMED), deployment_id=None), a_plan_record()):
        await state.approvals.add(plan_record)
    messages.start()
    await until(lambda: channel.titles() != [])
    assert channel.titles() == ["🗳️ Approval needed: Deploy v2 to prod"]


async def test_next_bot_follows_open_approval(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = a_plan_record()
    await state.approvals.add(plan_record)
    first = messages.start()
    await until(lambda: len(channel.titles()) == 1)
    await first.close()
    await state.approvals.move(plan_record.id, PlanState.VOID, ANNA, from_states=[PlanState.DRAFTED], note="x")
    messages.start()
    await until(lambda: channel.titles() == ["🚫 Void: Deploy v2 to prod"])
    assert [what for what, _id, _at in channel.log] == ["send", "edit"]


async def test_deleted_approval_posted_again(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = a_plan_record()
    await state.approvals.add(plan_record)
    told = messages.start()
    told.follow(plan_record.id, plan_record.environment)
    await until(lambda: len(channel.messages) == 1)
    channel.messages.clear()
    await state.approvals.move(plan_record.id, PlanState.WITHDRAWN, ANNA, from_states=[PlanState.DRAFTED])
    told.follow(plan_record.id, plan_record.environment).notify(urgent=True)
    await until(lambda: channel.titles() == ["🚫 Withdrawn: Deploy v2 to prod"])


async def test_new_messages_keep_order_despite_failures(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    plan_record = a_plan_record()
    await state.approvals.add(plan_record)
    channel.faults = [DiscordAwayError("away")]
    told = messages.start(SLOW_RETRY)
    told.follow(plan_record.id, plan_record.environment)
    await until(lambda: channel.attempts == 1)
    assert not channel.messages
    story = await Story.begin(state, messages.parts[1])
    await until(lambda: len(channel.messages) == 2)
    assert channel.titles() == ["🗳️ Approval needed: Deploy v2 to prod", "🚀 Deploy v2 to staging"]
    await story.finish()


async def test_closed_channel_is_trouble_until_open(
    state: StateManager,
    messages: Messages,
    channel: FakeChannel,
) -> None:
    channel.faults = [ChannelClosedError("Missing Permissions")]
    told = messages.start(SLOW_RETRY)
    story = await Story.begin(state, messages.parts[1])
    await until(lambda: told.trouble("") == "Nothing can be posted there: Missing Permissions")
    told.online()
    await until(lambda: told.trouble("") == "")
    await story.finish()
