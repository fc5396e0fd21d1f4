"""Who may press and type what: role, command, button, environment, own or other's plan, fresh or stale: no wrong yes.

Every combination is really pressed in a simulated Discord, a third of them in the ordinary lane; what is allowed stands
here once more, on its own. Which commands and buttons there are is read from the bot itself: one that has no row here
fails a test.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import discord
import pytest
from simcord.actors import MemberActor
from simcord.results import InteractionResult

from roas.candidates.coordinator import request_for
from roas.errors import (
    ComposePolicyError,
    EngineUnavailableError,
    ImageNotVerifiedError,
    RefMovedError,
    RegistryUnavailableError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, AlertState, Severity
from roas.models.candidate import CandidateState, Hold, SourceMode
from roas.models.deployment import DeploymentKind, DeploymentRequest, Draft, Freeze, ServiceProgress, ServiceStep
from roas.models.plan import LIFETIME, PlanRecord, PlanState
from roas.models.rollout import Choice, Pause
from roas.models.stored import new_id
from roas.ui.drawing import Button, Drawing
from roas.ui.embeds.alert import PREFIX as ALERT_PREFIX
from roas.ui.embeds.live import CANCEL_PREFIX, draw_live
from roas.ui.embeds.outcome import (
    GO_ON_PREFIX,
    HISTORY_PREFIX,
    OBSERVE_PREFIX,
    PROMOTE_PREFIX,
    ROLLBACK_DATA_PREFIX,
    ROLLBACK_PREFIX,
    TAKE_BACK_PREFIX,
    HistoryPage,
    draw_pause,
)
from roas.ui.embeds.plan import APPROVE_PREFIX, CONFIRM_PREFIX, WITHDRAW_PREFIX
from roas.ui.embeds.proposal import LATER_PREFIX, SKIP_PREFIX, TAKE_PREFIX, draw_proposal
from roas.ui.notifications.ops_channel import OpsChannel
from tests.unit.cogs.conftest import Scene, buttons
from tests.unit.cogs.fake_application import kept_release
from tests.unit.ui.samples import a_deployment, a_plan
from tests.unit.ui.story import Story

Sampled = Callable[[Iterable[Any]], list[Any]]

ROLES = {
    "nobody": (),
    "deployer": ("deployer",),
    "approver": ("approver",),
    "hotfix": ("hotfix",),
    "both": ("deployer", "approver"),
}
ENVIRONMENTS = ("staging", "prod")
DEPLOYS, APPROVES = {"deployer", "both"}, {"approver", "both"}
STRANGER = Actor(ActorKind.DISCORD, "424242", "stranger")
# Why somebody may not do something: the roles of which one is needed, or what it is about them or the plan.
Reason = frozenset[str] | str
DEPLOYER, APPROVER, HOTFIX = (frozenset({name}) for name in ("deployer", "approver", "hotfix"))
NOT_YOURS, YOUR_OWN, ALERTS = "not yours", "You asked for this plan yourself", "Handling alerts requires"
SAID = {NOT_YOURS, YOUR_OWN, ALERTS}

# Command (a comma tells two rows of one apart), its options, and the roles of which one is needed; none for everybody.
COMMANDS: dict[str, tuple[dict[str, str | bool | int], Callable[[str], frozenset[str]]]] = {
    "deploy": ({"version": "v2"}, lambda _environment: DEPLOYER),
    "deploy, dry run": ({"version": "v2", "dry_run": True}, lambda _environment: DEPLOYER | APPROVER),
    "promote": ({"from": "dev"}, lambda _environment: DEPLOYER),
    "rollback": ({}, lambda _environment: DEPLOYER),
    "hotfix": ({"version": "v2", "reason": "x"}, lambda _environment: HOTFIX),
    "hotfix, by a form": ({"version": "v2"}, lambda _environment: HOTFIX),
    "status": ({}, lambda _environment: frozenset()),
    "history": ({}, lambda _environment: frozenset()),
    "logs": ({"service": "web"}, lambda _environment: DEPLOYER | APPROVER | HOTFIX),
    "lock": ({"reason": "x"}, lambda _environment: DEPLOYER | APPROVER),
    "unlock": ({}, lambda environment: APPROVER if environment == "prod" else DEPLOYER | APPROVER),
    "cancel": ({}, lambda _environment: DEPLOYER | APPROVER),
    "restart": ({"services": "web"}, lambda _environment: DEPLOYER),
    "stop": ({"services": "web"}, lambda _environment: DEPLOYER),
    "start": ({"services": "web"}, lambda _environment: DEPLOYER),
    "scale": ({"service": "web", "replicas": 3}, lambda _environment: DEPLOYER),
    "scale, to none": ({"service": "web", "replicas": 0}, lambda _environment: DEPLOYER),
}
# Where the environment that is changed is not called so.
TARGETS = {"promote": "to"}
BUTTONS = {"confirm": CONFIRM_PREFIX, "approve": APPROVE_PREFIX, "withdraw": WITHDRAW_PREFIX}
PAUSE_BUTTONS = {GO_ON_PREFIX: Choice.GO_ON, OBSERVE_PREFIX: Choice.OBSERVE, TAKE_BACK_PREFIX: Choice.ROLL_BACK}
ALERT_ACTIONS = ("ack", "silence", "logs", "restart", "restore", "keep", "rollback")
DEPLOYING = {"restart", "restore", "keep", "rollback"}
STALE = ("fresh", "changed", "late", *(state.value for state in PlanState))


def lacks(role: str, needed: frozenset[str]) -> Reason | None:
    """Return the roles that are needed, where somebody has none of them."""
    return needed if needed and not needed & set(ROLES[role]) else None


def why_not_press(button: str, role: str, *, own: bool) -> Reason | None:
    """Say why somebody may not press a button; None where they may, whatever becomes of it then."""
    if button == "confirm":
        return lacks(role, DEPLOYER) or (None if own else NOT_YOURS)
    if button == "approve":
        return lacks(role, APPROVER) or (YOUR_OWN if own else None)
    return None if own else lacks(role, APPROVER)


def starts(button: str, role: str, *, own: bool, state: str) -> bool:
    """Say which presses may start a deployment, or carry out what it has drafted: the only ones that matter in the end.

    A plan found `confirmed` is one of a process that died before the start: it waits for that yes again.
    """
    if why_not_press(button, role, own=own) is not None:
        return False
    return state in {"confirm": {"fresh", "planned", "confirmed"}, "approve": {"drafted"}}.get(button, set())


async def people_of(scene: Scene) -> dict[str, MemberActor]:
    return {name: scene.join(f"m-{name}", *roles) for name, roles in ROLES.items()}


async def pressed_message(scene: Scene, plan_id: str) -> discord.Message:
    """Show a message with every button there is for a plan: somebody may forge what their client sends."""
    rows = tuple(Button(name, f"{prefix}{plan_id}") for name, prefix in BUTTONS.items())
    embed = discord.Embed(title="a plan").set_footer(text=plan_id)
    return await scene.as_it_was(Drawing(plan_id, (embed,), buttons=rows))


async def a_plan_record(scene: Scene, environment: str, asker: Actor, state: str) -> PlanRecord:
    """Write a plan into the journal as it stands after some story."""
    now = datetime.now(UTC)
    made = now - LIFETIME if state == "late" else now
    named = state if state in set(PlanState) else "planned"
    plan_id = new_id("PLAN")
    digest = "0" * 64 if state == "changed" else "d" * 64
    request = DeploymentRequest(
        environment, DeploymentKind.DEPLOY, asker, version="v2", plan_digest=digest, interaction_id=plan_id
    )
    plan = replace(a_plan(), environment=environment, digest=digest)
    plan_record = PlanRecord(plan_id, request, plan, made, made + LIFETIME, PlanState(named))
    if state == "started":
        plan_record = replace(plan_record, deployment_id=new_id("DEPLOY"), decided_by=STRANGER)
    await scene.application.state.approvals.add(plan_record)
    if state == "drafted":
        request = replace(request, needs_approval=True)
        deployment = replace(a_deployment(), request=request, draft=Draft("m" * 64))
        fence = await scene.application.state.deployments.create(deployment, "what is drafted")
        await scene.application.state.drafts.wait_for_approval(deployment, fence)
    return plan_record


def reason_of(scene: Scene, answer: str) -> Reason | None:
    """Read from an answer why somebody was refused; None where they were not."""
    if "You may not do this" not in answer:
        return None
    named = {name for name, role in scene.roles.items() if f"<@&{role.id}>" in answer}
    if "one of these roles is needed" in answer:
        return frozenset(named)
    return next((text for text in SAID if text in answer), answer)


def test_every_command_has_row(scene: Scene) -> None:
    tree = scene.env.bot.tree  # type: ignore[attr-defined]
    found = {command.qualified_name for command in tree.walk_commands(guild=discord.Object(scene.guild.id))}
    assert found == {row.partition(",")[0] for row in COMMANDS}


def test_every_button_has_row(scene: Scene) -> None:
    """What the bot listens to, written out, is exactly what the tests of this file press."""
    store = scene.env.bot._connection._view_store
    heard = {name for pattern in store._dynamic_items for name in named(pattern.pattern)}
    pressed = {*(prefix for prefix in BUTTONS.values()), CANCEL_PREFIX, ROLLBACK_PREFIX, HISTORY_PREFIX}
    pressed |= {PROMOTE_PREFIX, ROLLBACK_DATA_PREFIX}
    pressed |= {f"{ALERT_PREFIX}{action}:" for action in ALERT_ACTIONS} | {*PAUSE_BUTTONS}
    pressed |= {TAKE_PREFIX, LATER_PREFIX, SKIP_PREFIX}  # the last opens a form
    assert heard == pressed


def named(pattern: str) -> set[str]:
    """Return the beginnings of the ids that a pattern matches, each choice within it written out."""
    fixed, _, rest = pattern.replace("\\", "").partition("(?P<")
    name, _, choices = rest.partition(">")
    if name != "action":
        return {fixed}
    return {f"{fixed}{choice}:" for choice in choices.partition(")")[0].split("|")}


@pytest.mark.parametrize("row", COMMANDS)
async def test_command_allowed_as_in_table(scene: Scene, sampled: Sampled, row: str) -> None:
    command, (options, needed) = row.partition(",")[0], COMMANDS[row]
    people = await people_of(scene)
    for environment in ENVIRONMENTS:
        await kept_release(scene.application, environment, "v1")
    for environment, role in sampled(product(ENVIRONMENTS, ROLES)):
        before = len(scene.application.orchestrator.requests)
        if command == "unlock":
            await scene.application.state.freezes.put(Freeze(environment, STRANGER, "x", datetime.now(UTC)))
        story = (
            await Story.begin(scene.application.state, scene.application.bus, environment=environment)
            if (command == "cancel")
            else None
        )
        target = {TARGETS.get(command, "environment"): environment}
        result = await people[role].slash(scene.ops, command, **target, **options)
        if result.modal is not None:
            result = await people[role].submit_modal(result, {"version": "v2", "reason": "x"})
        answer = scene.answer(result)
        reason, expected = reason_of(scene, answer), lacks(role, needed(environment))
        if command == "cancel" and expected is not None:
            expected = DEPLOYER  # what it needs to start the same, which is what is named
        assert reason == expected, (row, environment, role, answer)
        started = len(scene.application.orchestrator.requests) - before
        begins = {"hotfix", "hotfix, by a form", "restart", "start", "scale"}
        assert started == int(reason is None and row in begins), (row, environment, role)
        planned = [button for button in answered_buttons(result) if ":confirm:" in button]
        may_confirm = row in {"deploy", "promote", "rollback", "stop", "scale, to none"} and reason is None
        assert len(planned) == int(may_confirm), (row, environment, role)
        await tidy(scene, environment, story)


def answered_buttons(result: InteractionResult) -> list[str]:
    """Return the buttons of an answer."""
    return [] if result.response is None else buttons(result.response.message)


async def tidy(scene: Scene, environment: str, story: Story | None) -> None:
    """Leave the environment as it was before a command."""
    for task in scene.application.orchestrator.tasks:
        await task
    if story is not None:
        await story.finish()
    if await scene.application.state.freezes.get(environment) is not None:
        await scene.application.state.freezes.lift(environment, STRANGER)


@pytest.mark.parametrize("state", STALE)
@pytest.mark.parametrize("button", BUTTONS)
async def test_plan_button_allowed_as_in_table(scene: Scene, sampled: Sampled, button: str, state: str) -> None:
    people = await people_of(scene)
    for environment, role, own in sampled(product(ENVIRONMENTS, ROLES, (True, False))):
        somebody = people[role]
        case = (button, state, environment, role, "own" if own else "other's")
        asker = Actor(ActorKind.DISCORD, str(somebody.id), role) if own else STRANGER
        plan_record = await a_plan_record(scene, environment, asker, state)
        message = await pressed_message(scene, plan_record.id)
        orchestrator = scene.application.orchestrator
        before = len(orchestrator.requests) + len(orchestrator.approved)
        answer = scene.answer(await somebody.click(message, custom_id=f"{BUTTONS[button]}{plan_record.id}"))
        assert reason_of(scene, answer) == why_not_press(button, role, own=own), (*case, answer)
        started = len(orchestrator.requests) + len(orchestrator.approved) - before
        assert started == int(starts(button, role, own=own, state=state)), (*case, answer)
        assert answer.strip(), case
        await tidy(scene, environment, None)


@pytest.mark.parametrize("kind", DeploymentKind)
async def test_cancel_button_allowed_as_in_table(scene: Scene, sampled: Sampled, kind: DeploymentKind) -> None:
    people = await people_of(scene)
    allowed = APPROVES | ({"hotfix"} if kind is DeploymentKind.HOTFIX else DEPLOYS)
    for environment, role in sampled(product(ENVIRONMENTS, ROLES)):
        story = await Story.begin(scene.application.state, scene.application.bus, kind=kind, environment=environment)
        message = await scene.as_it_was(draw_live(story.deployment))
        before = len(scene.application.orchestrator.cancelled)
        answer = scene.answer(await scene.click_and_say(people[role], message, f"roas:cancel:{story.id}"))
        assert len(scene.application.orchestrator.cancelled) - before == int(role in allowed), (kind, role, answer)
        named = HOTFIX if kind is DeploymentKind.HOTFIX else DEPLOYER
        assert reason_of(scene, answer) == (None if role in allowed else named), (kind, environment, role, answer)
        await story.finish()


@pytest.mark.parametrize("prefix", [TAKE_PREFIX, LATER_PREFIX, SKIP_PREFIX])
async def test_proposal_button_allowed_as_deploying(scene: Scene, sampled: Sampled, prefix: str) -> None:
    """A source's version is deployed by whoever may deploy; what needs approval waits for the second person."""
    people, state = await people_of(scene), scene.application.state.candidates
    for environment, role in sampled(product(ENVIRONMENTS, ROLES)):
        offered = await scene.application.candidates.offer(
            "shop", environment, f"v-{role}", mode=SourceMode.PROPOSE, is_asked_for=True
        )
        plan = await scene.application.orchestrator.plan(request_for(offered, STRANGER))
        shown = await state.move(offered.id, CandidateState.PROPOSED, from_states=[CandidateState.NEW], plan=plan)
        assert shown is not None
        before = len(scene.application.orchestrator.requests)
        message = await scene.as_it_was(draw_proposal(shown))
        answer = scene.answer(await scene.click_and_say(people[role], message, f"{prefix}{shown.id}", "too early"))
        assert reason_of(scene, answer) == (None if role in DEPLOYS else DEPLOYER), (environment, role, answer)
        known = await state.get(shown.id)
        assert known is not None
        expected = {TAKE_PREFIX: CandidateState.CONFIRMED, LATER_PREFIX: CandidateState.LATER}
        expected[SKIP_PREFIX] = CandidateState.SKIPPED
        assert known.state is (expected[prefix] if role in DEPLOYS else CandidateState.PROPOSED), (environment, role)
        started = scene.application.orchestrator.requests[before:]
        assert len(started) == (prefix == TAKE_PREFIX and role in DEPLOYS), (environment, role)
        assert all(request.needs_approval for request in started) or environment != "prod", "the second person is asked"
        await tidy(scene, environment, None)


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("hold", ["", "v1", "by hand"])
async def test_yes_to_a_proposal_in_every_state(scene: Scene, sampled: Sampled, hold: str, is_frozen: bool) -> None:
    """Mode, freeze, hold, role, source and environment: a person's yes starts it, and nothing else does."""
    people, application = await people_of(scene), scene.application
    state, sources, modes = application.state, ("shop", "agent.dora"), (SourceMode.AUTO, SourceMode.PROPOSE)
    offers = tuple(zip(sources, modes, strict=True) if hold else product(sources, modes))
    for environment, role, (source, mode) in sampled(product(ENVIRONMENTS, ROLES, offers)):
        where = (environment, role, source)
        offered = await application.candidates.offer(source, environment, "v1", mode=mode, is_asked_for=True)
        plan = await application.orchestrator.plan(request_for(offered, STRANGER))
        shown = await state.candidates.move(
            offered.id, CandidateState.PROPOSED, from_states=[CandidateState.NEW], plan=plan
        )
        assert shown is not None
        now = datetime.now(UTC)
        if hold:
            await state.holds.put(Hold(environment, hold.replace("by hand", ""), now, new_id("DEPLOY"), "was bad"))
        if is_frozen:
            await state.freezes.put(Freeze(environment, STRANGER, "the fair", now))
        before = len(application.orchestrator.requests)
        message = await scene.as_it_was(draw_proposal(shown))
        scene.answer(await people[role].click(message, custom_id=f"{TAKE_PREFIX}{shown.id}"))
        known = await state.candidates.get(shown.id)
        assert known is not None
        starts = role in DEPLOYS and not is_frozen
        assert len(application.orchestrator.requests) - before == starts, where
        assert known.state is (CandidateState.CONFIRMED if starts else CandidateState.PROPOSED), where
        await state.candidates.move(shown.id, CandidateState.SUPERSEDED, from_states=CandidateState)
        for version in ("v1", ""):
            await state.holds.lift(environment, version, STRANGER, before=datetime.now(UTC))
        await tidy(scene, environment, None)


