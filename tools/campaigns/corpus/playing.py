"""Play one stack: start it as its README says, have it described, planned and taken over, and judge by `inspect`."""

import shutil
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from testbed.waiting import wait_until
from tools.campaigns.corpus.ground import NO_ANSWER, Ground, Look, Typed, document
from tools.campaigns.corpus.images import CRASHING, NEXT, TODAY, stand_ins, tag_images
from tools.campaigns.corpus.stacks import Model, Stack

TRUSTED = '[policy]\nlevel = "trusted"\n'
# What a stack without a variable in its images is deployed as: no image follows it.
ANY_VERSION = "v1"
NEXT_VERSION, LAST_VERSION = "v99.9.9", "v99.9.10"
# What gets the version without anybody saying so.
USUAL_VARIABLE = "VERSION"
SETTLED_SECONDS = 15.0
# A crash of ours: whatever ends so was not thought of.
TRACEBACK = "Traceback (most recent call last)"
KNOWN_CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 69, 78})
KEEP = "keep"
ENDED = "exited"
# No container of the service is there.
NONE = "none"
AGAIN = "again"


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
    # By what was typed: the services of which containers were recreated, started, run as jobs, or are of another
    # version than before; and the versions of all.
    typed: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
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
        self._project, self._made = "", dict[str, str]()
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
        self._made = stand_ins(self.ground.client, model)
        if by_digest := tag_images(self.ground.client, model, self._made, TODAY):
            if not self.ground.takes_digests:
                self.played.verdict, self.played.said = Verdict.NO_IMAGE, ", ".join(sorted(by_digest))
                return
            self.ground.pulled_by_digest(by_digest)
        self._start()
        self._project = str(model.resolved["name"])
        before = self._settled()
        name = self._describe_and_plan()
        if self._looks().keys() != before.keys():
            self.played.notes.append("something changed before anything was deployed")
        if self.played.verdict is not Verdict.PLANS or name is None:
            return
        if self.played.started != "up" or model.builds or not all(item.settled for item in before.values()):
            return
        self._take_over(name, before)
        if self.played.adoption in {Adoption.KEPT, Adoption.AS_PLANNED}:
            self._move_on(name)

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

    def _looks(self) -> Mapping[str, Look]:
        return self.ground.looks(self._project)

    def _settled(self) -> Mapping[str, Look]:
        """Wait until no probe is under way, and return how the containers are."""
        wait_until(lambda: all(container.health != "starting" for container in self._looks().values()), SETTLED_SECONDS)
        return self._looks()

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
        self.played.planned = {
            service["service"]: _planned(service) for service in services if service["action"] != KEEP
        }
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

    def _take_over(self, name: str, before: Mapping[str, Look]) -> None:
        """Deploy what runs: what the plan keeps stays the same container, started when it was."""
        deployed = self._deploy("the take-over", name, self._version)
        self._judge(deployed, before, self._looks())
        self._up_of_release(name, "after the take-over")
        self._up("after the take-over", self._variables_of(self._version))

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

    def _move_on(self, name: str) -> None:
        """Deploy, change, fail and go back, with somebody's Compose after each: nobody undoes what the other made."""
        before = self._versions()
        self._deploy("a deployment", name, self._version)
        self._up("after a deployment", self._variables_of(self._version))
        moved = self._change("a change", name, NEXT, NEXT_VERSION)
        there = self._versions()
        if moved is None:
            return
        now = NEXT_VERSION if self._movable else self._version
        self._up("after a change", self._variables_of(now))
        failed = self._change("a version that crashes", name, CRASHING, LAST_VERSION, is_watched=True)
        self._up("after a rollback", self._variables_of(now))
        self._up_of_release(name, "after a rollback")
        going = ("rollback", name, "--yes", "--reason", "corpus")
        back = self._noted("`roas rollback`", lambda: self.ground.roas(self.home, *going, **_quick(name)))
        after = self._versions()
        if moved.code or back.code or failed is None or failed.code == 0:
            codes = (moved.code, failed.code if failed else None, back.code)
            self.played.notes.append(f"changed, failed, back: {codes}: {_error(moved)} {_error(back)}")
        elif before == there:
            self.played.notes.append("another version changed no image")
        elif after != before:
            self.played.notes.append("a rollback did not bring the images of before back")
        else:
            self.played.notes.append("another version, a failure, and back")

    def _change(self, what: str, name: str, images: str, version: str, *, is_watched: bool = False) -> Typed | None:
        """Deploy other images: by another version where there is a variable, else by what the same names mean."""
        variables = dict.fromkeys(self._variables, version) if self._movable else {}
        resolved = self._compose("config", "--format", "json", **variables)
        if resolved.code:
            return None
        tag_images(self.ground.client, Model.of(resolved.out), self._made, images)
        return self._deploy(what, name, version if self._movable else self._version, is_watched=is_watched)

    def _up(self, when: str, variables: dict[str, str]) -> None:
        """Type `docker compose up -d` twice."""
        for step in (f"`up -d` {when}", f"`up -d` {when}, {AGAIN}"):
            typed = self._noted(step, lambda: self._compose("up", "--detach", **variables))
            if typed.code:
                self.played.notes.append(f"{step}: {typed.last}")

    def _up_of_release(self, name: str, when: str) -> None:
        step = f"`roas compose … up -d` {when}"
        typed = self._noted(step, lambda: self.ground.roas(self.home, "compose", name, "--", "up", "-d"))
        if typed.code:
            self.played.notes.append(f"{step}: {typed.last}")

    def _noted(self, step: str, command: Callable[[], Typed]) -> Typed:
        """Type a command, and note what it did to the containers."""
        before, were = self._looks(), self._versions(jobs=True)
        typed = command()
        after, are = self._looks(), self._versions(jobs=True)
        kept = [(before[one], look) for one, look in after.items() if one in before]
        started = [look for was, look in kept if look.started_at != was.started_at]
        versions = {service: (were.get(service, NONE), are.get(service, NONE)) for service in sorted({*were, *are})}
        done = {
            "recreated": [look.service for one, look in after.items() if one not in before],
            "started": [look.service for look in started if look.status != ENDED],
            "jobs": [look.service for look in started if look.status == ENDED],
            "moved": [service for service, (was, now) in versions.items() if was != now and NONE not in {was, now}],
        }
        self.played.typed[step] = {what: sorted(services) for what, services in done.items() if services}
        self.played.versions[step] = {
            service: now if was == now else f"{was} → {now}" for service, (was, now) in versions.items()
        }
        return typed

    def _versions(self, *, jobs: bool = False) -> dict[str, str]:
        """Return the versions of a service's containers, by inspect; of jobs only if asked: no way back runs one."""
        names = {image_id: version for version, image_id in self._made.items()}
        found = defaultdict[str, set[str]](set)
        for look in self._looks().values():
            if jobs or look.status != ENDED:
                found[look.service].add(names.get(look.image, look.image))
        return {service: ", ".join(sorted(versions)) for service, versions in found.items()}

    def _variables_of(self, version: str) -> dict[str, str]:
        return dict.fromkeys(self._variables, version) if self._movable else {}

    def _deploy(self, what: str, name: str, version: str, *, is_watched: bool = False) -> Typed:
        """Deploy a version: one that crashes is watched for as long as usual, for it may take its time to start."""
        quick = {} if is_watched else _quick(name)
        asked = ("deploy", name, version, "--yes", "--reason", "corpus")
        typed = self._noted(what, lambda: self.ground.roas(self.home, *asked, **quick))
        if typed.code == NO_ANSWER:
            self.played.notes.append(f"deploy {version}: {typed.err}")
        return typed

    def _compose(self, *arguments: str, **variables: str) -> Typed:
        return self.ground.compose(self.folder, *self.stack.options, *arguments, **variables)


