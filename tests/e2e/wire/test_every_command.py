"""Each command by role, environment, freeze and running deployment: typed over the wire, judged by the manual.

Who may do what is read from the manual's own table, and which commands there are from what the bot has registered.
"""

import asyncio
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from sandbox.views import Answer
from tests.e2e.wire.shop import CHECK, Shop
from tests.integration.sandbox.channel import (
    ANSWER_SECONDS,
    DEPLOYMENT_ID,
    button,
    confirm,
    live,
    outcome,
    start,
)

pytestmark = [pytest.mark.wire, pytest.mark.timeout(500)]

MANUAL = Path(__file__).resolve().parents[3] / "docs/how-to/permissions.md"
PEOPLE = {
    "bob": frozenset[str](),
    "dora": frozenset({"deployer"}),
    "pat": frozenset({"approver"}),
    "hugo": frozenset({"hotfix"}),
    "anna": frozenset({"deployer", "approver"}),
}
# What runs in each environment at first.
VERSIONS = {"dev": "v1", "prod": "v2"}
OTHER = {"v1": "v2", "v2": "v1"}
NEVER_WELL = {"test": ["CMD", "false"], "interval": "60s", "start_period": "300s"}


@dataclass(frozen=True)
class Row:
    """Say what is typed, and what follows for those who may: a plan, a deployment, or words that the answer has."""

    options: dict[str, Any]
    leads_to: str = "told"
    says: str = ""
    passes_freeze: bool = False


# Command (a comma tells two rows of one apart). What passes a freeze: "Who passes what" of the manual.
ROWS = {
    "status": Row({}, says="**web**"),
    "history": Row({}, says="{environment}"),
    "logs": Row({"service": "web"}, says="web"),
    "deploy": Row({}, "plan"),
    "deploy, dry run": Row({"dry_run": True}, says="web"),
    "promote": Row({}, "plan"),
    "rollback": Row({}, "plan"),
    "rollback, with a reason": Row({"reason": "slow"}, "plan", passes_freeze=True),
    "stop": Row({"services": "web"}, "plan"),
    "scale, to none": Row({"service": "web", "replicas": 0}, "plan"),
    "restart": Row({"services": "web"}, "begins"),
    "start": Row({"services": "web"}, "begins"),
    "scale": Row({"service": "web", "replicas": 2}, "begins"),
    "hotfix": Row({"reason": "it burns"}, "begins", passes_freeze=True),
    "hotfix, by a form": Row({}, "begins", passes_freeze=True),
    "lock": Row({"reason": "the fair"}, says="**{environment}** is locked"),
    "unlock": Row({}),
    "cancel": Row({}),
}


@dataclass(frozen=True)
class Case:
    """Somebody types a command in an environment, which is frozen or not, and which a deployment changes or not."""

    row: str
    person: str
    environment: str
    frozen: bool = False
    running: bool = False

    @property
    def command(self) -> str:
        """Return what is typed."""
        return self.row.partition(",")[0]

    def options(self, version: str) -> dict[str, Any]:
        """Return the options that are typed, with a version where one is asked for."""
        options: dict[str, Any] = {"environment": self.environment, **ROWS[self.row].options}
        if self.command in {"deploy", "hotfix"}:
            options["version"] = version
        if self.command == "promote":
            options["to"] = options.pop("environment")
            options["from"] = {"dev": "prod", "prod": "dev"}[self.environment]
        return options


