"""Whatever can be posted, in both languages and in its largest form, is what Discord takes and calls nobody by mistake.

What is posted is found by reading the sources: a new function that draws, and is not collected here, fails a test.
"""

import ast
import itertools
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord.http import MultipartParameters, handle_message_parameters

from roas.api.documents import EnvironmentStatus
from roas.cogs.alerts import AlertsCog
from roas.cogs.answers import answer, answer_beside
from roas.cogs.logs import _draw as draw_logs
from roas.cogs.stopped_bot import draw_journal_loss
from roas.errors import RoasError
from roas.metrics.integration_monitor import LIMITS, IntegrationFigures
from roas.models.alert import Alert, AlertSource, AlertState, RecoveryStatus, Severity
from roas.models.canary import CanaryRecord, Counts, Period
from roas.models.candidate import Candidate, CandidateState, Commit, Origin
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    Freeze,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.health import Verdict
from roas.models.leader_lease import JournalLoss
from roas.models.phases import PhaseName
from roas.models.plan import Plan, PlanState
from roas.models.rollout import Choice, Decision, Pause, RolloutRecord
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import FrozenError, LockHeldError
from roas.ui.drawing import Drawing, MissingPermission, code, fit, one_line
from roas.ui.embeds.alert import draw_alert, draw_escalation, draw_group, draw_open_alerts, draw_ping, draw_shared_ping
from roas.ui.embeds.freeze import draw_freeze
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import (
    HistoryPage,
    draw_error,
    draw_history,
    draw_outcome,
    draw_pause,
    draw_phases,
    draw_unexpected,
)
from roas.ui.embeds.plan import draw_approval, draw_confirmation, draw_missed, draw_plan, draw_plan_message
from roas.ui.embeds.proposal import draw_proposal
from roas.ui.embeds.status import draw_integration, draw_status
from roas.ui.formatting import person, since
from roas.ui.notifications.ops_channel import OpsChannel
from roas.ui.translation import _ as translated
from roas.ui.translation import using_locale
from sandbox.checks import Checks
from sandbox.openapi import OpenApi
from tests.unit.sources import all_nodes, children, tree_of
from tests.unit.ui.notifications.test_plan_messages import a_plan_record
from tests.unit.ui.samples import (
    DORA,
    LONG_NAME,
    NASTY,
    NOON,
    a_deployment,
    a_lock,
    a_plan,
    a_release,
    a_stack,
    failed_deployment,
    largest_deployment,
)

REPOSITORY = Path(__file__).parents[3]
LANGUAGES = ("en-US", "zh-TW")
ROLE = 423456789012345678
HOSTILE = f"<@&{ROLE}> <@&523456789012345678> {NASTY}"
ENVIRONMENT = "e" * 32
MISSING_PERMISSIONS = (
    {MissingPermission.FILES},
    {MissingPermission.EMBEDS},
    {MissingPermission.FILES, MissingPermission.EMBEDS},
)
LINES = f"{HOSTILE}\n" + "x" * 10_240 + f"\n{HOSTILE}\n" + "y" * 10_240
# These take part in drawing a message, and are no message themselves.
HELPERS = {
    "roas.ui.embeds.status._embed": "one environment of draw_status",
    "roas.cogs.buttons.PlanButton.callback": "a link in the place of a plan; the plan is draw_confirmation's",
    "roas.ui.embeds.plan._pinging_asker": "pings the one who asked, in what others drew",
    "roas.ui.embeds.alert._ping_drawing": "what the pings for alerts have in common",
    "roas.ui.drawing.Drawing.without": "a message as it is posted with fewer permissions; each is sent so, too",
    "roas.ui.command_names.drawing_found_as": "names commands in their group, of what others drew",
    "roas.ui.command_names.embeds_found_as": "names commands in their group, of what others drew",
    "roas.ui.command_names._embed": "names commands in their group, in one embed",
    "roas.ui.notifications.ops_channel.OpsChannel._as_sent": "names commands, hides secrets in what is posted",
    "roas.ui.redacted.hidden_drawing": "hides secrets in what others drew",
    "roas.ui.redacted.hidden_embeds": "hides secrets in what others drew",
    "roas.ui.drawing.fit": "makes what others drew fit",
    "roas.ui.drawing._clip_parts": "makes one embed fit",
    "roas.cogs.history.HistoryCog.draw": "reads what draw_history draws",
    "roas.cogs.status.StatusCog._draw": "puts together what draw_status and the chart draw",
    "roas.cogs.status.StatusCog._open_alerts": "reads what draw_open_alerts draws",
    "roas.cogs.status.StatusCog._integration": "reads what draw_integration draws",
}