# What happens between the message and the click: what the answer says, and what the candidate is then.
BETWEEN = {
    "a tag moves": ("Something changed since this was proposed", CandidateState.PROPOSED),
    "the ref moves": ("main is bbb by now", CandidateState.PROPOSED),
    "a newer version comes": ("A newer version has taken the place of v1", CandidateState.SUPERSEDED),
    "somebody else says yes": ("does not wait for an answer any more", CandidateState.CONFIRMED),
    "it is left out": ("does not wait for an answer any more", CandidateState.SKIPPED),
    "the policy refuses": ("web is privileged", CandidateState.PROPOSED),
    "nobody has signed it": ("is not signed", CandidateState.PROPOSED),
    "the registry is away": ("tells nothing", CandidateState.PROPOSED),
}
# What is told to do instead, which is done.
USED_INSTEAD = {
    "a newer version comes": "or use /deploy and the version that you want",
    "it is left out": "Use /deploy and its version",
}
FAULTS = {
    "the ref moves": RefMovedError("main is bbb by now"),
    "the policy refuses": ComposePolicyError("web is privileged"),
    "nobody has signed it": ImageNotVerifiedError("web is not signed"),
    "the registry is away": RegistryUnavailableError("the registry tells nothing"),
}


@pytest.mark.parametrize("between", BETWEEN)
async def test_yes_is_to_what_was_shown(scene: Scene, between: str) -> None:
    """Each change before the click has its answer, and nothing else is deployed in its place."""
    people, application = await people_of(scene), scene.application
    candidates, orchestrator = application.state.candidates, application.orchestrator
    offered = await application.candidates.offer("shop", "staging", "v1", mode=SourceMode.PROPOSE)
    plan = await orchestrator.plan(request_for(offered, STRANGER))
    moved = {"from_states": [CandidateState.NEW], "plan": plan}
    shown = await candidates.move(offered.id, CandidateState.PROPOSED, **moved)
    assert shown is not None
    message = await scene.as_it_was(draw_proposal(shown))
    orchestrator.fault = FAULTS.get(between)
    if between == "a tag moves":
        orchestrator.digest = "e" * 64
    elif between == "a newer version comes":
        await application.candidates.offer("shop", "staging", "v2", mode=SourceMode.PROPOSE)
    elif between == "it is left out":
        await candidates.move(shown.id, CandidateState.SKIPPED, from_states=[CandidateState.PROPOSED])
    elif between == "somebody else says yes":
        await people["both"].click(message, custom_id=f"{TAKE_PREFIX}{shown.id}")
    before = len(orchestrator.requests)
    answer = scene.answer(await people["deployer"].click(message, custom_id=f"{TAKE_PREFIX}{shown.id}"))
    text, state = BETWEEN[between]
    assert text in answer
    known = await candidates.get(shown.id)
    assert known is not None
    assert known.state is state
    assert len(orchestrator.requests) == before
    if hint := USED_INSTEAD.get(between):
        assert hint in answer
        asked = await people["deployer"].slash(scene.ops, "deploy", environment="staging", version="v1")
        scene.answer(await scene.press(people["deployer"], asked, "confirm"))
        assert orchestrator.requests[before].version == "v1"
    if between == "a tag moves":
        assert known.plan is not None
        assert known.plan.digest == orchestrator.digest, "the message shows the new plan"