def needs_of(wanted: str) -> str:
    """Return what an action needs, by the first column of the manual's table."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", MANUAL.read_text(), re.MULTILINE)
    (needs,) = (needs for action, needs in rows if wanted in action)
    return str(needs)


def needed_roles(case: Case) -> tuple[frozenset[str], frozenset[str]]:
    """Return the roles of which the manual asks one, and those of them that a refusal names; none for everybody."""
    needs = needs_of("a plan with `dry_run`" if case.row == "deploy, dry run" else f"`/{case.command}`")
    roles = named_roles(needs)
    if case.command == "cancel":
        # Of dev a deployment is under way, of prod a hotfix.
        same = named_roles(needs_of("`/hotfix`" if case.environment == "prod" else "`/deploy`"))
        assert needs == "what it needs to start the same, or the approver role"
        return roles | same, same
    if case.command == "unlock":
        assert needs == "the same; where approval is needed, the approver role, or to be the one who locked it"
        roles = roles if case.environment == "prod" and case.frozen else named_roles(needs_of("`/lock`"))
    return roles, roles


def named_roles(needs: str) -> frozenset[str]:
    return frozenset(re.findall(r"deployer|approver|hotfix(?= role)", needs))


def expected(case: Case) -> str:
    """Say what the manual says: refused for lack of a role, by a freeze, by a deployment, or what the row says."""
    row, (needed, _named) = ROWS[case.row], needed_roles(case)
    if case.command == "cancel" and not case.running:
        return "nothing to cancel"
    if needed and not needed & PEOPLE[case.person]:
        return "role"
    if case.command == "lock" and case.frozen:
        return "frozen"
    if row.leads_to != "told":
        if case.frozen and not row.passes_freeze:
            return "frozen"
        if case.running:
            return "held"
    return row.leads_to


def test_every_case_is_of_a_row_of_the_manual() -> None:
    for row, person, environment, frozen, running in product(ROWS, PEOPLE, VERSIONS, (False, True), (False, True)):
        assert expected(Case(row, person, environment, frozen, running))


def everything() -> list[Case]:
    """Return each command by role, environment, freeze and running deployment."""
    product_of_all = product((False, True), (False, True), VERSIONS, ROWS, PEOPLE)
    return [Case(row, person, place, frozen, running) for running, frozen, place, row, person in product_of_all]


def sample() -> list[Case]:
    """Return each command by half of the roles: one of two where nothing is in the way, one where there is a freeze."""
    numbered = ((row, person, (i + j) % 4) for i, row in enumerate(ROWS) for j, person in enumerate(PEOPLE))
    return [Case(row, person, ("dev", "prod")[nth], frozen=bool(nth)) for row, person, nth in numbered if nth < 2]


@pytest.mark.parametrize("cases", [sample(), pytest.param(everything(), marks=pytest.mark.long)], ids=["sample", "all"])
async def test_answered_as_the_manual_says(
    bot: Any, people: SandboxClient, sandbox: Sandbox, shop: Shop, image_ids: dict[str, str], cases: list[Case]
) -> None:
    """What is refused changes nothing at the engine; what begins, succeeds."""
    assert {command["name"] for command in await people.commands()} == {row.partition(",")[0] for row in ROWS}
    shop.write(alone=True)
    await people.add_user("pat", "approver")
    channel = Channel(people, sandbox, shop, image_ids)
    await asyncio.gather(*(channel.prepare(environment) for environment in VERSIONS))
    for running in (False, True):
        chosen = [case for case in cases if case.running is running]
        if running and chosen:
            shop.write(alone=True, web={"healthcheck": NEVER_WELL})
        await asyncio.gather(
            *(channel.play([case for case in chosen if case.environment == environment]) for environment in VERSIONS)
        )
    assert channel.wrong == []
    print(f"{channel.played} cases, of which {channel.begun} began a deployment")


class Channel:
    """Play cases in the ops channel, each environment's one after the other."""

    def __init__(self, people: SandboxClient, sandbox: Sandbox, shop: Shop, image_ids: dict[str, str]) -> None:
        self._people = people
        self._shop = shop
        self._roles = {f"<@&{number}>": name for name, number in sandbox.roles.items()}
        self._image_ids = image_ids
        self._versions = dict(VERSIONS)
        self.wrong: list[tuple[Case, str, str]] = []
        self.played = self.begun = 0

    async def prepare(self, environment: str) -> None:
        """Let two versions have run."""
        asks, command = ("hugo", "hotfix") if environment == "prod" else ("dora", "deploy")
        for version in (OTHER[VERSIONS[environment]], VERSIONS[environment]):
            options = {"reason": "first"} if command == "hotfix" else {}
            started = await start(self._people, asks, command, environment=environment, version=version, **options)
            await succeeded(self._people, started)

    async def play(self, cases: list[Case]) -> None:
        """Play all cases of an environment, those of one state after the other, and what ends a deployment last."""
        for frozen in (False, True):
            chosen = [case for case in cases if case.frozen is frozen]
            ending = [case for case in chosen if case.command == "cancel" and expected(case) == "told"]
            if chosen:
                await self._play([case for case in chosen if case not in ending])
            for case in ending:
                await self._play([case], ends=True)

    async def _play(self, cases: list[Case], *, ends: bool = False) -> None:
        """Bring an environment into a state, and play cases in it, the last of which may end it."""
        first = cases[0]
        started = await self._begin(first.environment) if first.running else ""
        if first.frozen:
            await self._freeze(first.environment)
        before = self._seen(first.environment)
        for group in together(cases):
            if expected(group[0]) == "begins":
                assert self._seen(first.environment) == before, f"something was changed before {group[0]}"
                before = await self._begins(group[0])
            else:
                answers = await asyncio.gather(*(self._type(case) for case in group))
                for case, answer in zip(group, answers, strict=True):
                    self._judge(case, answer, started)
            if group[0].command in {"lock", "unlock"}:
                await self._freeze(first.environment, frozen=first.frozen)
        if not ends:
            assert self._seen(first.environment) == before, "what was refused has changed something"
            if first.running:
                await told(self._people, "pat", "cancel", environment=first.environment)
        if first.running:
            assert "cancelled" in (await outcome(self._people, started)).text
        if first.frozen:
            await self._freeze(first.environment, frozen=False)

    async def _begin(self, environment: str) -> str:
        """Begin a deployment that ends when it is cancelled."""
        asks, command = ("hugo", "hotfix") if environment == "prod" else ("dora", "deploy")
        options = {"reason": "it burns"} if command == "hotfix" else {}
        version = OTHER[self._versions[environment]]
        started = await start(self._people, asks, command, environment=environment, version=version, **options)
        await live(self._people, started, "waiting")
        return started

    async def _freeze(self, environment: str, *, frozen: bool = True) -> None:
        command, options = ("lock", {"reason": "the fair"}) if frozen else ("unlock", {})
        await told(self._people, "pat", command, environment=environment, **options)

    def _seen(self, environment: str) -> list[tuple[str, str]]:
        """Return what runs and since when, as Docker shows it."""
        found = self._shop.containers(environment)
        return sorted((container.id, container.attrs["State"]["StartedAt"]) for container in found)

    async def _type(self, case: Case) -> Answer:
        typed = await self._people.slash(
            case.person, case.command, **case.options(OTHER[self._versions[case.environment]])
        )
        answer = await self._people.answer(typed, deadline_seconds=ANSWER_SECONDS)
        if answer.modal is not None:
            sent = await self._people.submit(typed, reason="it burns")
            answer = await self._people.answer(sent, deadline_seconds=ANSWER_SECONDS)
        return answer

    def _judge(self, case: Case, answer: Answer, started: str) -> None:
        """Note each answer that is not the expected one."""
        self.played += 1
        text = "" if answer.message is None else answer.message.text
        found = self._read(case, answer, text, started)
        if found != expected(case):
            self.wrong.append((case, expected(case), f"{answer.error or ''}{text}"))

    def _read(self, case: Case, answer: Answer, text: str, started: str) -> str:
        """Say what an answer is, or nothing where it is none of what the manual knows."""
        if answer.message is None or answer.error:
            return ""
        if "You may not do this" in text:
            named = {role for mention, role in self._roles.items() if mention in text}
            return "role" if named == needed_roles(case)[1] else ""
        if f"{case.environment} is locked by Pat" in text and "the fair" in text:
            return "frozen"
        if started and "since" in text and f"Wait for {started} to end" in text:
            return "held"
        if f"No deployment of {case.environment} is under way" in text:
            return "nothing to cancel"
        if button(answer.message, "confirm") is not None:
            return "plan"
        if "Started" in text and DEPLOYMENT_ID.search(text):
            return "begins"
        says = ROWS[case.row].says.format(environment=case.environment)
        if case.command == "unlock":
            says = f"{case.environment}** is unlocked" if case.frozen else f"{case.environment} is not locked"
        if case.command == "cancel":
            says = f"`{started}` was asked to stop"
        return "told" if says in text else ""

    async def _begins(self, case: Case) -> list[tuple[str, str]]:
        """Play what begins a deployment, look at the engine whether it was done, and return what runs then."""
        place, before = case.environment, self._seen(case.environment)
        if case.command == "start":
            (container,) = self._shop.containers(place)
            await asyncio.to_thread(container.stop, timeout=1)
        answer = await self._type(case)
        self._judge(case, answer, "")
        started = DEPLOYMENT_ID.search(answer.message.text if answer.message else "")
        if started is None:
            return self._seen(place)  # the answer was noted as a wrong one
        self.begun += 1
        await succeeded(self._people, started.group())
        now = self._seen(place)
        if case.command == "hotfix":
            self._versions[place] = OTHER[self._versions[place]]
            assert self._shop.running(place) == {"web": self._image_ids[self._versions[place]]}, case
        elif case.command == "scale":
            assert len(now) == 2, case
            assert set(before) < set(now), case
            back = await start(self._people, "dora", "scale", environment=place, service="web", replicas=1)
            await succeeded(self._people, back)
        else:
            assert [container for container, _since in now] == [container for container, _since in before], case
            assert now != before, case
        self._shop.running(place)
        return self._seen(place)