LARGE_FIGURES = IntegrationFigures(1e6, HOSTILE * 5, 1e6, 1e6, 1e6, HOSTILE * 5, 1.0, HOSTILE * 5, 0.0)
ALL_FIRING = frozenset(limit.name for limit in LIMITS)

Body = dict[str, Any]
Sent = tuple[str, str, Body]


class Wire:
    """Take what the product sends, the way discord.py would put it, in place of sending it."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.client = discord.Client(intents=discord.Intents.none())
        http = cast("Any", self.client.http)
        http.send_message = self._take("POST", "/channels/1/messages")
        http.edit_message = self._take("PATCH", "/channels/1/messages/2")
        self.channel = OpsChannel(self.client, 3, 1)
        follow_up = SimpleNamespace(send=self._respond("POST", "/webhooks/4/token"))
        original = self._respond("PATCH", "/webhooks/4/token/messages/@original")
        self.interaction = cast(
            "Any",
            SimpleNamespace(id=5, edit_original_response=original, followup=follow_up, user=SimpleNamespace(id=6)),
        )

    def _take(self, method: str, path: str) -> Callable[..., Awaitable[None]]:
        async def take(*_ids: int, params: MultipartParameters) -> None:
            self.sent.append((method, path, _body(params)))
            raise TakenError

        return take

    def _respond(self, method: str, path: str) -> Callable[..., Awaitable[None]]:
        async def respond(content: Any = discord.utils.MISSING, *, ephemeral: bool = False, **options: Any) -> None:
            if ephemeral:
                options["flags"] = discord.MessageFlags(ephemeral=True)
            with handle_message_parameters(content, **options) as params:
                self.sent.append((method, path, _body(params)))

        return respond

    async def post(self, drawing: Drawing) -> None:
        """Post to the channel and edit, whole and with fewer permissions; whole, as an answer to a message too."""
        posts = [self.channel.send(drawing, nonce="n" * 25, reply_to=2)]
        for shown in (drawing, *(drawing.without(missing) for missing in MISSING_PERMISSIONS)):
            posts += [self.channel.send(shown, nonce="n" * 25), self.channel.edit(2, shown)]
        for post in posts:
            with pytest.raises(TakenError):
                await post


class TakenError(Exception):
    """The message was taken instead of sent."""


def _body(params: MultipartParameters) -> Body:
    if params.payload is not None:
        return cast("Body", json.loads(json.dumps(params.payload)))
    part = next(item for item in params.multipart or [] if item["name"] == "payload_json")
    return cast("Body", json.loads(part["value"]))


@dataclass(frozen=True)
class Message:
    """Say what draws a message, under which name, and how it gets to people."""

    maker: str
    name: str
    send: Callable[[Wire], Awaitable[None]]
    role: int | None = None
    person: int | None = None


def posted(
    draw: Callable[..., Drawing],
    name: str,
    *args: Any,
    role: int | None = None,
    person: int | None = None,
    **options: Any,
) -> Message:
    """Collect a message to the channel."""

    async def send(wire: Wire) -> None:
        await wire.post(draw(*args, **options))

    return Message(_key(draw), name, send, role, person)


def answered(draw: Callable[..., Any], name: str, *args: Any, **options: Any) -> Message:
    """Collect a private answer to a command or a button."""

    async def send(wire: Wire) -> None:
        drawn = draw(*args, **options)
        if isinstance(drawn, Drawing):
            await answer(wire.interaction, drawing=drawn)
            return
        embeds = fit([drawn]) if isinstance(drawn, discord.Embed) else drawn
        await answer(wire.interaction, embeds=embeds)
        await answer_beside(wire.interaction, embeds=embeds)

    return Message(_key(draw), name, send)


def _key(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def an_alert(number: int = 0, **changes: Any) -> Alert:
    """Make the largest alert that there can be."""
    alert = Alert(
        f"ALERT-01J00000000000000000000{number:03}", HOSTILE, AlertSource.ALERTMANAGER, Severity.CRITICAL,
        HOSTILE * 20, NOON, NOON, summary=HOSTILE * 100, environment=ENVIRONMENT, service=LONG_NAME, count=999_999,
        actions=(HOSTILE * 10,) * 64, healing=RecoveryStatus.UNDER_WAY, acknowledged_by=DORA, silenced_by=DORA,
        silenced_until=NOON + timedelta(hours=1),
    )  # fmt: skip
    return replace(alert, **changes)


def a_large_plan(**changes: Any) -> Plan:
    """Make a plan of 64 services, each with many changed keys."""
    plan = a_plan(64, warnings=(HOSTILE * 10,) * 64)
    services = tuple(
        replace(service, service=f"{LONG_NAME[:-2]}{number:02}", changed_keys=(HOSTILE,) * 30, start_first=True)
        for number, service in enumerate(plan.services)
    )
    names = tuple(service.service for service in services)
    return replace(plan, environment=ENVIRONMENT, version="v" * 128, services=services, order=names, **changes)


def pause_messages(large: Deployment) -> Iterator[Message]:
    """Collect what is posted of a deployment that waits for a person."""
    pause = Pause(1, LONG_NAME, HOSTILE * 50, NOON, report=LINES)
    waiting = replace(large, pauses=(pause,))
    yield posted(draw_live, "paused", waiting)
    yield posted(draw_pause, "waiting", waiting, pause)
    yield posted(draw_pause, "cancelled", replace(waiting, cancel_requested_by=DORA), pause)
    yield posted(draw_pause, "over", replace(waiting, problem=Problem("x", HOSTILE)), pause)
    for choice in Choice:
        decided = replace(pause, decision=Decision(1, choice, DORA))
        yield posted(draw_pause, f"{choice}", replace(large, pauses=(decided,)), decided)
    canary = replace(pause, canary=True)
    asking = replace(large, pauses=(canary,), services=tuple(map(in_canary, large.services)))
    yield posted(draw_live, "canary", asking)
    yield posted(draw_pause, "canary", asking, canary)
    bakes = replace(pause, canary=True, bake=True)
    asking = replace(large, pauses=(bakes,), services=tuple(map(in_bake, large.services)))
    yield posted(draw_live, "bake", asking)
    yield posted(draw_pause, "bake", asking, bakes)
    decided = replace(bakes, decision=Decision(1, Choice.GO_ON, DORA))
    yield posted(draw_pause, "bake, kept", replace(large, pauses=(decided,)), decided)


def in_canary(progress: ServiceProgress) -> ServiceProgress:
    """Let the canary of a service be judged."""
    total = Period(Counts(9_999_999, 9_999_999), Counts(9_999_999, 9_999_999))
    record = RolloutRecord(canary=CanaryRecord(8, 9, share=99, periods=(total,) * 8))
    return replace(progress, step=ServiceStep.PAUSED, rollout=record)


def in_bake(progress: ServiceProgress) -> ServiceProgress:
    """Let a service bake."""
    record = RolloutRecord(canary=CanaryRecord(9, 9, before=Counts(9_999_999, 9_999_999), bakes_until=NOON))
    return replace(progress, step=ServiceStep.HEALTHY, rollout=record)


def thread_messages(large: Deployment) -> Iterator[Message]:
    """Collect what is posted in the thread of a deployment."""
    problem = Problem("x", HOSTILE * 50, HOSTILE * 50, service=LONG_NAME, report=LINES)
    phases = [
        PhaseResult(name, status, summary=HOSTILE * 20, warnings=(HOSTILE * 20,) * 64, problem=problem)
        for name, status in zip(PhaseName, itertools.cycle(PhaseStatus), strict=False)
    ]
    yield posted(draw_phases, "all at once", large, phases, len(phases))
    yield posted(draw_phases, "one", large, phases[:1], 1)


def proposal_messages() -> Iterator[Message]:
    """Draw a proposal in each of its states."""
    for candidate_state in CandidateState:
        candidate = Candidate(
            "CAND-1", "shop", "prod", "v2", NOON, proposal="PROP-1", state=candidate_state, note=HOSTILE, plan=a_plan()
        )
        commits = tuple(Commit("a" * 40, HOSTILE, HOSTILE) for _ in range(30))
        origin = Origin(HOSTILE, "a" * 40, HOSTILE, "https://x/" + "y" * 480, commits=commits)
        largest = replace(candidate, origin=origin, plan=a_large_plan(), reason=HOSTILE * 20, services=(HOSTILE,) * 50)
        yield posted(draw_proposal, f"{candidate_state}", candidate)
        yield posted(draw_proposal, f"largest, {candidate_state}", largest, [candidate] * 20, failed_deployment())


def freeze_messages() -> Iterator[Message]:
    """Collect what is posted where somebody locks or unlocks an environment at a terminal."""
    facts = {"by": HOSTILE * 10, "id": "0", "kind": "system", "reason": HOSTILE * 50, "until": NOON.isoformat()}
    for new in ("frozen", "unlocked"):
        change = StateChange(ChangeType.AUDIT, "freezes", ENVIRONMENT, ENVIRONMENT, new=new, metadata=facts)
        yield posted(draw_freeze, new, change)


def channel_messages() -> Iterator[Message]:
    """Collect what is posted for everybody."""
    yield posted(draw_journal_loss, "nothing else", JournalLoss("", ""))
    yield posted(draw_journal_loss, "large", JournalLoss(HOSTILE * 50, HOSTILE * 50, LONG_NAME, (LONG_NAME,) * 32))
    large = largest_deployment()
    for kind in DeploymentKind:
        yield posted(draw_live, f"of a {kind}", a_deployment(kind), usual_seconds=7300.0)
    for status in PhaseStatus:
        yield posted(draw_live, f"{status}", a_deployment(statuses=dict.fromkeys(PhaseName, status)))
        failed = Problem("x", HOSTILE * 50, HOSTILE * 50, LONG_NAME, LINES)
        phases = tuple(replace(phase, status=status, problem=failed, started_at=NOON) for phase in large.phases)
        yield posted(draw_live, f"largest, {status}", replace(large, phases=phases), usual_seconds=7300.0)
    for step in ServiceStep:
        services = tuple(replace(service, step=step, detail=HOSTILE * 4) for service in large.services)
        yield posted(draw_live, f"services {step}", replace(large, services=services))
    for outcome in Outcome:
        ended = largest_deployment(outcome)
        yield posted(draw_live, f"ended {outcome}", ended)
        yield posted(draw_outcome, f"{outcome}", a_deployment(outcome=outcome))
        reported = replace(ended, problem=Problem("x", HOSTILE * 50, HOSTILE * 50, LONG_NAME, LINES))
        yield posted(draw_outcome, f"largest, {outcome}", reported)
        yield posted(
            draw_outcome, f"approved, {outcome}", replace(ended, request=replace(ended.request, approved_by=DORA))
        )
    yield posted(draw_outcome, "failed", failed_deployment())
    yield from freeze_messages()
    yield from pause_messages(large)
    yield from thread_messages(large)
    for state in PlanState:
        plan_record = a_plan_record(state, large=True)
        calls = ROLE if state is PlanState.DRAFTED else None
        large_one = replace(plan_record, plan=a_large_plan(), note=HOSTILE * 20)
        asker = int(DORA.id) if plan_record.asks_again else None
        calls_one = {"role": calls, "person": asker}
        yield posted(draw_approval, f"{state}, calls no role", a_plan_record(state), person=asker)
        yield posted(draw_approval, f"{state}", a_plan_record(state), (ROLE,), **calls_one)
        yield posted(draw_approval, f"largest, {state}", large_one, (ROLE,), **calls_one, last_seconds=7300.0)
        yield posted(draw_missed, f"{state}", large_one, person=int(DORA.id))
    yield from proposal_messages()
    for alert_state in AlertState:
        for severity in Severity:
            alert = an_alert(state=alert_state, severity=severity, resolved_at=NOON)
            calls = ROLE if alert.is_urgent and alert_state is not AlertState.SILENCED else None
            yield posted(draw_alert, f"{severity}, {alert_state}", alert, ROLE, role=calls)
        storm = [an_alert(number, state=alert_state) for number in range(64)]
        calls = ROLE if alert_state is not AlertState.SILENCED else None
        yield posted(draw_group, f"{alert_state}", "STORM-1", storm, ROLE, role=calls)
        quiet = [replace(item, severity=Severity.INFO) for item in storm]
        yield posted(draw_group, f"quiet, {alert_state}", "STORM-1", quiet, ROLE)
    for healing in RecoveryStatus:
        yield posted(draw_alert, f"healing {healing}", an_alert(healing=healing))
    yield posted(draw_group, "of one", "STORM-1", [an_alert()])
    yield posted(draw_escalation, "calls", an_alert(), ROLE, role=ROLE)
    yield posted(draw_ping, "calls", an_alert(), ROLE, role=ROLE)
    yield posted(draw_ping, "calls nobody", an_alert())
    for for_help in (True, False):
        many = [an_alert(number) for number in range(64)]
        yield posted(draw_shared_ping, f"for help: {for_help}", "STORM-1", many, ROLE, role=ROLE, for_help=for_help)
        yield posted(draw_shared_ping, f"of one, for help: {for_help}", "STORM-1", [an_alert()], for_help=for_help)
    yield posted(draw_escalation, "calls nobody", an_alert(actions=(), environment=""))


def private_answers() -> Iterator[Message]:
    """Collect what is said to one person."""
    for state in PlanState:
        plan_record = replace(a_plan_record(state, large=True), plan=a_large_plan())
        yield answered(draw_confirmation, f"{state}", plan_record, last_seconds=7300.0)
    for large_plan in (a_large_plan(), a_large_plan(warnings=(HOSTILE * 10,) * 64)):
        yield answered(draw_plan, "largest", large_plan, dry_run=True, last_seconds=7300.0)
        yield answered(draw_plan_message, "largest", large_plan, one_line(HOSTILE, 300), last_seconds=7300.0)
    yield answered(draw_plan, "nothing changes", a_plan(1))
    large = largest_deployment()
    stack = a_stack(*((f"{LONG_NAME[:-2]}{n:02}", Verdict.UNHEALTHY, HOSTILE * 10) for n in range(64)))
    freeze = Freeze(ENVIRONMENT, DORA, HOSTILE * 10, NOON)
    status = EnvironmentStatus(ENVIRONMENT, stack, a_release(), large, a_lock(large), freeze=freeze)
    trouble = {ENVIRONMENT: HOSTILE * 100}
    held = replace(status, active=None, lock=replace(a_lock(large), purpose=HOSTILE * 10))
    alerts = [an_alert(number) for number in range(64)]
    yield answered(draw_status, "largest", [status], trouble=trouble)
    yield answered(draw_status, "held", [held], trouble=trouble)
    yield answered(draw_status, "of ten", [status] * 10, trouble=trouble)
    yield answered(draw_status, "of nothing", [EnvironmentStatus("dev"), EnvironmentStatus("prod", fault=HOSTILE * 99)])
    yield answered(draw_open_alerts, "64", alerts)
    beside = [cast("discord.Embed", draw_open_alerts(alerts)), draw_integration(LARGE_FIGURES, ALL_FIRING)]
    yield answered(draw_status, "of nine beside others", [status] * 9, beside, trouble)
    yield answered(draw_status, "held beside others", [held], beside, trouble)
    yield answered(draw_integration, "all firing", LARGE_FIGURES, ALL_FIRING)
    yield answered(draw_integration, "nothing measured", IntegrationFigures(), frozenset())
    for outcome in (None, *Outcome):
        page = HistoryPage(ENVIRONMENT, outcome, 999_999)
        yield answered(draw_history, f"{outcome}", [largest_deployment(outcome)] * 64, page, has_more=True)
    yield answered(draw_history, "empty", [])
    yield answered(draw_history, "nothing older", [], HistoryPage(number=2))
    for faulty in sorted(_faults(RoasError), key=lambda one: one.__name__):
        fault = faulty(HOSTILE * 100, hint=HOSTILE * 100, report=LINES)
        yield answered(draw_error, faulty.__name__, fault)
    yield answered(draw_error, "of a lock", LockHeldError(a_lock(large)))
    yield answered(draw_error, "of a freeze", FrozenError.of(freeze))
    yield answered(draw_unexpected, "unexpected", "ERR-01J0000000000000000000000A")
    target = cast("Any", SimpleNamespace(name=ENVIRONMENT))
    yield answered(draw_logs, "long", target, LONG_NAME * 2, LINES * 50)
    yield answered(draw_logs, "hostile", target, HOSTILE, LINES)
    yield answered(draw_logs, "nothing", target, HOSTILE, "")
    yield Message(_key(AlertsCog._logs), "of an alert", _logs_of_an_alert)


def _faults(kind: type[RoasError]) -> Iterator[type[RoasError]]:
    """Return every fault of the product that is made of words alone."""
    for item in kind.__subclasses__():
        if item.__module__.startswith("roas.") and item.__init__ is RoasError.__init__:
            yield item
        yield from _faults(item)


async def _logs_of_an_alert(wire: Wire) -> None:
    alert = an_alert(service=LONG_NAME)
    container = SimpleNamespace(service=LONG_NAME, id="c", name="c")

    async def containers() -> list[Any]:
        return [container]

    async def log(_alert: Alert, _container: object) -> str:
        return LINES

    application = SimpleNamespace(
        stacks=SimpleNamespace(of=lambda _environment: SimpleNamespace(containers=containers)),
        redactor=SimpleNamespace(redact=str),
    )
    cog = SimpleNamespace(application=application, environment=lambda name: name, _log=log)
    await AlertsCog._logs(cast("Any", cog), wire.interaction, alert)


# The longest that the cogs put into a sentence of their own; whatever is not named here is cut to one line.
LONGEST = {
    "count": lambda: 999_999,
    "environment": lambda: ENVIRONMENT,
    "id": lambda: "DEPLOY-01J0000000000000000000000A",
    "link": lambda: "https://discord.com/channels/" + "/".join(["1" * 20] * 3),
    "person": lambda: person(DORA),
    "reason": lambda: one_line(HOSTILE * 10, 500),
    "service": lambda: code(HOSTILE * 10),
    "when": lambda: since(NOON),
}


def sentences() -> list[str]:
    """Return each text that the cogs answer with themselves."""
    found = set()
    for path in sorted((REPOSITORY / "cogs").glob("*.py")):
        for node in all_nodes(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}: no text to collect"
                found.add(str(node.args[0].value))
    return sorted(found)


def drawing_functions() -> set[str]:
    """Find, in the sources, each function that returns or makes a message or an embed."""
    found = set()
    for folder, package in (("bot", "roas"), ("cogs", "roas.cogs")):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if not re.search("Drawing|Embed", path.read_text(encoding="utf-8")):
                continue
            module = ".".join([package, *path.relative_to(REPOSITORY / folder).with_suffix("").parts])
            found |= set(_drawing_in(tree_of(path), module))
    return found


def _drawing_in(node: ast.AST, name: str) -> Iterator[str]:
    for child in children(node):
        if isinstance(child, ast.ClassDef):
            yield from _drawing_in(child, f"{name}.{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and _draws(child):
            yield f"{name}.{child.name}"


def _draws(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if function.returns is not None and re.search(r"\b(Drawing|Embed)\b", ast.unparse(function.returns)):
        return True
    return any(isinstance(node, ast.Call) and _makes_message(node.func) for node in all_nodes(function))


def _makes_message(called: ast.expr) -> bool:
    match called:
        case ast.Name(id="Drawing" | "Embed") | ast.Attribute(value=ast.Name(id="discord"), attr="Embed"):
            return True
    return False


EVERYTHING = (*channel_messages(), *private_answers())
NAMES = [f"{message.maker.rpartition('.')[2]}: {message.name}" for message in EVERYTHING]


def openapi() -> OpenApi | None:
    """Return Discord's description, where there is one."""
    path = os.environ.get("DISCORD_OPENAPI")
    return OpenApi(Path(path)) if path else None


