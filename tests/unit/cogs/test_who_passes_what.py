"""Who passes a window, a freeze, a hold, what is required and what is verified: every case, against an oracle.

The judgement is asked for each case. For a part of them, all that decides is asked as the bot is put together: settings
are read, the journal is real, and each gate is shut by what shuts it in life.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from roas.candidates.coordinator import CandidateCoordinator
from roas.cogs.channel_plans import ChannelPlans
from roas.cogs.permissions import ACTIONS, Asker, Rules, permit, refusal
from roas.configuration.environments import environments
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.planning.promotion import Run, Trouble, has_soaked
from roas.deploy.schedule import Schedule
from roas.errors import ImageNotVerifiedError, NotPermittedError, RequirementError, RoasError
from roas.events import EventBus
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.candidate import CandidateState, Hold, SourceMode
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Freeze, Outcome
from roas.models.environment import Environment
from roas.models.gate import Gate, Passage, judge_request
from roas.models.plan import PlanState
from roas.models.state_change import ChangeType
from roas.models.windows import Windows, read_window
from roas.redaction import Redactor
from roas.stack.interface import NO_FILES
from roas.state.manager import StateManager
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import components_over, service

ROLES = {"deployer": 11, "approver": 12, "hotfix": 13}
# The role that somebody needs; sources and the automatic rollback have none.
NEEDED = {"deploy": "deployer", "scheduled": "deployer", "hotfix": "hotfix", "rollback": "deployer"}
RULES = Rules(1, 2, frozenset({11}), frozenset({12}), frozenset({13}))
PROD = Environment("prod", "shop", Path("/srv"), ())
KINDS = ("deploy", "auto", "scheduled", "hotfix", "rollback", "recovery")
# Hours around both changes of the clock, of two zones.
NIGHTS = {
    "Europe/Berlin": (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)),
}
LOCAL_HOURS_OPEN = {0, 1, 22, 23}
HOUR = timedelta(hours=1)
# What is required: the soak, how long it has been healthy there (None: it never was), whether an alert is open there,
# and whether that is too little by the manual.
REQUIRED = [
    None,
    *((soak, None, False, True) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR / 2, False, soak == HOUR) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR * 2, False, False) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR * 2, True, True) for soak in (0 * HOUR, HOUR)),
]


def is_unmet(required, moment):
    """Ask the product whether what is required is not met."""
    if required is None:
        return False
    soak, healthy, alerting, _too_little = required
    runs = [] if healthy is None else [Run(1, moment - healthy)]
    trouble = Trouble(moment - timedelta(minutes=1), None, "web is down")
    return not has_soaked(runs, [trouble] if alerting else [], soak, moment)


def request(kind: str, reason: str) -> DeploymentRequest:
    known = {"hotfix": DeploymentKind.HOTFIX, "rollback": DeploymentKind.ROLLBACK, "recovery": DeploymentKind.ROLLBACK}
    actor = Actor(ActorKind.SOURCE, "ci", "ci") if kind == "auto" else Actor(ActorKind.DISCORD, "7", "dora")
    if kind == "recovery":
        actor = Actor(ActorKind.SYSTEM, RECOVERY, "automatic recovery")
    at = datetime(2026, 1, 1, tzinfo=UTC) if kind == "scheduled" else None
    return DeploymentRequest("prod", known.get(kind, DeploymentKind.DEPLOY), actor, "v2", reason=reason, starts_at=at)


def oracle(kind: str, *, closed: bool, freeze: bool, hold: bool, requires: bool, verify: bool, reason: bool) -> str:
    """Say it as the manual says it, kind by kind."""
    if kind == "recovery":
        return "passes"
    if kind == "rollback":
        return "refused" if freeze and not reason else "passes"
    if verify:
        return "refused"
    if kind == "hotfix":
        return "refused" if (closed or freeze) and not reason else "passes"
    if kind == "scheduled":
        return "asks again" if closed or freeze or hold or requires else "passes"
    if kind == "auto":
        if hold:
            return "refused"
        return "waits" if closed or freeze or requires else "passes"
    if freeze or requires:
        return "refused"
    return "waits" if closed else "passes"


SAID = {
    Passage.PASSES: "passes",
    Passage.TOLD: "passes",
    Passage.WAITS: "waits",
    Passage.ASKS_AGAIN: "asks again",
    Passage.REFUSED: "refused",
}


def judged(wanted: DeploymentRequest, role: str | None, shut: set[Gate]) -> str:
    """Ask the product, as a command does: who asks comes before what they ask for."""
    if role is not None:
        asker = Asker(7, "dora", 1, 2, frozenset({ROLES[role]} if role else ()))
        if refusal(ACTIONS[wanted.kind], PROD, asker, RULES) is not None:
            return "not permitted"
    return SAID[judge_request(wanted, shut).passage]


@pytest.mark.parametrize("zone", NIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_matrix_against_the_oracle(kind: str, zone: str) -> None:
    """Each hour of two nights with another clock, every set of gates, each role, with and without a reason."""
    windows = Windows((read_window("0 22 * * * for 4h"),), zone)
    roles = ["", *ROLES] if kind in NEEDED else [None]
    wrong, cases = [], 0
    for night, hours in product(NIGHTS[zone], range(8)):
        moment = night + timedelta(hours=hours, minutes=30)
        # What began at 22:00 is open for four hours by the real clock: an hour that comes twice is open once.
        local = moment.astimezone(ZoneInfo(zone))
        is_open, unmet = windows.is_open(moment), [is_unmet(required, moment) for required in REQUIRED]
        closed = local.hour not in LOCAL_HOURS_OPEN or bool(local.fold)
        flags = [(False, True)] * 4
        for position, role, freeze, hold, verify, reason in product(range(len(REQUIRED)), roles, *flags):
            requires = bool(REQUIRED[position]) and REQUIRED[position][-1]
            shut = {
                gate
                for gate, is_shut in zip(Gate, (not is_open, freeze, hold, unmet[position], verify), strict=True)
                if is_shut
            }
            found = judged(request(kind, "it burns" if reason else ""), role, shut)
            should = oracle(
                kind, closed=closed, freeze=freeze, hold=hold, requires=requires, verify=verify, reason=reason
            )
            if role is not None and role != NEEDED[kind]:
                should = "not permitted"
            cases += 1
            if found != should:
                wrong.append((moment, role, sorted(shut), reason, found, should))
    assert cases == 2304 * len(roles)
    assert wrong == []


class Engines(FakeEngine):
    """Be an engine for each environment; nobody has signed anything."""

    def __init__(self) -> None:
        super().__init__({"web": service("web")})
        self.engines: dict[str, Any] = {}

    def of(self, environment: Environment) -> Any:
        engine = self.engines.setdefault(environment.name, FakeEngine(self.stack, models=self.models))
        engine.files_of = no_files
        return engine.of(environment)

    async def verify_images(self, environment: Environment, images: Mapping[str, Any]) -> None:
        if environment.signatures is not None and images:
            raise ImageNotVerifiedError(f"{', '.join(images)} is not signed")


async def no_files(_release: Any) -> Any:
    return NO_FILES


class Whole:
    """Ask all that decides about deployments to `prod`, put together as in a bot."""

    def __init__(self, state: StateManager, bus: EventBus, folder: Path, clock: Any) -> None:
        self.state, self.bus, self.folder, self.clock = state, bus, folder, clock
        self.known: dict[str, Environment] = {}
        self.configure()
        self.orchestrator = DeploymentOrchestrator(components_over(state, bus, Engines()), self.known)
        self.candidates = CandidateCoordinator(state, self.orchestrator, bus, self.known)
        self.schedule = Schedule(state, self.orchestrator, bus, self.known, has_approvers=True)
        self.redactor, self.environments = Redactor([]), self.known
        self.approvals = ChannelPlans(self, RULES, Posts())  # type: ignore[arg-type]

    def configure(self, **prod: Any) -> None:
        """Read settings; `prod` needs no second person, whom other tests ask."""
        own = EnvironmentSettings.model_validate({"needs_approval": False, "observation_seconds": 0.0} | prod)
        both = {"prod": own, "staging": EnvironmentSettings(observation_seconds=0.0)}
        folders = {"state_dir": self.folder, "stack_dir": self.folder}
        settings = Settings(_env_file=None, **folders, compose_project_name="shop", environments=both)  # type: ignore[call-arg]
        self.known.update(environments(settings))

    async def shut(self, gates: set[Gate], zone: str, requires: str) -> None:
        """Shut gates as settings, people and deployments do."""
        own: dict[str, Any] = {"windows": {"open": ["0 22 * * * for 4h"], "zone": zone}}
        if requires:
            own |= {"requires": "staging", "soak": "1h"}
        if Gate.VERIFY in gates:
            (self.folder / "key.pub").write_text("a key")
            own |= {"verify": {"key_files": [str(self.folder / "key.pub")]}}
        self.configure(**own)
        now = datetime.now(UTC)
        if Gate.FREEZE in gates and await self.state.freezes.get("prod") is None:
            await self.state.freezes.put(Freeze("prod", DORA, "the fair", now))
        if Gate.HOLD in gates:
            await self.state.holds.put(Hold("prod", "v2", now, "DEPLOY-1", "it was bad"))

    async def has_run(self, environment: str, version: str) -> None:
        wanted = DeploymentRequest(environment, DeploymentKind.HOTFIX, DORA, version, reason="as it was")
        assert (await self.orchestrator.run(wanted)).outcome is Outcome.SUCCEEDED

    async def ask(self, kind: str, role: str | None, reason: str, shut: Any) -> tuple[str, Deployment | None]:
        """Ask as a member, a source or the recovery does; `shut` shuts the gates before what begins."""
        wanted = request(kind, reason)
        if kind != "scheduled":
            await shut()
        if role is not None:
            permit(refusal(ACTIONS[wanted.kind], self.known["prod"], asker_with(role), RULES))
        if kind == "auto":
            return await self.offered(wanted)
        if kind == "recovery":
            return self.ended(await self.orchestrator.run(replace(wanted, target_release=1)))
        if kind == "hotfix":
            await self.approvals.require_idle(wanted)
            plan = await self.orchestrator.plan(wanted)
            return self.ended(await self.orchestrator.run(plan.bind(wanted)))
        if kind == "scheduled":
            return await self.scheduled(wanted, shut)
        shown = await self.approvals.create_plan(wanted)
        confirmed, _answer = await self.approvals.confirm(shown.id, asker_with(NEEDED[kind]), DORA)
        if confirmed.deployment_id is None:
            assert confirmed.state is PlanState.SCHEDULED
            assert self.known["prod"].windows.is_open(confirmed.request.starts_at)
            return "waits", None
        return self.ended(await self.orchestrator.wait(confirmed.deployment_id))

    async def offered(self, wanted: DeploymentRequest) -> tuple[str, Deployment | None]:
        offer = await self.candidates.offer("ci", "prod", wanted.version or "", mode=SourceMode.AUTO)
        changed = asyncio.Event()
        unsubscribe = self.state.subscribe(lambda _change: changed.set())
        async with asyncio.timeout(8):
            while (found := await self.state.candidates.get(offer.id)).state in UNDECIDED:
                await changed.wait()
                changed.clear()
        unsubscribe()
        if found.state is CandidateState.STARTED:
            return self.ended(await self.orchestrator.wait(found.deployment_id))
        return {CandidateState.WAITING: "waits"}.get(found.state, "refused"), None

    async def scheduled(self, wanted: DeploymentRequest, shut: Any) -> tuple[str, Deployment | None]:
        """Confirm for later, and let the time come; a freeze lets it wait, and whoever lifts that is asked."""
        moment, before = datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=10)
        self.clock.move_to(before)
        shown = await self.approvals.create_plan(replace(wanted, starts_at=moment))
        confirmed, _answer = await self.approvals.confirm(shown.id, asker_with("deployer"), DORA)
        assert confirmed.state is PlanState.SCHEDULED
        self.clock.move_to(moment)
        await shut()
        await self.schedule.begin_due()
        if (await self.state.approvals.get(shown.id)).state is PlanState.SCHEDULED:
            assert await self.state.deployments.list("prod", limit=1) == ()
            await self.state.freezes.lift("prod", DORA)
            await self.schedule.begin_due()
        found = await self.state.approvals.get(shown.id)
        if found.deployment_id is not None:
            return self.ended(await self.orchestrator.wait(found.deployment_id))
        assert found.state is PlanState.VOID
        return ("asks again" if found.asked_again_as else "refused"), None

    @staticmethod
    def ended(deployment: Deployment) -> tuple[str, Deployment | None]:
        return ("passes" if deployment.outcome is Outcome.SUCCEEDED else "refused"), deployment


class Posts:
    """Be where messages are followed."""

    def follow(self, *_of: str) -> Any:
        return SimpleNamespace(notify=lambda **_how: None)

    async def link(self, *_of: str, **_within: float) -> str:
        return ""

    known_link = link


def asker_with(role: str) -> Asker:
    return Asker(7, "dora", 1, 2, frozenset({ROLES[role]} if role else ()))


@asynccontextmanager
async def whole_bot(folder: Path, moment: datetime) -> AsyncIterator[Whole]:
    bus = EventBus()
    with time_machine.travel(moment - 4 * HOUR, tick=True) as clock:
        async with StateManager(folder) as state:
            whole = Whole(state, bus, folder, clock)
            await whole.candidates.start()
            yield whole
            await whole.candidates.stop()
            await whole.orchestrator.close()
            await bus.close()


DORA = Actor(ActorKind.DISCORD, "7", "dora")
UNDECIDED = {CandidateState.NEW, CandidateState.STARTING}
# What is too little of what is required, by turns; and what is enough.
TOO_LITTLE = ("never there", "not for so long", "an alert is open")
BACK = {"rollback", "recovery"}


async def prepare(whole: Whole, kind: str, moment: datetime, *, requires: str) -> None:
    """Let there be something to go back to, and let staging have had what is asked for, or not."""
    if kind in BACK:
        for version in ("v0", "v1"):
            await whole.has_run("prod", version)
    whole.clock.move_to(moment - (HOUR / 2 if requires == "not for so long" else 2 * HOUR))
    if requires:
        await whole.has_run("staging", "v1" if requires == "never there" else "v2")
    if requires == "an alert is open":
        report = AlertReport("web", AlertSource.HEALTH, Severity.HIGH, "web is down", environment="staging")
        await whole.state.alerts.take([report])
    whole.clock.move_to(moment)


def sets_of_gates(*, few: bool) -> list[set[Gate]]:
    """Return none, each alone and each with the window, or all other sets."""
    sets = [set(found) for size in range(6) for found in combinations(Gate, size)]
    return [shut for shut in sets if (len(shut - {Gate.WINDOW}) < 2) is few]


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_gate_is_shut_by_what_shuts_it(kind: str, few: bool, tmp_path: Path) -> None:
    """In turns in two zones, at both changes of the clock; whoever lacks the role has begun nothing before."""
    moments = {is_open: moments_where(is_open=is_open) for is_open in (False, True)}
    wrong, role = [], NEEDED.get(kind)
    for number, shut in enumerate(sets_of_gates(few=few)):
        found_moments = moments[Gate.WINDOW not in shut]
        zone, moment = found_moments[number % len(found_moments)]
        requires = "" if kind in BACK else "enough"
        requires = TOO_LITTLE[number % 3] if Gate.REQUIRES in shut else requires
        # A reason makes a difference only there; without one there is no hotfix.
        reasons = ("", "it burns") if kind == "rollback" and Gate.FREEZE in shut else ("it burns",)
        async with whole_bot(tmp_path / str(number), moment) as whole:
            await prepare(whole, kind, moment, requires=requires)
            if role is not None:
                other = next(name for name in ("approver", "", "hotfix", "deployer") if name != role)
                with pytest.raises(NotPermittedError):
                    await whole.ask(kind, other, "it burns", partial(whole.shut, set(), zone, requires))
            for reason in reasons:
                try:
                    found, deployment = await whole.ask(kind, role, reason, partial(whole.shut, shut, zone, requires))
                except RoasError:
                    found, deployment = "refused", None
                flags = {gate.value: gate in shut for gate in Gate if gate is not Gate.WINDOW}
                should = oracle(kind, reason=bool(reason), closed=Gate.WINDOW in shut, **flags)
                if found != should:
                    wrong.append((zone, moment, sorted(shut), requires, reason, found, should))
                elif deployment is not None:
                    await tells_what_it_passed(whole, kind, shut, deployment)
    assert wrong == []


async def test_draft_for_a_later_time_is_judged_by_that(tmp_path: Path) -> None:
    """A second person approves it: it is drafted now, and what is required has to be met when it begins."""
    moment = datetime(2026, 6, 1, 12, tzinfo=UTC)
    async with whole_bot(tmp_path, moment) as whole:
        await prepare(whole, "deploy", moment, requires="not for so long")
        whole.configure(needs_approval=True, requires="staging", soak="1h")
        wanted = request("deploy", "")
        for starts_at, drafts in ((moment + HOUR / 4, False), (moment + HOUR, True)):
            shown = await whole.approvals.create_plan(replace(wanted, starts_at=starts_at))
            assert bool(shown.plan.missing) != drafts
            if drafts:
                confirmed, _answer = await whole.approvals.confirm(shown.id, asker_with("deployer"), DORA)
                assert (await whole.orchestrator.wait(confirmed.deployment_id)).awaits_approval
            else:
                with pytest.raises(RequirementError, match="r1 is so since"):
                    await whole.approvals.confirm(shown.id, asker_with("deployer"), DORA)


async def tells_what_it_passed(whole: Whole, kind: str, shut: set[Gate], deployment: Deployment) -> None:
    """A hold is lifted by who deploys what is held; what is not met is told, and a reason is in the audit."""
    await whole.bus.drain()
    held = [hold.version for hold in await whole.state.holds.of("prod") if hold.reason == "it was bad"]
    lifts = kind in {"deploy", "hotfix"}
    assert held == (["v2"] if Gate.HOLD in shut and not lifts else [])
    if kind == "hotfix":
        told = "takes only what"
        assert any(told in text for text in deployment.warnings) == (Gate.REQUIRES in shut)
        audits = [change.metadata for change in await whole.state.changes("prod") if change.type is ChangeType.AUDIT]
        assert "it burns" in {audit.get("reason") for audit in audits}


def moments_where(*, is_open: bool) -> list[tuple[str, datetime]]:
    """Return hours of the nights in which the clocks change, by turns of the zones."""
    found = []
    for hours, zone in product(range(8), NIGHTS):
        windows = Windows((read_window("0 22 * * * for 4h"),), zone)
        moments = [night + timedelta(hours=hours, minutes=30) for night in NIGHTS[zone]]
        found += [(zone, moment) for moment in moments if windows.is_open(moment) is is_open]
    return found