def together(cases: Collection[Case]) -> Iterator[list[Case]]:
    """Group what may be typed at the same time: the refusals of a command, and each that has an effect by itself."""
    for row in ROWS:
        of_row = [case for case in cases if case.row == row]
        alone = [case for case in of_row if expected(case) == "begins" or case.command in {"lock", "unlock"}]
        if beside := [case for case in of_row if case not in alone]:
            yield beside
        yield from ([case] for case in alone)


# A second to stop, and one until it is well: what is typed meanwhile meets what is under way.
SLOW: dict[str, Any] = {
    "command": ["sh", "-c", "trap 'sleep 1; exit' TERM; sleep 9999 & wait"],
    "init": False,
    "healthcheck": CHECK | {"test": ["CMD-SHELL", "sleep 1"]},
}
# What is typed, and how many replicas of the web run then.
OPERATIONS: dict[str, tuple[dict[str, Any], int]] = {
    "restart": ({"services": "web"}, 1),
    "stop": ({"services": "web"}, 0),
    "start": ({"services": "web"}, 1),
    "scale": ({"service": "web", "replicas": 2}, 2),
}
ORDERS = ("operation first", "deployment first", "at once")


@pytest.mark.long
async def test_operation_and_deployment_at_the_same_time(
    bot: Any, people: SandboxClient, shop: Shop, image_ids: dict[str, str]
) -> None:
    """One of them wins, the other says why, and at the engine is what the winner was asked for."""
    shop.write(alone=True, web=SLOW)
    version, other = "v1", "v2"
    await succeeded(people, await start(people, "dora", "deploy", environment="dev", version=version))
    for command, order in product(OPERATIONS, ORDERS):
        has_deployed = await race(people, shop, command, order, other)
        runs = OPERATIONS[command][1]
        if has_deployed:
            version, other, runs = other, version, 1
        found = [container.attrs for container in shop.containers("dev")]
        assert {container["Image"] for container in found} == {image_ids[version]}, (command, order)
        states = [container["State"]["Status"] for container in found]
        assert states == (["running"] * runs or ["exited"]), (command, order)
        back = {0: ("start", {"services": "web"}), 2: ("scale", {"service": "web", "replicas": 1})}
        if runs in back:
            undo, options = back[runs]
            await succeeded(people, await start(people, "dora", undo, environment="dev", **options))


