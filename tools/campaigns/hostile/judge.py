"""Have Compose say which cases it takes, and the policy which of them it refuses."""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from roas.errors import ComposePolicyError, RoasError
from roas.models.environment import Environment, PolicyLevel
from roas.redaction import Redactor
from roas.stack.model.text import read_resolved
from roas.stack.stacks import Stacks
from testbed.inherited import chosen_programs
from tools.campaigns.hostile.corpus import Case, compose_file

BATCH = 80
CONFIG_SECONDS = 60.0
# What Compose says of every service, and what it makes of a field besides that field.
PLAIN_FIELDS = frozenset({"image", "command", "entrypoint", "networks", "init"})  # one spelling adds `init`
MADE_OF = {"links": {"depends_on"}, "scale": {"deploy"}}
# Whom Compose names whose schema refuses a file.
SCHEMA = re.compile(r"^validating \S+: \w+\.(c\d+(?:s\d+)?x)\b")
# Who is refused: whoever writes what another reads, or else whom the line is about.
WRITER = re.compile(r"which u?(c\d+(?:s\d+)?x) may ")
SUBJECT = re.compile(r"  - (?:the \w+ )?u?(c\d+(?:s\d+)?x)\b")


class Verdict(StrEnum):
    """Say what became of a case."""

    NOT_TAKEN = "not taken by Compose"
    REFUSED = "refused"
    OTHERWISE = "refused by another rule"
    PASSED = "passed"
    LEAKED = "made another key of by Compose"


@dataclass(frozen=True, slots=True)
class Judged:
    """Hold a case and what became of it."""

    case: Case
    verdict: Verdict

    @property
    def is_wrong(self) -> bool:
        """Return whether what is hostile passed, or what is ordinary did not."""
        if self.case.contained:
            return self.verdict is Verdict.LEAKED
        if self.case.hostile:
            return self.verdict is Verdict.PASSED
        return self.verdict in {Verdict.REFUSED, Verdict.OTHERWISE}


def lay_out(folder: Path) -> Environment:
    """Make the stack's folder, with the links, the FIFO and the device that the cases name."""
    stack = folder / "stack"
    (stack / "app").mkdir(parents=True)
    (stack / "data").mkdir()
    (stack / "state" / "models").mkdir(parents=True)
    (stack / "app" / "Dockerfile").write_text("FROM x\n", encoding="utf-8")
    for name in ("own.txt", "state/journal", "../x", "../outside.env", "../x.yml"):
        (stack / name).write_text("A=1\n", encoding="utf-8")
    (folder / "x.yml").write_text("services: {x: {image: x}}\n", encoding="utf-8")
    (stack / "link").symlink_to("/etc")
    (stack / "chain").symlink_to("chain-1")
    for number in range(1, 9):
        (stack / f"chain-{number}").symlink_to(f"chain-{number + 1}" if number < 8 else "/root")
    os.mkfifo(stack / "fifo")
    with suppress(PermissionError):  # needs root
        os.mknod(stack / "device", 0o600 | 0o20000, os.makedev(1, 3))
    return Environment(
        "dev",
        "p",
        stack,
        (stack / "docker-compose.yml",),
        docker_host=f"unix://{folder}/nowhere.sock",
        policy=PolicyLevel.DEFAULT,
    )


def judge(cases: Sequence[Case], folder: Path) -> Iterator[Judged]:
    """Judge every case; cases are judged together where Compose takes them together."""
    environment = lay_out(folder)
    for _, alike in groupby(cases, key=lambda case: (case.spelled, case.is_read, case.hostile, case.contained)):
        group = list(alike)
        for start in range(0, len(group), BATCH):
            yield from _judge_batch(group[start : start + BATCH], environment)


def judge_taken(cases: Sequence[Case], folder: Path) -> Iterator[Judged]:
    """Judge cases, spelled alike, of which it is known that Compose takes them."""
    yield from _by_policy(cases, lay_out(folder))


