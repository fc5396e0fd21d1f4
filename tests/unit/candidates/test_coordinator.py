"""Candidates go as far as they may without a person, once, whoever dies meanwhile; what was to blame is kept out."""

import asyncio
import io
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
import time_machine

from roas.api.documents import StatusReport
from roas.candidates.holds import BLAMED
from roas.candidates.webhooks import find_idle
from roas.checks.discord import webhooks
from roas.cli.output import Terminal
from roas.cli.status import show_status
from roas.configuration.tables import SourceSettings
from roas.errors import (
    ComposeFileError,
    ComposePolicyError,
    EngineUnavailableError,
    ImageNotFoundError,
    ImageNotVerifiedError,
    InvalidRequestError,
    NotVerifiableNowError,
    RefMovedError,
    RegistryUnavailableError,
    RepositoryUnavailableError,
    RequirementError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.canary import CanaryRecord
from roas.models.candidate import Candidate, CandidateState, Commit, Delivery, Hold, Origin, SourceKind, SourceMode
from roas.models.deployment import (
    DeploymentKind,
    DeploymentRequest,
    Freeze,
    Outcome,
    PhaseResult,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.events import CandidateChanged
from roas.models.phases import PhaseName
from roas.models.plan import Plan, PlanRecord, PlanState
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.rollout import RolloutRecord
from roas.state.candidates import KeyReusedError
from roas.ui.embeds.proposal import draw_proposal
from roas.ui.notifications.deployment_notifier import has_message

PERSON = Actor(ActorKind.DISCORD, "7", "Ada")
AUTO, PROPOSE = SourceMode.AUTO, SourceMode.PROPOSE
State = CandidateState


def offer(coordinator, version="v1", environment="dev", mode=AUTO, **more):
    return coordinator.offer("shop", environment, version, mode=mode, **more)


async def test_auto_is_deployed_once(coordinator, orchestrator, reaches):
    candidate = await offer(coordinator)
    started = await reaches(candidate, State.STARTED)
    again = await offer(coordinator)
    assert again.id == candidate.id, "the same is no news"
    assert [request.interaction_id for request in orchestrator.requests] == [candidate.id]
    request = orchestrator.requests[0]
    assert (request.requested_by.kind, request.plan_digest) == (ActorKind.SOURCE, "digest")
    assert started.deployment_id


@pytest.mark.parametrize("mode", SourceMode)
@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("hold", ["", "this version", "another version", "nothing by itself"])
async def test_who_decides(coordinator, orchestrator, state, reaches, mode, environment, is_frozen, hold):
    """Every combination: nothing is started without a person but `auto`, where nothing at all is in the way."""
    if mode is SourceMode.OFF:
        return  # nothing offers it
    if is_frozen:
        await state.freezes.put(Freeze(environment, PERSON, "closed", datetime.now(UTC)))
    if hold:
        version = {"this version": "v1", "another version": "v0"}.get(hold, "")
        await state.holds.put(Hold(environment, version, datetime.now(UTC), "DEPLOY-1", "was bad"))
    candidate = await offer(coordinator, environment=environment, mode=mode)
    if hold == "this version":
        expected = State.HELD
    elif mode is PROPOSE or environment == "prod" or hold == "nothing by itself":
        expected = State.PROPOSED
    else:
        expected = State.WAITING if is_frozen else State.STARTED
    await reaches(candidate, expected)
    assert len(orchestrator.requests) == (expected is State.STARTED)


@pytest.mark.parametrize(
    ("address", "is_shown"),
    [
        ("https://github.com/acme/shop/compare/a...b", True),
        ("", False),
        ("http://github.com/acme/shop/compare/a...b", False),
        ("https://evil.example.org/> [click](https://x)", False),
    ],
)
async def test_proposal_is_posted_before_its_plan_with_a_compare_link(coordinator, orchestrator, address, is_shown):
    await coordinator.stop()
    origin = Origin(commit="b" * 40, compare_url=address, commits=(Commit("b" * 40, "Mend it", "Ada"),))
    candidate = await offer(coordinator, mode=PROPOSE, origin=origin)
    assert (candidate.state, candidate.plan, has_message(candidate)) == (State.NEW, None, True)
    fields = {field.name: field.value for field in draw_proposal(candidate).embeds[0].fields}
    text = fields["Commits"]
    assert ("bbbbbbb" in text, "Mend it" in text, "Ada" in text) == (True, True, True)
    assert (f"<{address}>" in text) == is_shown
    assert is_shown or "<http" not in text


async def test_newer_takes_the_place_and_the_message(coordinator, state, reaches):
    first = await reaches(await offer(coordinator, "v1", mode=PROPOSE), State.PROPOSED)
    second, third = await asyncio.gather(*(offer(coordinator, version, mode=PROPOSE) for version in ("v2", "v3")))
    newest = await reaches(third, State.PROPOSED)
    assert {item.proposal for item in (first, second, third)} == {first.proposal}
    found = await state.candidates.of_proposal(first.proposal)
    assert [item.id for item in found if item.is_open] == [newest.id]
    with pytest.raises(InvalidRequestError, match="newer version"):
        await coordinator.answerable(first.id)


async def test_newest_is_what_came_last_whatever_the_clock_says(coordinator, state, reaches):
    """A clock that was ahead for a while must not let an older version pass for the newest."""
    first = await reaches(await offer(coordinator, "v1", mode=PROPOSE), State.PROPOSED)
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1), tick=True):
        second = await reaches(await offer(coordinator, "v2", mode=PROPOSE), State.PROPOSED)
        third = await reaches(await offer(coordinator, "v3", mode=PROPOSE), State.PROPOSED)
    assert {item.proposal for item in (second, third)} == {first.proposal}
    offered = [third.id, second.id, first.id]
    assert [item.id for item in await state.candidates.of_environment("dev")] == offered
    assert [item.id for item in await state.candidates.of_proposal(first.proposal)] == offered


