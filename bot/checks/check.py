"""Define what a check is, and word what it finds."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from roas.checks.subject import Subject
from roas.messages.message import joined, said
from roas.models.check import CheckResult, CheckSeverity
from roas.models.stack import ObstacleKind
from roas.models.swarm import SwarmFacts
from roas.stack.interface import ResolvedStack


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one thing that a check found; the severity is the check's own unless another is given."""

    message: str
    remedy: str = ""
    passed: bool = False
    severity: CheckSeverity | None = None


Findings = Awaitable[Finding | list[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `severity` also applies when the check itself hangs or fails.

    What it finds is in `roas doctor`. In a deployment, what is critical ends its validation, and a warning is in its
    outcome; a plan shows neither, but for what a check refuses as things are.
    """

    name: str
    severity: CheckSeverity
    function: Callable[[Subject], Findings]

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Return what was found; an exception counts as a failed check."""
        found = await self.function(subject)
        return [
            CheckResult(self.name, finding.severity or self.severity, finding.passed, finding.message, finding.remedy)
            for finding in (found if isinstance(found, list) else [found])
        ]


def check(name: str, severity: CheckSeverity) -> Callable[[Callable[[Subject], Findings]], Check]:
    """Make a check of a function."""
    return lambda function: Check(name, severity, function)


def stack_check(name: str, severity: CheckSeverity) -> Callable[[Callable[[Subject, ResolvedStack], Findings]], Check]:
    """Make a check of a stack that resolved; where it did not, `compose_file` or `compose_policy` says why."""

    def make(judge: Callable[[Subject, ResolvedStack], Findings]) -> Check:
        async def function(subject: Subject) -> Finding | list[Finding]:
            return [] if subject.stack is None else await judge(subject, subject.stack)

        return Check(name, severity, function)

    return make


def swarm_check(name: str, severity: CheckSeverity) -> Callable[[Callable[[Subject, SwarmFacts], Findings]], Check]:
    """Make a check of a Swarm; a stack on one machine has nothing to check."""

    def make(judge: Callable[[Subject, SwarmFacts], Findings]) -> Check:
        async def function(subject: Subject) -> Finding | list[Finding]:
            facts = await subject.swarm() if subject.swarm is not None else None
            return [] if facts is None else await judge(subject, facts)

        return Check(name, severity, function)

    return make


def passed(message: str = "") -> Finding:
    """Report that a check passed, with what it found where that tells more than the check's name."""
    return Finding(message, passed=True)


def failed(message: str, remedy: str = "", severity: CheckSeverity | None = None) -> Finding:
    """Report what is wrong, and how to fix it where that does not say it already."""
    return Finding(message, remedy, severity=severity)


def obstacles(stack: ResolvedStack, kind: ObstacleKind) -> list[Finding]:
    """Return what resolving the stack found to stand in the way of it."""
    found = (obstacle for obstacle in stack.obstacles if obstacle.kind is kind)
    return [failed(obstacle.message, obstacle.remedy) for obstacle in found]


def listed(names: Iterable[str]) -> str:
    """Return names as people list them: `a, b and c`."""
    found = list(names)
    if not found:
        return ""
    *first, last = found
    return said("{first} and {last}", first=joined(", ", first), last=last) if first else last


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
