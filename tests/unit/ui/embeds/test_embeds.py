"""What people see says what they need, on one small screen, and never more than Discord takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import discord
import pytest

from roas.api.documents import EnvironmentStatus
from roas.errors import InvalidRequestError, NotPermittedError
from roas.messages.message import said
from roas.models.deployment import (
    DeploymentKind,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.health import Verdict
from roas.models.phases import PhaseName
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.state.deployments.figures import DeliveryFigures
from roas.state.deployments.locks import LockHeldError
from roas.ui.drawing import BAD, CAREFUL, GOOD, QUIET, RUNNING, Drawing
from roas.ui.embeds.live import can_be_cancelled, draw_live
from roas.ui.embeds.outcome import HistoryPage, draw_error, draw_history, draw_outcome, draw_phases, draw_unexpected
from roas.ui.embeds.plan import _plain_reasons, draw_plan, draw_plan_text
from roas.ui.embeds.status import draw_status
from roas.ui.redacted import without_secrets
from tests.unit.ui.samples import (
    NASTY,
    a_deployment,
    a_lock,
    a_plan,
    a_release,
    a_stack,
    failed_deployment,
    largest_deployment,
)


def assert_within_limits(embeds: Sequence[discord.Embed]) -> None:
    assert 1 <= len(embeds) <= 10
    assert sum(len(embed) for embed in embeds) <= 6000
    for embed in embeds:
        assert 0 < len(embed.title or "") <= 256
        assert len(embed.description or "") <= 4096
        assert len(embed.fields) <= 25
        for field in embed.fields:
            assert 0 < len((field.name or "").strip()) <= 256
            assert 0 < len((field.value or "").strip()) <= 1024


def text_of(embeds: Sequence[discord.Embed]) -> str:
    parts = []
    for embed in embeds:
        parts += [embed.title or "", embed.description or "", *(f"{f.name}\n{f.value}" for f in embed.fields)]
    return "\n".join(parts)


def largest_plan() -> Plan:
    plan = a_plan(64, warnings=(NASTY * 10,) * 64)
    services = tuple(replace(s, changed_keys=(NASTY,) * 30, start_first=True) for s in plan.services)
    return replace(plan, services=services)


def largest_status() -> EnvironmentStatus:
    stack = a_stack(*((f"{'s' * 60}{n}", Verdict.UNHEALTHY, NASTY * 10) for n in range(64)))
    large = largest_deployment()
    return EnvironmentStatus("e" * 32, stack, a_release(), large, a_lock(large))


# All that can be posted, in its largest form; each is drawn by the test of it.
EVERYTHING: dict[str, Callable[[], Sequence[discord.Embed]]] = {
    "live": lambda: draw_live(largest_deployment()).embeds,
    **{o.value: partial(lambda outcome: draw_outcome(largest_deployment(outcome)).embeds, o) for o in Outcome},
    "plan": lambda: draw_plan(largest_plan(), dry_run=True),
    "status": lambda: draw_status([largest_status()]).embeds,
    "status of ten": lambda: draw_status([largest_status()] * 10).embeds,
    "status with a fault": lambda: draw_status([EnvironmentStatus("prod", fault=NASTY * 100)]).embeds,
    "history": lambda: draw_history([largest_deployment(Outcome.FAILED)] * 64).embeds,
    "error": lambda: draw_error(InvalidRequestError(NASTY * 100, hint=NASTY * 100, report=NASTY * 1000)),
    "lock": lambda: draw_error(LockHeldError(a_lock(largest_deployment()))),
    "unexpected": lambda: draw_unexpected("ERR-1"),
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_largest_embed_within_limits_pings_nobody(name: str) -> None:
    embeds = EVERYTHING[name]()
    assert_within_limits(embeds)
    assert "@everyone" not in text_of(embeds)
    assert "@here" not in text_of(embeds)


def test_live_message_shows_what_where_who_and_phases() -> None:
    statuses = {PhaseName.INITIALIZATION: PhaseStatus.SUCCESS, PhaseName.VALIDATION: PhaseStatus.IN_PROGRESS}
    drawing = draw_live(a_deployment(statuses=statuses))
    text = text_of(drawing.embeds)
    assert "Deploy v2 to staging" in text
    assert "<@123456789012345678>" in text
    assert "✅ initialization · 1.5 s" in text
    assert "🔄 validation · <t:" in text
    assert "⬜ preparation" in text
    assert "rollback" not in text
    assert drawing.embeds[0].colour == RUNNING


@pytest.mark.parametrize(
    ("phase", "steps", "progress"),
    [
        (PhaseName.PREPARATION, ("pulled", "pulling", "pending", "unchanged"), "1 of 2 services"),
        (PhaseName.EXECUTION, ("healthy", "waiting", "pending", "unchanged"), "1 of 3 services"),
        (PhaseName.ROLLBACK, ("restored", "restoring", "failed", "healthy", "pending", "unchanged"), "1 of 4 services"),
        (PhaseName.VERIFICATION, ("healthy", "healthy"), ""),
    ],
)
def test_running_phase_counts_finished_services(phase: PhaseName, steps: tuple[str, ...], progress: str) -> None:
    services = tuple(
        ServiceProgress(f"s{number}", ServiceStep(step), changed=step != "unchanged")
        for number, step in enumerate(steps)
    )
    kind = DeploymentKind.ROLLBACK if phase is PhaseName.ROLLBACK else DeploymentKind.DEPLOY
    shown = a_deployment(kind, statuses={phase: PhaseStatus.IN_PROGRESS}, services=services)
    line = next(part for part in text_of(draw_live(shown).embeds).split("\n") if part.startswith(f"🔄 {phase}"))
    assert line.partition(":R> · ")[2].removesuffix("all is well").removesuffix(" · ") == progress
    over = a_deployment(kind, statuses={phase: PhaseStatus.SUCCESS}, services=services)
    assert " services" not in text_of(draw_live(over).embeds)


def test_live_message_lists_failed_services_first() -> None:
    services = (
        ServiceProgress("redis", ServiceStep.UNCHANGED),
        ServiceProgress("worker", ServiceStep.PULLING, "12 of 48 MB", 0.25),
        ServiceProgress("web", ServiceStep.FAILED, old_image="shop/web:v1", new_image="shop/web:v2", changed=True),
    )
    text = text_of(draw_live(a_deployment(services=services)).embeds)
    web, worker, redis = (text.index(f"`{name}`") for name in ("web", "worker", "redis"))
    assert web < worker < redis
    assert "⬇️ `worker` pulling 25% · 12 of 48 MB" in text
    assert "🔴 `web` failed · v1 → v2" in text


def test_restored_service_shows_image_reverted() -> None:
    back = ServiceProgress("web", ServiceStep.RESTORED, old_image="shop/web:v1", new_image="shop/web:v2", changed=True)
    assert "restored · v2 → v1" in text_of(draw_live(a_deployment(services=(back,))).embeds)


def test_failed_phase_shows_reason() -> None:
    deployment = a_deployment()
    failed = replace(deployment.phases[0], status=PhaseStatus.FAILED, problem=Problem("x", "the registry is away"))
    text = text_of(draw_live(replace(deployment, phases=(failed, *deployment.phases[1:]))).embeds)
    assert "❌ initialization · the registry is away" in text


def test_outcome_omits_untouched_services() -> None:
    services = (
        ServiceProgress("web", ServiceStep.HEALTHY, changed=True),
        ServiceProgress("worker", ServiceStep.PENDING, changed=True),
    )
    text = text_of(draw_outcome(a_deployment(outcome=Outcome.CANCELLED, services=services)).embeds)
    assert "`web`" in text
    assert "worker" not in text


@pytest.mark.parametrize(
    ("outcome", "more", "offers"),
    [
        (Outcome.SUCCEEDED, {}, True),
        (Outcome.ROLLED_BACK, {}, True),
        (Outcome.FAILED, {}, True),
        (Outcome.ROLLED_BACK, {"backups": ()}, False),
        (Outcome.ROLLED_BACK, {"data_stays": True}, False),
        (Outcome.SUCCEEDED, {"data_stays": True}, False),
        # The way back would replace the bot itself; where it was rolled back, it has been.
        (Outcome.SUCCEEDED, {"successors": ("c2",)}, False),
        (Outcome.ROLLED_BACK, {"successors": ("c2",)}, True),
    ],
)
def test_data_is_offered_where_it_can_be_restored(outcome: Outcome, more: dict[str, Any], offers: bool) -> None:
    services = (ServiceProgress("web", ServiceStep.HEALTHY, changed=True),)
    deployment = replace(a_deployment(outcome=outcome, services=services), **({"backups": ("BACKUP-1",)} | more))
    assert (
        any(button.custom_id.startswith("roas:rollback-data:") for button in draw_outcome(deployment).buttons) is offers
    )


def test_equal_state_draws_equal_message() -> None:
    """So that any process can redraw it."""
    deployment = largest_deployment()
    assert draw_live(deployment).content_hash == draw_live(deployment).content_hash
    moved = replace(deployment, phases=(replace(deployment.phases[0], attempts=4), *deployment.phases[1:]))
    assert draw_live(moved).content_hash != draw_live(deployment).content_hash


def test_cancel_button_only_while_cancellable() -> None:
    running = a_deployment(statuses={PhaseName.EXECUTION: PhaseStatus.IN_PROGRESS})
    assert draw_live(running).buttons[0].custom_id == f"roas:cancel:{running.id}"
    assert not can_be_cancelled(replace(running, cancel_requested_by=running.request.requested_by))
    assert not can_be_cancelled(a_deployment(outcome=Outcome.SUCCEEDED))
    assert not can_be_cancelled(a_deployment(statuses={PhaseName.COMPLETION: PhaseStatus.IN_PROGRESS}))


def test_running_rollback_shown_and_coloured() -> None:
    deployment = a_deployment()
    going_back = replace(deployment.phases[0], name=PhaseName.ROLLBACK, status=PhaseStatus.IN_PROGRESS)
    drawing = draw_live(replace(deployment, phases=(*deployment.phases, going_back)))
    assert "🔄 rollback" in text_of(drawing.embeds)
    assert drawing.embeds[0].colour == CAREFUL
    assert not drawing.buttons


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DeploymentKind.DEPLOY, "Deploy v2 to staging"),
        (DeploymentKind.HOTFIX, "Hotfix v2 for staging"),
        (DeploymentKind.ROLLBACK, "Roll back staging to r2"),
    ],
)
def test_deployment_kind_has_own_words(kind: DeploymentKind, text: str) -> None:
    assert text in (draw_live(a_deployment(kind)).embeds[0].title or "")


@pytest.mark.parametrize(
    ("outcome", "colour", "text"),
    [
        (Outcome.SUCCEEDED, GOOD, "**staging** runs r2 (before: r1)"),
        (Outcome.ROLLED_BACK, CAREFUL, "**staging** runs r1 again"),
        (Outcome.CANCELLED, QUIET, "**staging** stays on r1"),
        (Outcome.FAILED, BAD, "Look at it now"),
    ],
)
def test_outcome_says_what_runs_now(outcome: Outcome, colour: discord.Colour, text: str) -> None:
    drawing = draw_outcome(a_deployment(outcome=outcome, services=(ServiceProgress("web", ServiceStep.STARTING),)))
    assert text in text_of(drawing.embeds)
    assert drawing.embeds[0].colour == colour


def test_failure_shows_reason_service_and_next_step() -> None:
    """The failure output is a file."""
    drawing = draw_outcome(failed_deployment())
    text = text_of(drawing.embeds)
    assert "Why\nweb did not become healthy" in text
    assert "Look at its health check." in text
    assert "boom" in text
    assert [a.text for a in drawing.attachments] == ["boom\nhealth: exit 1"]
    assert drawing.attachments[0].name.endswith("-web.txt")


def test_failure_without_hint_says_what_to_do() -> None:
    problem = Problem("state", "the disk is full")
    touched = a_deployment(
        outcome=Outcome.FAILED, problem=problem, services=(ServiceProgress("web", ServiceStep.STARTING),)
    )
    assert "/rollback staging" in text_of(draw_outcome(touched).embeds)


def test_early_failure_says_nothing_changed() -> None:
    problem = Problem("validation_failed", "docker-compose.yml does not parse")
    failed = a_deployment(outcome=Outcome.FAILED, problem=problem)
    for embeds in (draw_outcome(failed).embeds, draw_live(failed).embeds, draw_history([failed]).embeds):
        assert "❌" in text_of(embeds)
        assert "🆘" not in text_of(embeds)
        assert "needs an operator" not in text_of(embeds)
    text = text_of(draw_outcome(failed).embeds)
    assert "failed before it changed anything" in text
    assert "**staging** stays on r1" in text


def test_file_name_contains_no_slash() -> None:
    problem = Problem("x", "y", service="../../etc/passwd", report="z")
    name = draw_outcome(a_deployment(outcome=Outcome.FAILED, problem=problem)).attachments[0].name
    assert "/" not in name


def test_plan_shows_images_keys_and_order_not_values() -> None:
    text = text_of(draw_plan(a_plan()))
    assert "staging: r1 → a new release (v2)" in text
    assert "🔄 **service-2** is recreated" in text
    assert "v1 → v2" in text
    assert "environment.LOG_LEVEL" in text
    assert "service-0 → service-1 → service-2" in text
    assert "Unchanged (1)" in text


def test_empty_plan_says_so() -> None:
    text = text_of(draw_plan(a_plan(1)))
    assert "No changes" in text


@pytest.mark.parametrize(
    "beside", [{"warnings": ("web was changed while it ran, and stays so.",)}, {"diff": ("+a: 1",)}]
)
def test_plan_without_changes_does_not_say_that_all_fits_where_it_does_not(beside: dict[str, tuple[str]]) -> None:
    plan = replace(a_plan(0), **beside)
    text = text_of(draw_plan(plan, dry_run=True))
    assert "No service is changed" in text
    assert "already runs" not in text


def test_refused_plan_says_so_apart_from_warnings() -> None:
    held, beside = "The name of web is held.", "It takes long."
    plan = replace(a_plan(), warnings=(beside, held), refusals=(held,))
    for text in (text_of(draw_plan(plan)), draw_plan_text(plan).text):
        refused, _, rest = text.partition("Refused as things are: nothing is changed")[2].partition("Warnings")
        assert held in refused
        assert (beside in rest, held in rest) == (True, False)
    assert "Refused" not in text_of(draw_plan(replace(plan, refusals=())))


def test_dry_run_says_nothing_changed() -> None:
    assert draw_plan(a_plan(), dry_run=True)[0].footer.text == "Dry run: nothing that runs was changed."


def test_refusal_and_fault_say_what_to_do() -> None:
    text = text_of(draw_error(NotPermittedError("Not you.", hint="Ask anna.")))
    assert "You may not do this" in text
    assert "Not you." in text
    assert "Ask anna." in text
    assert "`ERR-1`" in text_of(draw_unexpected("ERR-1"))


def test_history_shows_who_when_and_outcome() -> None:
    offered = a_deployment(reason="fixes the *login*")
    sources = {offered.id: "ci"}
    text = text_of(list(draw_history([failed_deployment(), offered], HistoryPage("staging"), sources=sources).embeds))
    assert text.count("offered by `ci`") == 1
    assert "> fixes the \\*login\\*" in text
    assert "failed and was rolled back" in text
    assert "is running" in text
    assert "r1 → r2" in text
    assert "Delivery" not in text


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        (
            (6, 0.2, 700.0, 3 / 8, 90.0),
            "0.2 a day · lead time 11 min 40 s · 38 % of changes failed or were rolled back · restored in 1 min 30 s",
        ),
        ((1, 1 / 30, None, 0.0, None), "0.033 a day · 0 % of changes failed or were rolled back"),
        ((0, 0.0, None, 1.0, None), "0 a day · 100 % of changes failed or were rolled back"),
        ((0, 0.0, None, None, None), None),
    ],
)
def test_history_shows_how_the_environment_delivers(figures: tuple[Any, ...], shown: str | None) -> None:
    delivery = DeliveryFigures("staging", *figures)
    embeds = draw_history([a_deployment()], HistoryPage("staging"), delivery=delivery).embeds
    fields = {field.name: field.value for field in embeds[0].fields}
    assert fields == ({} if shown is None else {"Delivery, last 30 days": shown})


async def test_drawn_view_does_not_listen() -> None:
    drawing: Drawing = draw_live(a_deployment())
    view = drawing.view()
    assert view.is_finished()
    assert len(view.children) == 1


def test_secrets_redacted_before_drawing() -> None:
    deployment = failed_deployment()
    assert without_secrets(deployment, str) == deployment
    clean = without_secrets(deployment, lambda text: text.replace("boom", "[redacted]"))
    assert clean.id == deployment.id
    drawing = draw_outcome(clean)
    assert "boom" not in text_of(drawing.embeds)
    assert "boom" not in drawing.attachments[0].text


def test_nothing_waits_in_a_finished_deployment() -> None:
    """Whatever an interruption left open is told as such, in the live message and in the outcome."""
    services = tuple(
        ServiceProgress(step.value, step, changed=True) for step in (ServiceStep.WAITING, ServiceStep.PENDING)
    )
    phases = (PhaseResult(PhaseName.EXECUTION, PhaseStatus.IN_PROGRESS),)
    ended = replace(a_deployment(), services=services, phases=phases, outcome=Outcome.FAILED)
    text = text_of(draw_live(ended).embeds)
    assert "`waiting` interrupted" in text
    assert "`pending` not reached" in text
    assert "execution · interrupted" in text
    assert "of 2 services" not in text


def test_what_is_yet_to_be_built_is_said_in_words() -> None:
    """Nobody can compare what does not exist: the hash of what it is built from says nothing to people."""
    built = ServicePlan("web", ServiceAction.RECREATE, expected_image="0" * 64, if_image_differs=True)
    assert [*_plain_reasons(built)] == ["is built, then compared"]
    assert [*_plain_reasons(replace(built, expected_image="sha256:1"))] == ["content sha256:1"]


def test_commands_that_the_core_quotes_are_code_wherever_they_are_shown() -> None:
    quoting = said("Read `docker compose logs {name}`.", name="web")
    services = (ServiceProgress("web", ServiceStep.FAILED, quoting, changed=True),)
    problem = Problem("service_failed", quoting, quoting, "web", "")
    failed = a_deployment(outcome=Outcome.ROLLED_BACK, problem=problem, services=services)
    phase = replace(failed.phases[0], status=PhaseStatus.SUCCESS, summary=quoting, warnings=(quoting,))
    failed = replace(failed, warnings=(quoting,), phases=(phase, *failed.phases[1:]))
    plan = a_plan(warnings=(quoting,))
    refused = replace(plan, services=tuple(replace(service, reasons=(quoting,)) for service in plan.services))
    drawings = [draw_outcome(failed), draw_live(failed), draw_phases(failed, [phase], 1)]
    for embeds in (*(drawing.embeds for drawing in drawings), draw_plan(refused)):
        shown = text_of(embeds)
        assert "`docker compose logs web`" in shown, shown
        assert "\\`" not in shown, shown