@pytest.mark.parametrize(("seconds", "is_one"), [(0, True), (29, True), (31, False)])
async def test_services_within_half_a_minute_are_one_proposal(coordinator, reaches, seconds, is_one):
    """The message is there with the first, and holds both."""
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with time_machine.travel(noon, tick=False) as clock:
        web = await offer(coordinator, mode=PROPOSE, services=("web",), origin=Origin(digests={"web": "sha256:1"}))
        assert has_message(web)
        await reaches(web, State.PROPOSED)
        clock.move_to(noon + timedelta(seconds=seconds), tick=False)
        api = await offer(coordinator, mode=PROPOSE, services=("api",), origin=Origin(digests={"api": "sha256:2"}))
        assert (api.id == web.id, api.services) == (is_one, ("api", "web") if is_one else ("api",))
        assert (await reaches(api, State.PROPOSED)).services == api.services


async def test_images_of_one_build_are_one_proposal(coordinator, state, reaches):
    web = await offer(coordinator, mode=PROPOSE, services=("web",), origin=Origin(digests={"web": "sha256:1"}))
    await reaches(web, State.PROPOSED)
    both = await offer(coordinator, mode=PROPOSE, services=("api",), origin=Origin(digests={"api": "sha256:2"}))
    assert (both.id, both.services) == (web.id, ("api", "web"))
    moved = await offer(coordinator, mode=PROPOSE, services=("api",), origin=Origin(digests={"api": "sha256:3"}))
    assert (moved.id == web.id, moved.proposal) == (False, web.proposal), "a tag that has moved is another candidate"


@pytest.mark.usefixtures("hurried_time")
async def test_waits_for_the_deployment_under_way_and_only_the_newest_follows(coordinator, orchestrator, reaches):
    first = await reaches(await offer(coordinator, "v1"), State.STARTED)
    second = await reaches(await offer(coordinator, "v2"), State.WAITING)
    third = await reaches(await offer(coordinator, "v3"), State.WAITING)
    assert (await reaches(second, State.SUPERSEDED)).proposal == third.proposal
    await orchestrator.finish(Outcome.SUCCEEDED)
    await reaches(third, State.STARTED)
    assert [request.version for request in orchestrator.requests] == ["v1", "v3"]
    assert first.state is State.STARTED