def _judge_batch(batch: Sequence[Case], environment: Environment) -> Iterator[Judged]:
    found = {case.name: resolved for case, resolved in _taken(batch, environment)}
    taken: list[Case] = []
    for case in batch:
        if case.name not in found:
            yield Judged(case, Verdict.NOT_TAKEN)
        elif case.contained and _leaks(case, found[case.name]):
            yield Judged(case, Verdict.LEAKED)
        else:
            taken.append(case)
    if taken:
        yield from _by_policy(taken, environment)


def _by_policy(taken: Sequence[Case], environment: Environment) -> Iterator[Judged]:
    """Judge what Compose takes; by halves where another rule than the policy refuses the whole file."""
    environment.compose_files[0].write_text(compose_file(taken), encoding="utf-8")
    refused = asyncio.run(_refused(environment))
    if refused is not None:
        yield from (Judged(case, Verdict.REFUSED if case.name in refused else Verdict.PASSED) for case in taken)
    elif len(taken) == 1:
        yield Judged(taken[0], Verdict.OTHERWISE)
    else:
        middle = len(taken) // 2
        yield from _by_policy(taken[:middle], environment)
        yield from _by_policy(taken[middle:], environment)


def _taken(batch: Sequence[Case], environment: Environment) -> Iterator[tuple[Case, Mapping[str, Any]]]:
    """Return the cases of which Compose says that they mean something, and what.

    Where it refuses a file, without the case that its schema refuses; by halves where Compose names none.
    """
    environment.compose_files[0].write_text(compose_file(batch), encoding="utf-8")
    done = ask_compose(environment)
    if done.returncode == 0:
        model = read_resolved(done.stdout)
        yield from ((case, _resolved(case, model)) for case in batch if _has_meaning(case, model))
    elif (named := SCHEMA.search(done.stderr)) and (rest := [case for case in batch if case.name != named[1]]) != batch:
        if rest:
            yield from _taken(rest, environment)
    elif len(batch) > 1:
        middle = len(batch) // 2
        yield from _taken(batch[:middle], environment)
        yield from _taken(batch[middle:], environment)


def ask_compose(environment: Environment) -> subprocess.CompletedProcess[str]:
    """Have Compose say what the stack's file means."""
    command = ["docker-compose", "-p", "p", "--env-file", os.devnull, "-f", str(environment.compose_files[0]), "config"]
    variables = {**chosen_programs(), "HOME": str(environment.folder)}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=CONFIG_SECONDS)


def _has_meaning(case: Case, model: Mapping[str, Any]) -> bool:
    """Return whether what Compose resolved still has the field; what it left out harms nobody."""
    if case.is_read:
        return True
    resolved = _resolved(case, model)
    wanted = {case.key.partition(".")[2]: case.value} if case.section == "services" else case.value
    return _has_keys(resolved, wanted)


def _resolved(case: Case, model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the service or the resource of a case, as Compose resolved it."""
    found: Mapping[str, Any] = (model.get(case.section) or {}).get(case.name) or {}
    return found


def _leaks(case: Case, resolved: Mapping[str, Any]) -> bool:
    """Return whether Compose made another key of a field than that field."""
    field = case.key.partition(".")[2]
    return case.section == "services" and not resolved.keys() <= PLAIN_FIELDS | {field} | MADE_OF.get(field, set())


def _has_keys(resolved: object, wanted: object) -> bool:
    """Return whether every key is there; Compose writes values, and lists, in forms of its own."""
    if not isinstance(wanted, Mapping) or not isinstance(resolved, Mapping):
        return True
    return all(key in resolved and _has_keys(resolved[key], value) for key, value in wanted.items())


async def _refused(environment: Environment) -> frozenset[str] | None:
    """Return the names of the cases that the policy names in its refusal; None where another rule refuses the file."""
    engine = Stacks(state_dir=environment.folder / "state", instance_id="HOSTILE", policy_allow=(), redactor=Redactor())
    try:
        await engine.of(environment).resolve(None, write_contents=False)
    except ComposePolicyError as error:
        return frozenset(
            match[1] for line in error.message.splitlines() if (match := WRITER.search(line) or SUBJECT.match(line))
        )
    except RoasError:
        return None
    finally:
        await engine.close()
    return frozenset()