async def assert_taken(sent: Sequence[Sent], role: int | None, person: int | None = None) -> None:
    """Assert that Discord would take these bodies, and whom they call."""
    assert sent
    checks = Checks(openapi())
    for method, path, body in sent:
        await checks.check(method, path, body)
        if method == "POST" and "channels" not in path:
            await checks.check("POST", "/channels/1/messages", body)
        assert_lengths(body)
        expected = {f"<@&{role}>"} if role is not None else set()
        expected |= {f"<@{person}>"} if person is not None else set()
        assert called(body) == (expected if method == "POST" else set())
        assert body["allowed_mentions"].get("replied_user", False) is False
        for text in texts(body):
            assert not re.search(r"@(everyone|here)", text)
            assert not masked_links(text)


def called(body: Body) -> set[str]:
    """Say who is called: what the content mentions, as far as allowed_mentions lets it. Embeds call nobody."""
    content = body.get("content") or ""
    allowed = body.get("allowed_mentions")
    found = set()
    for mention, sign, number in re.findall(r"(<@(&|!?)(\d+)>)", content):
        kind = "roles" if sign == "&" else "users"
        if allowed is None or kind in allowed.get("parse", []) or number in map(str, allowed.get(kind) or []):
            found.add(mention)
    if allowed is None or "everyone" in allowed.get("parse", []):
        found |= {f"@{name}" for name in re.findall(r"@(everyone|here)", content)}
    return found