async def test_waits_for_the_end_of_a_bake(coordinator, orchestrator, state, reaches):
    """A person need not, and ends it: what comes by itself wants to know whether the last one was good."""
    await reaches(await offer(coordinator, "v1"), State.STARTED)
    ((id_, fence),) = orchestrator.fences.items()
    baking = await state.deployments.get(id_)
    watching = PhaseResult(PhaseName.VERIFICATION, PhaseStatus.IN_PROGRESS, 1)
    await state.deployments.save_phases(baking, [watching], fence)
    canary = CanaryRecord(1, 1, bakes_until=datetime.now(UTC))
    progress = ServiceProgress("web", ServiceStep.HEALTHY, rollout=RolloutRecord(canary=canary))
    await state.deployments.save_services(baking, [progress], fence)
    second = await reaches(await offer(coordinator, "v2"), State.WAITING)
    assert second.note == f"{id_} bakes, and whoever types a command need not wait."


async def test_what_was_to_blame_is_kept_out_until_a_person_deploys_it(coordinator, orchestrator, state, reaches):
    bad = await reaches(await offer(coordinator, "v1", origin=Origin(commit="a" * 40)), State.STARTED)
    await orchestrator.finish(Outcome.ROLLED_BACK, "service_failed")
    assert [hold.version for hold in await state.holds.of("dev")] == ["v1"]
    again = await offer(coordinator, "v1", origin=Origin(commit="a" * 40), is_asked_for=True)
    assert (again.state, again.id == bad.id) == (State.HELD, False)
    newer = await offer(coordinator, "v1", origin=Origin(commit="b" * 40))
    await reaches(newer, State.STARTED)
    await orchestrator.finish(Outcome.SUCCEEDED)
    person = DeploymentRequest("dev", DeploymentKind.DEPLOY, PERSON, version="v1")
    await orchestrator.start(person)
    await orchestrator.finish(Outcome.SUCCEEDED)
    assert await state.holds.of("dev") == ()


@pytest.mark.parametrize(
    ("services", "moved", "expected"),
    [
        ((), "", State.HELD),
        ((), "web", State.STARTED),
        ((), "api", State.STARTED),
        (("web",), "api", State.HELD),
        ((), "not to be planned", State.HELD),
    ],
)
async def test_other_files_of_the_same_version_are_newer(
    coordinator, orchestrator, state, reaches, services, moved, expected
):
    """Whoever mends the files, and not the code, need not name another version."""
    bad = await reaches(await offer(coordinator, "v1", services=services), State.STARTED)
    configuration = orchestrator.configuration = {"web": "1", "api": "1"}
    pinned = tuple(ReleaseService(name, ImagePin("a:1", "sha256:1"), sha) for name, sha in configuration.items())
    release = Release("dev", 0, "v1", ReleaseState.FAILED, pinned, "model", datetime.now(UTC), PERSON)
    fence = orchestrator.fences[bad.deployment_id]
    number = (await state.releases.add(release, fence)).number
    await orchestrator.finish(Outcome.ROLLED_BACK, "service_failed", to_release=number)
    if moved in configuration:
        configuration[moved] = "2"
    elif moved:
        orchestrator.fault = EngineUnavailableError("the engine is away")
    again = await offer(coordinator, "v1", services=services, is_asked_for=True)
    await reaches(again, expected)


@pytest.mark.parametrize("key", ["engine_unavailable", "shortage", "registry_unavailable", "cancelled", "journal_lost"])
async def test_what_was_not_to_blame_is_not_kept_out(coordinator, orchestrator, state, reaches, key):
    assert key not in BLAMED
    await reaches(await offer(coordinator), State.STARTED)
    await orchestrator.finish(Outcome.ROLLED_BACK, key)
    assert await state.holds.of("dev") == ()


async def test_rollback_by_hand_holds_what_deploys_itself(coordinator, orchestrator, state, reaches):
    """Visibly, until a newer version was proposed and taken."""
    await orchestrator.start(DeploymentRequest("dev", DeploymentKind.ROLLBACK, PERSON))
    await orchestrator.finish(Outcome.SUCCEEDED)
    assert [hold.version for hold in await state.holds.of("dev")] == [""]
    newer = await reaches(await offer(coordinator, "v9"), State.PROPOSED)
    assert "rolled back by hand" in newer.note
    await orchestrator.start(DeploymentRequest("dev", DeploymentKind.DEPLOY, PERSON, version="v9"))
    await orchestrator.finish(Outcome.SUCCEEDED)
    assert await state.holds.of("dev") == ()
    await reaches(await offer(coordinator, "v10"), State.STARTED)