async def test_yes_that_comes_to_nothing_can_be_said_again(scene: Scene) -> None:
    people, application = await people_of(scene), scene.application
    offered = await application.candidates.offer("shop", "staging", "v1", mode=SourceMode.PROPOSE)
    plan = await application.orchestrator.plan(request_for(offered, STRANGER))
    new = [CandidateState.NEW]
    shown = await application.state.candidates.move(offered.id, CandidateState.PROPOSED, from_states=new, plan=plan)
    assert shown is not None
    message = await scene.as_it_was(draw_proposal(shown))
    for fault, expected in ((EngineUnavailableError("the engine is away"), "proposed"), (None, "confirmed")):
        application.orchestrator.start_fault = fault
        scene.answer(await people["deployer"].click(message, custom_id=f"{TAKE_PREFIX}{shown.id}"))
        known = await application.state.candidates.get(shown.id)
        assert known is not None
        assert known.state.value == expected
    assert len(application.orchestrator.requests) == 1


@pytest.mark.parametrize("kind", DeploymentKind)
@pytest.mark.parametrize("prefix", PAUSE_BUTTONS)
async def test_pause_button_allowed_as_cancelling(
    scene: Scene, sampled: Sampled, prefix: str, kind: DeploymentKind
) -> None:
    people = await people_of(scene)
    allowed = APPROVES | ({"hotfix"} if kind is DeploymentKind.HOTFIX else DEPLOYS)
    state = scene.application.state.deployments
    for environment, role in sampled(product(ENVIRONMENTS, ROLES)):
        story = await Story.begin(scene.application.state, scene.application.bus, kind=kind, environment=environment)
        pause = Pause(1, "web", "web broke", datetime.now(UTC), canary=prefix == OBSERVE_PREFIX)
        paused = replace(story.deployment, pauses=(pause,))
        await state.update(paused, story.fence)
        message = await scene.as_it_was(draw_pause(paused, pause))
        clicked = await scene.click_and_say(people[role], message, f"{prefix}{story.id}:1", "wrong branch")
        answer, known = scene.answer(clicked), await state.get(story.id)
        assert known is not None
        chosen = None if known.decision is None else known.decision.choice
        assert chosen is not Choice.ROLL_BACK or known.decision.reason == "wrong branch"
        assert chosen is (PAUSE_BUTTONS[prefix] if role in allowed else None), (kind, environment, role, answer)
        named = HOTFIX if kind is DeploymentKind.HOTFIX else DEPLOYER
        assert reason_of(scene, answer) == (None if role in allowed else named), (kind, environment, role, answer)
        await story.finish()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_outcome_buttons_for_deployers_start_nothing(scene: Scene, environment: str) -> None:
    people = await people_of(scene)
    first, second = [await kept_release(scene.application, environment, version) for version in ("v1", "v2")]
    story = await Story.begin(scene.application.state, scene.application.bus, environment=environment)
    moved = replace(story.deployment, from_release=first.number, to_release=second.number, promotes_to="dev")
    story.deployment = replace(moved, backups=("BACKUP-1",))
    await story.service(ServiceProgress("web", ServiceStep.HEALTHY))
    await story.finish()
    outcome = await scene.outcome_of(story.id)
    for (role, somebody), prefix in product(people.items(), (ROLLBACK_PREFIX, ROLLBACK_DATA_PREFIX, PROMOTE_PREFIX)):
        answer = scene.answer(await somebody.click(outcome, custom_id=f"{prefix}{story.id}"))
        assert reason_of(scene, answer) == lacks(role, DEPLOYER), (environment, role, answer)
    assert not scene.application.orchestrator.requests