def texts(body: Body) -> Iterator[str]:
    """Return every text that is shown, but the files'."""
    yield body.get("content") or ""
    for embed in body.get("embeds") or []:
        yield from (
            embed.get("title") or "",
            embed.get("description") or "",
            (embed.get("footer") or {}).get("text", ""),
        )
        for field in embed.get("fields") or []:
            yield from (field["name"], field["value"])


def masked_links(text: str) -> list[str]:
    """Find links that show something else than where they lead; within code, or escaped, there is none."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    outside = re.sub(r"\\.", "", outside)
    outside = re.sub(r"`[^`\n]*`", "", outside)
    return re.findall(r"\[[^\]\n]+\]\(\S+\)", outside)


def assert_lengths(body: Body) -> None:
    """Assert what Discord's own description would say, for where it is not at hand."""
    assert len(body.get("content") or "") <= 2000
    embeds = body.get("embeds") or []
    assert len(embeds) <= 10
    for embed in embeds:
        assert len(embed.get("title") or "") <= 256
        assert len(embed.get("description") or "") <= 4096
        assert len((embed.get("footer") or {}).get("text", "")) <= 2048
        assert len(embed.get("fields") or []) <= 25
        for field in embed.get("fields") or []:
            assert len(field["name"]) <= 256
            assert len(field["value"]) <= 1024
    rows = body.get("components") or []
    assert len(rows) <= 5
    for row in rows:
        assert len(row["components"]) <= 5
        for button in row["components"]:
            assert len(button["custom_id"]) <= 100
            assert len(button["label"]) <= 80