async def test_what_waited_behind_a_rollback_by_hand_does_not_start(coordinator, orchestrator, state, reaches):
    """Whoever rolled back would have the newer version again the moment that the old one is there."""
    await orchestrator.start(DeploymentRequest("dev", DeploymentKind.ROLLBACK, PERSON))
    waiting = await reaches(await offer(coordinator, "v9"), State.WAITING)
    await orchestrator.finish(Outcome.SUCCEEDED)
    proposed = await reaches(waiting, State.PROPOSED, State.STARTED)
    assert proposed.state is State.PROPOSED
    assert [request.kind for request in orchestrator.requests] == [DeploymentKind.ROLLBACK]


async def test_lifted_hold_does_not_come_back(coordinator, make_coordinator, orchestrator, state, reaches):
    await reaches(await offer(coordinator), State.STARTED)
    await orchestrator.finish(Outcome.ROLLED_BACK, "service_failed")
    await state.holds.lift("dev", "v1", PERSON, before=datetime.now(UTC))
    await coordinator.stop()
    after = make_coordinator()
    await after.start()
    await reaches(await offer(after, "v2"), State.STARTED)
    assert await state.holds.of("dev") == ()
    await after.stop()


async def test_end_that_no_leader_saw_is_noted(make_coordinator, orchestrator, state, reaches):
    before = make_coordinator()
    await before.start()
    await reaches(await offer(before), State.STARTED)
    await before.stop()
    await orchestrator.finish(Outcome.ROLLED_BACK, "service_failed")
    after = make_coordinator()
    await after.start()
    await reaches(await offer(after, "v2"), State.STARTED)
    assert [hold.version for hold in await state.holds.of("dev")] == ["v1"]
    await after.stop()


async def test_death_between_intent_and_start(coordinator, make_coordinator, orchestrator, state, reaches):
    """What was started is found again, and what was not is started: once."""
    orchestrator.dies_after_start = True
    candidate = await reaches(await offer(coordinator), State.STARTING)
    await orchestrator.started.wait()
    await coordinator.stop()
    orchestrator.dies_after_start = False
    after = make_coordinator()
    await after.start()
    await reaches(candidate, State.STARTED)
    assert len(orchestrator.requests) == 1
    await orchestrator.finish(Outcome.SUCCEEDED)
    await after.stop()
    unstarted = await offer(after, "v2")
    await state.candidates.move(unstarted.id, State.STARTING, from_states=[State.NEW])
    last = make_coordinator()
    await last.start()
    await reaches(unstarted, State.STARTED)
    assert [request.version for request in orchestrator.requests] == ["v1", "v2"]
    await last.stop()


@pytest.mark.usefixtures("hurried_time")
async def test_refused_and_transient_faults(coordinator, orchestrator, bus, state, reaches):
    """The message says why a version is not there yet, until it is."""
    orchestrator.fault = ComposePolicyError("web is privileged", hint="leave it out")
    refused = await reaches(await offer(coordinator), State.REFUSED)
    assert "privileged" in refused.note
    orchestrator.fault = EngineUnavailableError("the engine is away")
    noted = asyncio.Event()

    async def note(event):
        if (known := await state.candidates.get(event.candidate_id)) is not None and known.note:
            noted.set()

    bus.subscribe(CandidateChanged, note, name="test")
    later = await offer(coordinator, "v2")
    await asyncio.wait_for(noted.wait(), 8)
    waiting = await state.candidates.get(later.id)
    assert (waiting.state, waiting.note) == (State.NEW, "the engine is away")
    orchestrator.fault = None
    started = await reaches(later, State.STARTED)
    assert (started.proposal, started.note) == (refused.proposal, "")