@pytest.mark.parametrize("action", ALERT_ACTIONS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_alert_button_allowed_as_in_table(scene: Scene, environment: str, action: str) -> None:
    people = await people_of(scene)
    for version in ("v1", "v2"):
        await kept_release(scene.application, environment, version)
    for role, somebody in people.items():
        report = AlertReport(
            f"{role}", AlertSource.HEALTH, Severity.WARNING, f"{role} is down", environment=environment, service="web"
        )
        (taken,) = await scene.application.state.alerts.take([report])
        subject = taken.alert.id
        shown = Drawing(subject, (), "an alert", (Button(action, f"{ALERT_PREFIX}{action}:{subject}"),))
        message = await scene.as_it_was(shown)
        answer = scene.answer(await somebody.click(message, custom_id=f"{ALERT_PREFIX}{action}:{subject}"))
        allowed = role in DEPLOYS if action in DEPLOYING else role != "nobody"
        expected = ALERTS if role == "nobody" else lacks(role, DEPLOYER if action in DEPLOYING else frozenset())
        assert reason_of(scene, answer) == expected, (action, environment, role, answer)
        assert "Internal error" not in answer
        known = await scene.application.state.alerts.get(subject)
        assert known is not None
        changes = {"ack": AlertState.ACKNOWLEDGED, "silence": AlertState.SILENCED}
        assert known.state is (changes.get(action, AlertState.FIRING) if allowed else AlertState.FIRING), (action, role)
    assert bool(scene.application.orchestrator.requests) is (action == "restart"), (
        "what else deploys shows a plan first"
    )


async def test_button_of_what_is_gone_says_what_to_type(scene: Scene) -> None:
    """The message is still there, and what it is about is not in the journal any more."""
    gone = {f"{prefix}{new_id('PLAN')}": "/deploy" for prefix in BUTTONS.values()}
    gone |= {f"{prefix}{new_id('CAND')}": "/deploy" for prefix in (TAKE_PREFIX, LATER_PREFIX, SKIP_PREFIX)}
    gone |= {f"{prefix}{new_id('DEPLOY')}:1": "/status" for prefix in PAUSE_BUTTONS}
    gone |= {f"{ALERT_PREFIX}{action}:{new_id('ALERT')}": "/status" for action in ALERT_ACTIONS}
    of_deployments = (CANCEL_PREFIX, ROLLBACK_PREFIX, ROLLBACK_DATA_PREFIX, PROMOTE_PREFIX)
    gone |= {f"{prefix}{new_id('DEPLOY')}": "/status" for prefix in of_deployments}
    for number, (custom_id, command) in enumerate(gone.items()):
        message = await scene.as_it_was(Drawing(f"old {number}", (), "old", (Button("x", custom_id),)))
        answer = scene.answer(await scene.dora.click(message, custom_id=custom_id))
        assert command in answer, (custom_id, answer)


async def test_history_buttons_allowed_for_everybody(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    page = HistoryPage("staging", None, 0)
    for role, somebody in (await people_of(scene)).items():
        message = await scene.as_it_was(Drawing("history", (), f"for {role}", (Button("Older", page.custom_id),)))
        result = await somebody.click(message, custom_id=page.custom_id)
        assert not result.followups, role
        assert result.deferred or result.response is not None, role


async def test_buttons_refused_outside_ops_channel(scene: Scene) -> None:
    people = await people_of(scene)
    story = await Story.begin(scene.application.state, scene.application.bus, environment="staging")
    plan_record = await a_plan_record(scene, "staging", STRANGER, "planned")
    (taken,) = await scene.application.state.alerts.take(
        [AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "down", environment="staging", service="web")]
    )
    ids = [f"{prefix}{plan_record.id}" for prefix in BUTTONS.values()]
    ids += [f"{prefix}{story.id}" for prefix in (CANCEL_PREFIX, ROLLBACK_PREFIX)]
    ids += [f"{prefix}{story.id}:1" for prefix in PAUSE_BUTTONS]
    ids += [f"{ALERT_PREFIX}{action}:{taken.alert.id}" for action in ALERT_ACTIONS]
    ids += [HistoryPage("staging", None, 0).custom_id]
    elsewhere = OpsChannel(scene.env.bot, scene.guild.id, scene.general.id)
    for number, custom_id in enumerate(ids):
        drawing = Drawing("elsewhere", (), "forged", (Button("x", custom_id),))
        message_id = await elsewhere.send(drawing, nonce=f"forged {number}")
        message = next(item for item in scene.general.history() if item.id == message_id)
        for role, somebody in people.items():
            answer = scene.answer(await somebody.click(message, custom_id=custom_id))
            assert "only works in the ops channel" in answer, (custom_id, role, answer)
    assert not scene.application.orchestrator.requests
    assert not scene.application.orchestrator.cancelled
    known = await scene.application.state.alerts.get(taken.alert.id)
    assert known is not None
    assert known.state is AlertState.FIRING
    await story.finish()


async def test_outside_channel_refused_without_names(scene: Scene, sampled: Sampled) -> None:
    """Nothing works outside the ops channel, and no name is shown there."""
    people = await people_of(scene)
    wrong = {"version": "a b", "services": "nothing", "service": "nothing", "to": "r99", "since": "never"}
    for (row, (options, _needed)), (role, somebody) in sampled(product(COMMANDS.items(), people.items())):
        command = row.partition(",")[0]
        misspelt = {key: wrong.get(key, value) for key, value in options.items()}
        for environment, values in (("staging", options), ("nowhere", misspelt)):
            target = {TARGETS.get(command, "environment"): environment}
            answer = scene.answer(await somebody.slash(scene.general, command, **target, **values))
            assert "This only works in the ops channel" in answer, (command, role)
            assert not [name for name in scene.application.environments if name in answer], (command, role, answer)
    assert not scene.application.orchestrator.requests
    assert not scene.application.orchestrator.planned


def test_plan_lives_15_minutes() -> None:
    assert timedelta(minutes=15) == LIFETIME