async def race(people: SandboxClient, shop: Shop, command: str, order: str, version: str) -> bool:
    """Let two people ask for both; returns whether it was the deployment that won."""
    options: dict[str, Any] = {"environment": "dev", **OPERATIONS[command][0]}
    if command == "start":
        await succeeded(people, await start(people, "dora", "stop", environment="dev", services="web"))
    before = {container.id: container.attrs["State"]["StartedAt"] for container in shop.containers("dev")}
    plan = (await people.answer(await people.slash("dora", "deploy", environment="dev", version=version))).message
    assert plan is not None
    stop = (await people.answer(await people.slash("anna", "stop", **options))).message if command == "stop" else None
    operate = told(people, "anna", command, **options) if stop is None else confirm(people, "anna", stop)
    deploy = confirm(people, "dora", plan)
    if order == "at once":
        operated, deployed = await asyncio.gather(operate, deploy)
    elif order == "operation first":
        operated, deployed = await operate, await deploy
    else:
        deployed, operated = await deploy, await operate
    ids = [DEPLOYMENT_ID.search(text) if "Started" in text else None for text in (operated, deployed)]
    (won,) = (found.group() for found in ids if found is not None)
    has_deployed = ids[0] is None
    winner, refused = ("Dora", operated) if has_deployed else ("Anna", deployed)
    assert f"dev is held by {winner} since " in refused, refused
    assert f"Wait for {won} to end, or cancel it." in refused, refused
    assert order in {"at once", "deployment first" if has_deployed else "operation first"}
    await succeeded(people, won)
    if command == "restart" and not has_deployed:
        after = {container.id: container.attrs["State"]["StartedAt"] for container in shop.containers("dev")}
        assert after.keys() == before.keys()
        assert after != before
    return has_deployed


async def told(people: SandboxClient, who: str, command: str, **options: Any) -> str:
    """Return what somebody is told; that it is soon enough is judged where nothing else goes on."""
    answer = await people.answer(await people.slash(who, command, **options), deadline_seconds=ANSWER_SECONDS)
    assert answer.message is not None, answer
    return answer.message.text


async def succeeded(people: SandboxClient, deployment_id: str) -> None:
    assert "succeeded" in (await outcome(people, deployment_id)).text