@pytest.mark.parametrize("mode", [AUTO, PROPOSE])
async def test_mistyped_version_gives_the_place_back(coordinator, orchestrator, state, reaches, mode):
    """A person decides on what had it; what was over before stays so."""
    older = await offer(coordinator, "v0", mode=PROPOSE)
    await coordinator.stop()
    good, wrong = await offer(coordinator, "v1", mode=mode), await offer(coordinator, "v7", mode=mode)
    assert (await state.candidates.get(good.id)).state is State.SUPERSEDED
    plan = orchestrator.plan

    async def refuse(request, **how):
        if request.version == "v7":
            raise ImageNotFoundError("There is no image shop:v7.")
        return await plan(request, **how)

    orchestrator.plan = refuse
    await coordinator.start()
    await reaches(wrong, State.REFUSED)
    back = await reaches(good, State.PROPOSED)
    assert (has_message(back), back.proposal != wrong.proposal) == (True, True)
    assert (await state.candidates.get(older.id)).state is State.SUPERSEDED
    assert not orchestrator.requests


@pytest.mark.parametrize(
    ("origin", "expected"), [(Origin(digests={"web": "sha256:1"}), State.PROPOSED), (Origin(commit="a"), State.REFUSED)]
)
async def test_refused_is_planned_again_where_no_job_has_ended_by_it(
    make_coordinator, orchestrator, reaches, origin, expected
):
    """The folder of a repository that could not be written is the bot's by now."""
    coordinator, swept = make_coordinator(), asyncio.Event()

    async def sweep():
        swept.set()

    coordinator.inspect_with(AsyncMock(), sweep)
    await coordinator.start()
    orchestrator.fault = ComposeFileError("/srv/site cannot be written: Permission denied.")
    refused = await reaches(await offer(coordinator, mode=PROPOSE, origin=origin), State.REFUSED)
    orchestrator.fault = None
    for _ in range(2):  # the second begins when the first has ended
        swept.clear()
        coordinator.sweep_soon()
        await asyncio.wait_for(swept.wait(), 8)
    assert (await reaches(refused, expected)).state is expected
    await coordinator.stop()


@pytest.mark.usefixtures("hurried_time")
async def test_version_that_cannot_be_planned_for_long_has_a_message(coordinator, orchestrator, state):
    """A registry's bad moment is nobody's business; an hour of it is."""
    orchestrator.fault = RegistryUnavailableError("The registry does not answer.")
    offered = await offer(coordinator)
    assert not has_message(offered)
    await coordinator.stop()
    with pytest.raises(RegistryUnavailableError):
        await coordinator._advance(await state.candidates.get(offered.id))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        with pytest.raises(RegistryUnavailableError):
            await coordinator._advance(await state.candidates.get(offered.id))
        shown = await state.candidates.get(offered.id)
        assert has_message(shown)
        assert "keeps trying" in draw_proposal(shown).embeds[0].description
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=True):
        await coordinator._advance(shown)
        ended = await state.candidates.get(offered.id)
        assert (ended.state, has_message(ended)) == (State.REFUSED, True)
        assert (
            "The registry does not answer. The bot has tried for a day." in draw_proposal(ended).embeds[0].description
        )


@pytest.mark.usefixtures("hurried_time")
@pytest.mark.parametrize("before", ["expired", "moved"])
async def test_day_of_trying_begins_with_the_first_failure(coordinator, orchestrator, state, reaches, before):
    """What waited for a person for days, and is planned again, is not at its end with the first hiccup."""
    offered = await reaches(await offer(coordinator, mode=PROPOSE), State.PROPOSED)
    await coordinator.stop()
    orchestrator.fault = RegistryUnavailableError("The registry does not answer.")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=3), tick=True):
        if before == "expired":
            confirmed = await state.candidates.move(
                offered.id, State.CONFIRMED, from_states=[State.PROPOSED], plan_id="PLAN-gone"
            )
            await coordinator._advance(confirmed)
        else:
            await state.candidates.move(offered.id, State.NEW, from_states=[State.PROPOSED], plan=None)
        with pytest.raises(RegistryUnavailableError):
            await coordinator._advance(await state.candidates.get(offered.id))
        failing = await state.candidates.get(offered.id)
        assert (failing.state, failing.note) == (State.NEW, "The registry does not answer.")
    with time_machine.travel(failing.failing_since + timedelta(minutes=16), tick=True):
        assert has_message(failing)
    orchestrator.fault = None
    await coordinator._advance(failing)
    assert (await state.candidates.get(offered.id)).failing_since is None, "the next failure begins another day"


