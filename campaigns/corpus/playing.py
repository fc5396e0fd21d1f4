"""Play one stack: start it as its README says, have it described, planned and taken over, and judge by `inspect`."""

import shutil
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from campaigns.corpus.ground import NO_ANSWER, Ground, Look, Typed, document
from campaigns.corpus.images import stand_ins, tag_images
from campaigns.corpus.stacks import Model, Stack
from testbed.waiting import wait_until

TRUSTED = '[policy]\nlevel = "trusted"\n'
# What a stack without a variable in its images is deployed as: no image follows it.
ANY_VERSION = "v1"
NEXT_VERSION = "v99.9.9"
# What gets the version without anybody saying so.
USUAL_VARIABLE = "VERSION"
SETTLED_SECONDS = 15.0
# A crash of ours: whatever ends so was not thought of.
TRACEBACK = "Traceback (most recent call last)"
KNOWN_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 69, 78})
KEEP = "keep"
ENDED = "exited"


class Verdict(StrEnum):
    """How far the product came with a stack by `roas init` alone."""

    PLANS = "plans"
    REFUSED = "refused"
    CRASHED = "crashed"
    NOT_FOR_COMPOSE = "Compose refuses its files"
    NO_GROUND = "the engine went away"
    NO_IMAGE = "nothing stands in for an image by its digest"


class Adoption(StrEnum):
    """What became of the containers that ran, when the stack was deployed for the first time."""

    KEPT = "kept"
    AS_PLANNED = "changed as the plan said"
    UNTRUE = "not what the plan said"
    FAILED = "failed"
    NOT_PLAYED = "not played"