def test_each_drawing_function_collected() -> None:
    collected = {message.maker for message in EVERYTHING}
    found = drawing_functions()
    assert found - collected - set(HELPERS) == set(), "these draw messages that nobody checks: collect them here"
    assert (collected | set(HELPERS)) - found == set(), "these are gone"


# In the ordinary lane, every other message in each language.
@pytest.mark.parametrize(
    ("message", "language"),
    [
        pytest.param(message, language, id=f"{name}-{language}", marks=() if (m + n) % 2 else pytest.mark.long)
        for m, (name, message) in enumerate(zip(NAMES, EVERYTHING, strict=True))
        for n, language in enumerate(LANGUAGES)
    ],
)
async def test_each_message_valid_and_pings_intended(message: Message, language: str) -> None:
    wire = Wire()
    with using_locale(language):
        await message.send(wire)
    await assert_taken(wire.sent, message.role, message.person)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_sentence_valid_and_pings_nobody(language: str) -> None:
    for text in sentences():
        wire = Wire()
        with using_locale(language):
            names = re.findall(r"\{(\w+)\}", text)
            filled = {name: LONGEST.get(name, lambda: one_line(HOSTILE * 10, 300))() for name in names}
            said = translated(text, **filled)
            await answer(wire.interaction, said)
            await answer_beside(wire.interaction, said)
        await assert_taken(wire.sent, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": "<@&1> <@2> @everyone"}, {"<@&1>", "<@2>", "@everyone"}),
        ({"content": "<@&1> <@2> @here", "allowed_mentions": {"parse": []}}, set()),
        ({"content": "<@&1> <@&2>", "allowed_mentions": {"parse": [], "roles": ["1"]}}, {"<@&1>"}),
        ({"embeds": [{"description": "<@&1> @everyone"}]}, set()),
    ],
)
def test_pings_parsed_as_discord_does(body: Body, expected: set[str]) -> None:
    assert called(body) == expected


def test_masked_link_found_outside_code() -> None:
    assert masked_links("see [here](https://evil.example)")
    assert not masked_links("`[a](https://x)` and \\[a](https://x) and ```\n[a](https://x)\n```")