REFUSALS = (
    ComposePolicyError("web is privileged.", hint="Leave it out."),
    ComposeFileError("The link conf leads out of the repository."),
    RefMovedError("main is not aaa any more: it is bbb.", hint="The new commit is offered in a moment."),
    ImageNotVerifiedError("shop@sha256:1 is not signed as `verify` asks: it has no signature."),
    ImageNotFoundError("There is no image shop:v1."),
)
AWAY = (
    RegistryUnavailableError("The registry ghcr.io tells nothing of shop."),
    RepositoryUnavailableError("git.example.org cannot be fetched."),
    NotVerifiableNowError("shop@sha256:1 is not verifiable now."),
    EngineUnavailableError("The engine does not answer."),
)


@pytest.mark.parametrize("mode", [AUTO, PROPOSE])
@pytest.mark.parametrize("fault", [*REFUSALS, *AWAY], ids=lambda fault: fault.key)
async def test_message_says_what_keeps_a_version_out(coordinator, orchestrator, bus, state, reaches, fault, mode):
    """Nothing starts; the channel reads why, what to do, and whether it is only for now."""
    drawn, orchestrator.fault = asyncio.Event(), fault

    async def draw(event):
        if (known := await state.candidates.get(event.candidate_id)) is not None and known.note:
            drawn.set()

    bus.subscribe(CandidateChanged, draw, name="test")
    offered = await offer(coordinator, mode=mode)
    await asyncio.wait_for(drawn.wait(), 8)
    shown = await state.candidates.get(offered.id)
    assert shown.state is (State.NEW if fault in AWAY else State.REFUSED)
    text = draw_proposal(shown).embeds[0].description.replace("\\", "")
    assert fault.message in text
    assert (fault.hint or "") in text
    assert has_message(shown) is (mode is PROPOSE or fault in REFUSALS)
    assert orchestrator.requests == []


async def test_what_is_required_is_waited_for(coordinator, orchestrator, reaches):
    orchestrator.start_fault = RequirementError("dev takes only what was healthy in staging")
    waiting = await reaches(await offer(coordinator), State.WAITING)
    assert waiting.note == orchestrator.start_fault.message
    orchestrator.start_fault = None
    coordinator.notify()
    await reaches(waiting, State.STARTED)


async def test_nothing_to_change_is_no_deployment(coordinator, orchestrator, reaches):
    orchestrator.current = "v1"
    await reaches(await offer(coordinator), State.UNCHANGED)
    assert orchestrator.requests == []


async def test_key_asks_once(coordinator, state):
    first = await offer(coordinator, key="build-1", is_asked_for=True)
    assert (await offer(coordinator, key="build-1", is_asked_for=True)).id == first.id
    with pytest.raises(KeyReusedError):
        await offer(coordinator, "v2", key="build-1")


async def test_answers_are_for_what_is_shown(coordinator, orchestrator, reaches):
    shown = await reaches(await offer(coordinator, mode=PROPOSE), State.PROPOSED)
    later = await coordinator.answer(shown, State.LATER, PERSON)
    skipped = await coordinator.answer(later, State.SKIPPED, PERSON, note="too risky")
    assert (skipped.decided_by, skipped.note) == (PERSON, "too risky")
    with pytest.raises(InvalidRequestError):
        await coordinator.answer(shown, State.LATER, PERSON)
    for mode, is_asked_for in ((PROPOSE, False), (PROPOSE, True), (AUTO, True)):
        again = await offer(coordinator, mode=mode, is_asked_for=is_asked_for)
        assert again.state is State.SKIPPED, "what was skipped stays out"
    assert orchestrator.requests == []