@dataclass(slots=True)
class Played:
    """Hold what was seen of a stack."""

    name: str
    repository: str
    services: int = 0
    started: str = ""
    verdict: Verdict = Verdict.PLANS
    said: str = ""
    doctor: tuple[str, ...] = ()
    planned: Mapping[str, str] = field(default_factory=dict)
    adoption: Adoption = Adoption.NOT_PLAYED
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Play:
    """Play one stack on an engine on which nothing else is."""

    def __init__(self, ground: Ground, stack: Stack, source: Path) -> None:
        self.ground = ground
        self.stack = stack
        shown = f"{stack.repository}, without `{stack.without}`" if stack.without else stack.repository
        self.played = Played(stack.name, shown)
        self.home = ground.folder / stack.name
        self.folder = self.home / stack.folder
        self._source = source
        self._model = Model({})
        self._version, self._variables, self._movable = ANY_VERSION, (USUAL_VARIABLE,), False

    def play(self) -> Played:
        """Do all of it, and clear away what is left."""
        began = time.monotonic()
        shutil.copytree(self._source / self.stack.folder.partition("/")[0], self._copy, symlinks=True)
        (self.home / "state").mkdir(mode=0o700)
        (self.home / "state" / "roas.toml").write_text(TRUSTED)
        try:
            self._play()
        finally:
            self.ground.clear()
            shutil.rmtree(self.home)
            self.played.seconds = round(time.monotonic() - began, 1)
        return self.played

    @property
    def _copy(self) -> Path:
        return self.home / self.stack.folder.partition("/")[0]

    def _play(self) -> None:
        self._make_ground()
        resolved = self._compose("config", "--format", "json")
        if resolved.code:
            self.played.verdict, self.played.said = Verdict.NOT_FOR_COMPOSE, resolved.last
            return
        self._model = model = Model.of(resolved.out)
        self.played.services = len(model.services)
        made = stand_ins(self.ground.client, model)
        if by_digest := tag_images(self.ground.client, model, made, "today"):
            if not self.ground.takes_digests:
                self.played.verdict, self.played.said = Verdict.NO_IMAGE, ", ".join(sorted(by_digest))
                return
            self.ground.pulled_by_digest(by_digest)
        self._start()
        project = str(model.resolved["name"])
        before = self._settled(project)
        name = self._describe_and_plan()
        if _beyond_the_clock(self.ground.looks(project)) != _beyond_the_clock(before):
            self.played.notes.append("something changed before anything was deployed")
        if self.played.verdict is not Verdict.PLANS or name is None:
            return
        if self.played.started != "up" or model.builds or not all(one.settled for one in before.values()):
            return
        self._take_over(name, project, before)
        if self.played.adoption in {Adoption.KEPT, Adoption.AS_PLANNED}:
            self._move_on(name, project, made)

    def _make_ground(self) -> None:
        for path, text in self.stack.outside.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
        for network in self.stack.networks:
            self.ground.client.networks.create(network)
        for volume in self.stack.volumes:
            self.ground.client.volumes.create(volume)

    def _start(self) -> None:
        """Bring the stack up; where the stand-ins do not, create its containers at least."""
        up = self._compose("up", "--detach")
        self.played.started = "up"
        if up.code:
            created = self._compose("up", "--no-start")
            self.played.started = f"created: {up.last}" if not created.code else f"not created: {created.last}"

    def _settled(self, project: str) -> Mapping[str, Look]:
        """Wait until no probe is under way, and return how the containers are."""
        wait_until(
            lambda: all(one.health != "starting" for one in self.ground.looks(project).values()), SETTLED_SECONDS
        )
        return self.ground.looks(project)

    def _describe_and_plan(self) -> str | None:
        described = self.ground.roas(self.home, "init", str(self.folder))
        if self._is_bad("init", described):
            return None
        written = tomllib.loads((self.home / "state" / "roas.toml").read_text())
        name, said = next(iter(written["environments"].items()))
        asked = self.ground.roas(self.home, "doctor", name, "--json")
        self.played.doctor = _failures(document(asked))
        if asked.code not in {0, 1} or TRACEBACK in asked.err:
            self._is_bad("doctor", asked)
        self._version = self._today(said)
        planned = self.ground.roas(self.home, "deploy", name, self._version, "--dry-run", "--json")
        if self._is_bad("plan", planned):
            return None
        services = document(planned)["services"]
        self.played.planned = {one["service"]: _planned(one) for one in services if one["action"] != KEEP}
        return str(name)

    def _is_bad(self, what: str, typed: Typed) -> bool:
        if typed.code == 0 and TRACEBACK not in typed.err:
            return False
        crashed = TRACEBACK in typed.err or typed.code not in KNOWN_CODES or typed.code == NO_ANSWER
        self.played.verdict = Verdict.CRASHED if crashed else Verdict.REFUSED
        self.played.said = f"{what} ({typed.code}): {_error(typed)}"
        return True

    def _today(self, said: Mapping[str, Any]) -> str:
        """Return the version that runs, by the variables that were found; the first one's where they differ."""
        named = said.get("version_variables") or (USUAL_VARIABLE,)
        self._variables = tuple(named.values() if isinstance(named, dict) else named)
        values = [self._value(name) for name in self._variables]
        self._movable = len(set(values)) == 1 and bool(values[0])
        if len(set(values)) > 1:
            self.played.notes.append(f"the version's variables differ: {', '.join(map(str, values))}")
        return next((value for value in values if value), ANY_VERSION)

    def _value(self, name: str) -> str:
        """Return what a variable is in the images today: what another value would stand in the place of."""
        resolved = self._compose("config", "--format", "json", **{name: NEXT_VERSION})
        other = Model.of(resolved.out) if resolved.code == 0 else Model({})
        for service in sorted(other.services.keys() & self._model.services.keys()):
            before, found, after = other.image(service).partition(NEXT_VERSION)
            if found:
                return self._model.image(service).removeprefix(before).removesuffix(after)
        return ""

    def _take_over(self, name: str, project: str, before: Mapping[str, Look]) -> None:
        """Deploy what runs: what the plan keeps stays the same container, started when it was."""
        deployed = self._deploy(name, self._version)
        after = self.ground.looks(project)
        self._judge(deployed, before, after)
        typed = self._compose("up", "--detach")
        again = self.ground.looks(project)
        if typed.code:
            self.played.notes.append(f"`docker compose up -d` afterwards: {typed.last}")
        elif changed := changed_services(after, again):
            self.played.notes.append(f"`docker compose up -d` afterwards changed {', '.join(sorted(changed))}")
            self._expect_told(name, after, again)

    def _expect_told(self, name: str, before: Mapping[str, Look], after: Mapping[str, Look]) -> None:
        """Note what somebody's Compose replaced and `roas status` does not name as another than the release has it."""
        status = document(self.ground.roas(self.home, "status", name, "--json"))
        named = {one["service"] for one in status["environments"][0]["health"]["drift"]}
        replaced = {look.service for one, look in after.items() if one not in before}
        if untold := sorted(replaced - named):
            self.played.notes.append(f"status says nothing of {', '.join(untold)}")

    def _judge(self, deployed: Typed, before: Mapping[str, Look], after: Mapping[str, Look]) -> None:
        changed = changed_services(before, after)
        untrue = changed ^ set(self.played.planned)
        if deployed.code:
            self.played.adoption = Adoption.FAILED
            self.played.notes.append(f"the deployment ({deployed.code}): {_error(deployed)}")
        elif untrue:
            self.played.adoption = Adoption.UNTRUE
            self.played.notes.append(f"plan {dict(self.played.planned)}, changed {sorted(changed)}")
        else:
            self.played.adoption = Adoption.AS_PLANNED if changed else Adoption.KEPT

    def _move_on(self, name: str, project: str, made: dict[str, str]) -> None:
        """Deploy another version where images have a variable, and roll back: the images of before are back."""
        if not self._movable:
            return
        before = self.ground.looks(project)
        resolved = self._compose("config", "--format", "json", **dict.fromkeys(self._variables, NEXT_VERSION))
        if resolved.code:
            return
        tag_images(self.ground.client, Model.of(resolved.out), made, "next")
        moved = self._deploy(name, NEXT_VERSION)
        there = self.ground.looks(project)
        self._compose("up", "--detach")
        self._expect_told(name, there, self.ground.looks(project))
        back = self.ground.roas(self.home, "rollback", name, "--yes", "--reason", "corpus")
        images = [sorted((one.service, one.image) for one in look.values()) for look in (before, there)]
        if moved.code or back.code:
            self.played.notes.append(
                f"another version ({moved.code}, back {back.code}): {_error(moved)} {_error(back)}"
            )
        elif images[0] == images[1]:
            self.played.notes.append("another version changed no image")
        elif sorted((one.service, one.image) for one in self.ground.looks(project).values()) != images[0]:
            self.played.notes.append("a rollback did not bring the images of before back")
        else:
            self.played.notes.append("another version and back")

    def _deploy(self, name: str, version: str) -> Typed:
        quick = {f"ENVIRONMENTS__{name.upper()}__OBSERVATION_SECONDS": "0.2"}
        return self.ground.roas(self.home, "deploy", name, version, "--yes", "--reason", "corpus", **quick)

    def _compose(self, *arguments: str, **variables: str) -> Typed:
        return self.ground.compose(self.folder, *self.stack.options, *arguments, **variables)