def changed_services(before: Mapping[str, Look], after: Mapping[str, Look]) -> set[str]:
    """Return the services of which a container came, went, or was started; not what ends each time that it is asked."""
    same = {look for look in before.keys() & after.keys() if _is_same(before[look], after[look])}
    return {look.service for looks in (before, after) for one, look in looks.items() if one not in same}


def _quick(name: str) -> dict[str, str]:
    """Return what lets an environment watch a release for a moment only."""
    return {f"ENVIRONMENTS__{name.upper()}__OBSERVATION_SECONDS": "0.2"}


def _is_same(before: Look, after: Look) -> bool:
    if before.status == after.status == ENDED:
        return True  # Compose starts a one-shot again with each `up`
    return before.started_at == after.started_at


def _failures(report: Mapping[str, Any]) -> tuple[str, ...]:
    results = [item for environment in report.get("reports", ()) for item in environment["results"]]
    failed = [result for result in results if not result["passed"] and result["severity"] == "critical"]
    return tuple(f"{item['check']}: {item['message']}" for item in failed)


def _planned(service: Mapping[str, Any]) -> str:
    why = (*service["changed_keys"], *service["reasons"])
    return f"{service['action']} ({', '.join(why)})" if why else str(service["action"])


def _error(typed: Typed) -> str:
    """Return what a command of ours said, in a line."""
    said = document(typed).get("error") or {}
    text = f"{said.get('message', '')} {said.get('hint', '')}" if isinstance(said, dict) and said else typed.err
    return " ".join((text or typed.out).split())[-400:]