async def test_yes_that_died_with_its_process_is_asked_for_again(coordinator, make_coordinator, state, reaches):
    """The plan of that yes can never be carried out any more: nothing is lost, and nothing comes twice."""
    shown = await reaches(await offer(coordinator, mode=PROPOSE), State.PROPOSED)
    await coordinator.stop()
    now = datetime.now(UTC)
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, PERSON, version="v1", interaction_id="PLAN-1")
    record = PlanRecord("PLAN-1", request, shown.plan, now, now + timedelta(minutes=15))
    await state.approvals.add(record)
    yes = await coordinator.answer(shown, State.CONFIRMED, PERSON, plan_id=record.id)
    last = make_coordinator()
    await last._follow_plan(yes)
    assert (await state.approvals.get(record.id)).state is PlanState.PLANNED, "it may be on its way"
    old = await state.candidates.move(yes.id, yes.state, from_states=[yes.state], decided_at=now - timedelta(minutes=2))
    await last.start()
    again = await reaches(old, State.PROPOSED)
    assert (again.plan_id, (await state.approvals.get(record.id)).state) == ("", PlanState.WITHDRAWN)
    await last.stop()


async def test_delivery_is_looked_after_once(coordinator, make_coordinator, state):
    seen = []
    done = asyncio.Event()

    async def look(delivery):
        seen.append(delivery.id)
        if len(seen) == 1:
            raise EngineUnavailableError("the registry is away")
        done.set()
        return "a candidate"

    async def sweep():
        raise AssertionError

    coordinator.inspect_with(look, sweep)
    delivery = Delivery("shop", "1", "push", datetime.now(UTC))
    assert await state.deliveries.add(delivery)
    assert not await state.deliveries.add(replace(delivery, event="again"))
    coordinator.notify()
    async with asyncio.timeout(8):
        await done.wait()
    await coordinator.stop()
    assert seen == ["1", "1"]
    (last,) = await state.deliveries.latest()
    assert (last.id, last.note) == ("1", "a candidate")


async def test_last_webhook_of_no_use_is_shown_beside_the_last_of_use(state):
    """A redelivery of it, once the settings are others, is taken."""
    useless = Delivery("shop", "2", "push", datetime.now(UTC), is_handled=True, note="Another branch.")
    taken = replace(useless, id="1", is_handled=False, note="")
    later = replace(useless, id="3", note="pong", received_at=useless.received_at + timedelta(seconds=1))
    for delivery in (useless, taken, useless, replace(useless, source="blog"), later):
        assert await state.deliveries.add(delivery)
    found = await state.deliveries.latest()
    assert [(item.source, item.id, item.note) for item in found] == [
        ("blog", "2", "Another branch."),
        ("shop", "1", ""),
        ("shop", "3", "pong"),
    ]
    assert await state.deliveries.pending() == (taken,)
    assert await state.deliveries.add(replace(useless, is_handled=False))


@pytest.mark.parametrize(("hours", "is_over"), [(1, False), (25, True)])
async def test_delivery_that_finds_nothing_says_so_and_has_an_end(make_coordinator, state, monkeypatch, hours, is_over):
    coordinator = make_coordinator()
    coordinator.inspect_with(AsyncMock(side_effect=RegistryUnavailableError("There is no shop:v1 yet.")))
    received = datetime.now(UTC) - timedelta(hours=hours)
    await state.deliveries.add(Delivery("blog", "0", "push", received, is_handled=True, note="blog: CAND-1"))
    await state.deliveries.add(Delivery("shop", "1", "push", received))
    with nullcontext() if is_over else pytest.raises(RegistryUnavailableError):
        await coordinator._deliver((await state.deliveries.latest())[1])
    known = await state.deliveries.latest()
    assert [(delivery.source, delivery.is_handled) for delivery in known] == [("blog", True), ("shop", is_over)]
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    show_status(Terminal(), StatusReport((), deliveries=known))
    began = "" if is_over else "not yet: "
    assert re.search(f"last webhook of shop, .*: {began}There is no shop:v1 yet", out.getvalue())
    assert re.search("last webhook of blog, .*: blog: CAND-1", out.getvalue())