def changed_services(before: Mapping[str, Look], after: Mapping[str, Look]) -> set[str]:
    """Return the services of which a container came, went, or was started; not what ends each time that it is asked."""
    same = {one for one in before.keys() & after.keys() if _is_same(before[one], after[one])}
    return {look.service for looks in (before, after) for one, look in looks.items() if one not in same}


def _is_same(before: Look, after: Look) -> bool:
    if before.status == after.status == ENDED:
        return True  # Compose starts a one-shot again with each `up`
    return before.started_at == after.started_at


def _beyond_the_clock(looks: Mapping[str, Look]) -> set[str]:
    """Return the containers there are: those that restart by themselves start again at any time."""
    return set(looks)


def _failures(report: Mapping[str, Any]) -> tuple[str, ...]:
    results = [one for environment in report.get("reports", ()) for one in environment["results"]]
    failed = [one for one in results if not one["passed"] and one["severity"] == "critical"]
    return tuple(f"{one['check']}: {one['message']}" for one in failed)


def _planned(service: Mapping[str, Any]) -> str:
    why = (*service["changed_keys"], *service["reasons"])
    return f"{service['action']} ({', '.join(why)})" if why else str(service["action"])


def _error(typed: Typed) -> str:
    """Return what a command of ours said, in a line."""
    said = document(typed).get("error") or {}
    text = f"{said.get('message', '')} {said.get('hint', '')}" if isinstance(said, dict) and said else typed.err
    return " ".join((text or typed.out).split())[-400:]
