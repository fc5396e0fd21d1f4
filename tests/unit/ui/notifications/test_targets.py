"""Who is told what outside of Discord: by environment, by severity, and where nobody acknowledges in time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from roas.alerts.alert_service import AlertService
from roas.apprise_target import TargetError, Tone
from roas.configuration.settings import GivenSettings
from roas.configuration.tables import NotifySettings
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Outcome, Problem, ServiceProgress, ServiceStep
from roas.redaction import Redactor, credentials_in
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.notifications.targets import TargetNotifier, TargetParts, Targets
from roas.ui.translation import read_catalogues
from tests.unit.ui.story import Story, until

DORA = Actor(ActorKind.DISCORD, "7", "dora")


@dataclass
class Outside:
    """Be what is outside of Discord: targets by their address, which take messages or do not."""

    state: StateManager
    bus: EventBus
    sent: list[tuple[str, str, str, Tone]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()
        self.alerts = AlertService(self.state.alerts, self.bus, str)

    async def send(self, settings: NotifySettings, title: str, body: str, tone: Tone) -> None:
        await self.answers.wait()
        if settings.address() in self.away:
            raise TargetError("It did not take a message.", hint="Look at it.")
        self.sent.append((settings.address(), title, body, tone))

    def parts(self, redactor: Redactor | None = None, **targets: NotifySettings) -> TargetParts:
        settings = GivenSettings(discord_guild_id=1, discord_ops_channel_id=2, notify=targets)
        redact = (redactor or Redactor()).redact
        return TargetParts(self.state, self.alerts, settings, redact, self.send, pace=0.05, hangs_seconds=0.05)

    async def notifier(self, **settings: Any) -> TargetNotifier:
        """Return a notifier of a target to which all that was before is no news."""
        found = TargetNotifier("team", a_target(**settings), self.parts())
        await found.send_pending()
        return found

    @property
    def titles(self) -> list[str]:
        return [title for _address, title, _body, _tone in self.sent]


@pytest.fixture
def outside(state: StateManager, bus: EventBus) -> Outside:
    return Outside(state, bus)


@pytest.fixture
async def running(outside: Outside) -> AsyncIterator[list[Targets]]:
    started: list[Targets] = []
    yield started
    for targets in started:
        await targets.close()


def a_target(**settings: Any) -> NotifySettings:
    return NotifySettings(**{"url": "json://team"} | settings)


def a_report(name: str = "web", **changes: Any) -> AlertReport:
    report = AlertReport(
        name, AlertSource.HEALTH, Severity.HIGH, f"{name} is down", "It ended.", environment="prod", service=name
    )
    return replace(report, **changes)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, {"critical", "high", "own"}),
        ({"severity": "critical"}, {"critical"}),
        ({"severity": "warning"}, {"critical", "high", "own", "warning"}),
        ({"severity": "info"}, {"critical", "high", "own", "warning", "info"}),
        ({"environments": ("prod",)}, {"critical", "own"}),
        ({"environments": ("dev",), "severity": "info"}, {"high", "own", "warning", "info"}),
        ({"after_seconds": 60}, set()),
    ],
)
async def test_alerts_go_by_environment_and_severity(outside, settings, told):
    notifier = await outside.notifier(**settings)
    severities = {"critical": "prod", "high": "dev", "warning": "dev", "info": "dev"}
    reports = [a_report(name, severity=Severity(name), environment=place) for name, place in severities.items()]
    await outside.alerts.take([*reports, a_report("own", environment="", service="")])
    await notifier.send_pending()
    await notifier.send_pending()
    assert sorted(outside.titles) == sorted(f"{name} is down" for name in told)


async def test_hosts_are_told_of_by_the_environment_that_they_are_of(outside, state, bus):
    """Its alerts name the host; what a host does of a deployment is told with the outcome of all."""
    notifier = await outside.notifier(environments=("staging",))
    await outside.alerts.take([a_report(environment="staging@a"), a_report("db", environment="prod@a")])
    story = await Story.begin(state, bus)
    part = await Story.begin(state, bus, environment="staging@a", part_of=story.id)
    await part.finish(Outcome.FAILED, Problem("service_failed", "web failed."))
    await notifier.send_pending()
    await notifier.send_pending()
    assert outside.titles == ["web is down"]


@pytest.mark.parametrize(
    ("outcome", "touched", "severity", "tone"),
    [
        (Outcome.SUCCEEDED, True, "info", None),
        (Outcome.CANCELLED, True, "info", None),
        (Outcome.ROLLED_BACK, True, "high", Tone.FAILURE),
        (Outcome.ROLLED_BACK, True, "critical", None),
        (Outcome.FAILED, True, "critical", Tone.FAILURE),
        (Outcome.FAILED, False, "high", Tone.FAILURE),
        (Outcome.FAILED, False, "critical", None),
    ],
)
async def test_deployments_that_need_a_person_are_told(outside, state, bus, outcome, touched, severity, tone):
    notifier = await outside.notifier(severity=severity)
    story = await Story.begin(state, bus)
    if touched:
        await story.service(ServiceProgress("web", ServiceStep.STARTING))
    await story.finish(outcome, Problem("service_failed", "The password is [hunter2hunter2]."))
    await notifier.send_pending()
    assert [tone for *_rest, tone in outside.sent] == ([] if tone is None else [tone])
    if outside.sent:
        assert outside.sent[0][1].startswith("Deploy v2 to staging: ")
        assert story.id in outside.sent[0][2]


async def test_text_is_plain_and_in_the_language_set(outside):
    read_catalogues()
    notifier = await outside.notifier(language="zh-TW")
    await outside.alerts.take([a_report("my_web")])
    await outside.alerts.take([a_report("my_web", firing=False)])
    await notifier.send_pending()
    (_team, raised, body, tone), (_again, resolved, _body, over) = outside.sent
    assert (raised, tone, over) == ("my_web is down", Tone.FAILURE, Tone.SUCCESS)
    assert resolved != "Resolved: my_web is down"
    assert "prod · my_web" in body
    assert "https://discord.com/channels/1/2" in body
    assert "\\" not in body


async def test_no_secret_leaves(outside):
    address = "slack://T1A2B3C4D/A1B2C3D4E/abcdefghijklmnopqrstuvwx/#ops"
    parts = outside.parts(Redactor(credentials_in(address)))
    notifier = TargetNotifier("team", a_target(), parts)
    await notifier.send_pending()
    await outside.alerts.take([a_report(title="T1A2B3C4D is down", summary=f"see {address} abcdefghijklmnopqrstuvwx")])
    await notifier.send_pending()
    assert not [part for part in ("T1A2B3C4D", "A1B2C3D4E", "abcdefgh") if part in str(outside.sent)]


async def test_new_target_is_told_nothing_old(outside):
    await outside.alerts.take([a_report()])
    notifier = await outside.notifier()
    await notifier.send_pending()
    assert outside.sent == []


@pytest.mark.parametrize("act", ["nothing", "acknowledge", "silence", "resolve"])
async def test_second_target_is_told_where_nobody_acknowledges(outside, state, act):
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        notifier = await outside.notifier(after_seconds=600)
        await outside.alerts.take([a_report()])
        (alert,) = await state.alerts.open()
        clock.shift(599)
        await notifier.send_pending()
        assert outside.sent == []
        match act:
            case "acknowledge":
                await outside.alerts.acknowledge(alert.id, DORA)
            case "silence":
                await outside.alerts.silence(alert.id, DORA, timedelta(hours=1))
            case "resolve":
                await outside.alerts.take([a_report(firing=False)])
        clock.shift(1)
        # Another bot goes on where this one stopped.
        notifier = await outside.notifier(after_seconds=600)
        await notifier.send_pending()
        expected = ["Not acknowledged for 10 min 0 s: web is down"] if act == "nothing" else []
        assert outside.titles == expected
        await outside.alerts.take([a_report(firing=False)])
        await notifier.send_pending()
        assert outside.titles == [*expected, *(["Resolved: web is down"] if expected else [])]


async def test_what_was_long_ago_is_not_told(outside):
    notifier = await outside.notifier()
    await outside.alerts.take([a_report("old")])
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=False):
        await outside.alerts.take([a_report("new")])
        await notifier.send_pending()
    assert outside.titles == ["new is down"]


async def test_target_that_is_away_holds_up_no_other(outside, state, bus, running, hurried_time):
    outside.away.add("json://one")
    parts = outside.parts(one=a_target(url="json://one"), two=a_target(url="json://two", severity="warning"))
    targets = Targets(parts, bus, Leadership())
    running.append(targets)
    targets.start()
    await until(lambda: known(state, "one", "two"))
    await outside.alerts.take([a_report(name) for name in ("a", "b", "c")])
    # The other one has all of it, and the channel hears once what is wrong.
    await until(lambda: len(outside.sent) == 4)
    assert outside.titles == ["a is down", "b is down", "c is down", "the target one cannot be reached"]
    (about_it,) = [alert for alert in await state.alerts.open() if alert.fingerprint == "notify:one"]
    assert (about_it.summary, about_it.count) == ("It did not take a message. Look at it.", 1)

    outside.away.clear()
    await until(lambda: len(outside.sent) == 8)
    assert [title for address, title, *_rest in outside.sent if address == "json://one"] == [
        "a is down",
        "b is down",
        "c is down",
    ]
    await until(lambda: over(state))


async def known(state: StateManager, *targets: str) -> bool:
    return all([await state.targets.get(target) for target in targets])


async def over(state: StateManager) -> bool:
    return not [alert for alert in await state.alerts.open() if alert.fingerprint.startswith("notify:")]


async def test_target_that_hangs_is_told_of_once_and_not_sent_twice(outside, state, bus, running):
    targets = Targets(outside.parts(one=a_target(url="json://one")), bus, Leadership())
    running.append(targets)
    targets.start()
    await until(lambda: known(state, "one"))
    outside.answers.clear()
    await outside.alerts.take([a_report()])
    await until(lambda: len_open(state, 2))
    outside.answers.set()
    await until(lambda: over(state))
    assert outside.titles == ["web is down"]


async def len_open(state: StateManager, count: int) -> bool:
    return len(await state.alerts.open()) == count


async def test_standby_tells_nothing(outside, state, bus, running):
    leadership = Leadership(is_leader=False)
    targets = Targets(outside.parts(one=a_target(url="json://one")), bus, leadership)
    running.append(targets)
    await TargetNotifier("one", a_target(), outside.parts()).send_pending()
    targets.start()
    await outside.alerts.take([a_report()])
    await bus.close()
    assert outside.sent == []
    leadership.gain()
    await until(lambda: len(outside.sent) == 1)


async def test_bot_that_leaves_waits_for_what_is_on_its_way(outside, state):
    notifier = await outside.notifier()
    await outside.alerts.take([a_report()])
    outside.answers.clear()
    task = asyncio.create_task(notifier.send_pending())
    await until(lambda: bool(outside.answers._waiters))
    task.cancel()
    asyncio.get_running_loop().call_soon(outside.answers.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    await (await outside.notifier()).send_pending()
    assert outside.titles == ["web is down"]