@pytest.mark.parametrize(
    ("hold", "offered", "is_held"),
    [
        ({}, {}, True),
        ({}, {"version": "v2"}, False),
        ({"commit": "a"}, {"commit": "a"}, True),
        ({"commit": "a"}, {"commit": "b"}, False),
        ({"commit": "a"}, {}, True),
        ({"digests": {"web": "1"}}, {"digests": {"web": "2"}}, False),
        ({"digests": {"web": "1"}}, {"digests": {"web": "1"}}, True),
        ({"digests": {"web": "1"}}, {"digests": {"api": "2"}}, True),
        ({"configuration": {"web": "1"}}, {"configuration": {"web": "2"}}, False),
        ({"configuration": {"web": "1"}}, {"configuration": {"web": "1", "api": "2"}}, True),
        ({"configuration": {"web": "1", "api": "1"}}, {"configuration": {"web": "1"}}, False),
        ({"configuration": {"web": "1", "api": "1"}}, {"configuration": {"web": "1"}, "services": ("web",)}, True),
        ({"configuration": {"web": "1"}}, {}, True),
        ({"version": ""}, {}, False),
    ],
)
def test_newer_is_another_commit_digest_or_configuration(hold, offered, is_held):
    version = offered.pop("version", "v1")
    plan = Plan("dev", version, 1, None, (), (), (), "digest", configuration=offered.pop("configuration", {}))
    services, now = offered.pop("services", ()), datetime.now(UTC)
    origin = Origin(**offered)
    candidate = Candidate("CAND-1", "shop", "dev", version, now, services=services, origin=origin, plan=plan)
    kept_out = Hold("dev", hold.pop("version", "v1"), datetime.now(UTC) - timedelta(1), "DEPLOY-1", **hold)
    assert kept_out.holds(candidate) is is_held


async def test_what_a_standby_took_is_found_by_the_next_leader(make_coordinator, state, reaches):
    """It writes down what it is told, and goes no further."""
    standby, leader = make_coordinator(), make_coordinator()
    candidate = await offer(standby)
    await state.deliveries.add(Delivery("shop", "1", "push", datetime.now(UTC)))
    looked = asyncio.Event()

    async def look(_delivery):
        looked.set()
        return "seen"

    async def sweep():
        """Find nothing."""

    leader.inspect_with(look, sweep)
    assert (await state.candidates.get(candidate.id)).state is State.NEW
    await leader.start()
    async with asyncio.timeout(8):
        await looked.wait()
    await reaches(candidate, State.STARTED)
    await leader.stop()


async def test_new_power_is_a_proposal(coordinator, orchestrator, reaches):
    """Nothing but a person gives a stack what no release of it has: `auto` asks."""
    orchestrator.new_powers = ("web: pid host",)
    proposed = await reaches(await offer(coordinator), State.PROPOSED)
    assert "powers" in proposed.note
    assert orchestrator.requests == []


@pytest.mark.parametrize(
    ("events", "offers", "told"),
    [
        ((), False, ""),
        (("ping",), False, ""),
        (("check_run",), False, "The bot has no use for check_run."),
        (("ping", "check_run"), False, "The bot has no use for check_run."),
        (("check_run",), True, ""),
    ],
)
async def test_doctor_says_why_webhooks_come_to_nothing(state, coordinator, tmp_path, events, offers, told):
    """Who set one up sees it answered well, and no proposal: until the first one, the reason is shown."""
    sources = {
        "shop": SourceSettings(kind=SourceKind.GITHUB, environments={"dev": SourceMode.PROPOSE}),
        "off": SourceSettings(kind=SourceKind.GITHUB, environments={"dev": SourceMode.OFF}),
    }
    for number, event in enumerate(events):
        note = "pong" if event == "ping" else f"The bot has no use for {event}."
        for source in sources:
            await state.deliveries.add(
                Delivery(source, str(number), event, datetime.now(UTC), is_handled=True, note=note)
            )
    if offers:
        await coordinator.offer("shop", "dev", "v1", mode=SourceMode.PROPOSE)
    for environment in ("dev", "prod"):
        subject = SimpleNamespace(idle_webhooks=partial(find_idle, state, sources, environment))
        found = await webhooks.run(subject)
        assert [result.passed for result in found] == ([False] if told and environment == "dev" else [])
        assert all(told in result.message and "shop" in result.message for result in found)
