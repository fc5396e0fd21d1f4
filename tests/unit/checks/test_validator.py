"""The validator runs every check, and none can hurt another."""

import asyncio
from dataclasses import dataclass

import pytest

from roas.checks.subject import Subject
from roas.checks.validator import CHECKS, EnvironmentValidator
from roas.errors import EngineError, EngineUnavailableError
from roas.models.check import CheckResult, CheckSeverity

NAMES = [
    "compose_by_hand",
    "compose_file",
    "compose_policy",
    "compose_version",
    "container_names",
    "discord_channel",
    "discord_permissions",
    "discord_roles",
    "discord_token",
    "disk",
    "engine",
    "external_resources",
    "file_binds",
    "health_checks",
    "images",
    "jail",
    "memory",
    "notify",
    "one_shots",
    "own_container",
    "ports",
    "project",
    "proxies",
    "redis",
    "second_bot",
    "selinux",
    "signatures",
    "start_first",
    "state_folder",
    "stop_signals",
    "swarm_constraints",
    "swarm_managers",
    "swarm_nodes",
    "swarm_service_names",
    "tested_versions",
    "variables",
    "version",
    "webhooks",
]


@dataclass
class Says:
    """Find what it is told to find."""

    name: str
    severity: CheckSeverity = CheckSeverity.CRITICAL
    passes: bool = True

    async def run(self, subject: Subject) -> list[CheckResult]:
        return [CheckResult(self.name, self.severity, self.passes, "words")]


@dataclass
class Breaks:
    """Raise instead of answering."""

    error: Exception
    name: str = "breaks"
    severity: CheckSeverity = CheckSeverity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        raise self.error


@dataclass
class Hangs:
    """Never answer."""

    name: str = "hangs"
    severity: CheckSeverity = CheckSeverity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        await asyncio.Event().wait()
        raise AssertionError


def validator(*checks: object, deadline: float = 5.0) -> EnvironmentValidator:
    async def no_survey(*_: object) -> Subject:
        raise AssertionError

    return EnvironmentValidator(checks, no_survey, deadline_seconds=deadline)  # type: ignore[arg-type]


async def test_only_failed_critical_check_stops_deployment(subject: Subject) -> None:
    good = await validator(
        Says("a"), Says("b", CheckSeverity.WARNING, False), Says("c", CheckSeverity.INFO, False)
    ).examine(subject)
    bad = await validator(Says("a"), Says("b", CheckSeverity.CRITICAL, False)).examine(subject)
    assert good.passed
    assert [result.check for result in good.warnings] == ["b"]
    assert not bad.passed
    assert [result.check for result in bad.failures] == ["b"]


async def test_results_ordered_by_severity_then_name(subject: Subject) -> None:
    checks = [Says("z", CheckSeverity.INFO), Says("m", CheckSeverity.WARNING), Says("b"), Says("a")]
    report = await validator(*checks).examine(subject)
    assert [result.check for result in report.results] == ["a", "b", "m", "z"]


async def test_crashed_check_fails_and_hides_no_other(subject: Subject) -> None:
    report = await validator(Breaks(ValueError("hunter2")), Says("other", passes=False)).examine(subject)
    assert {result.check for result in report.failures} == {"breaks", "other"}
    assert "ValueError" in report.failures[0].message
    assert "hunter2" not in report.failures[0].message


async def test_known_fault_keeps_message_and_hint(subject: Subject) -> None:
    report = await validator(Breaks(EngineError("No compose.", hint="Install it."))).examine(subject)
    assert (report.failures[0].message, report.failures[0].remedy) == ("No compose.", "Install it.")


async def test_unreachable_engine_in_check_warns(subject: Subject) -> None:
    report = await validator(Breaks(EngineUnavailableError("gone"))).examine(subject)
    assert report.passed
    assert "engine does not answer" in report.warnings[0].message


async def test_hung_check_fails_at_deadline_alone(subject: Subject) -> None:
    report = await validator(Hangs(), Hangs("hangs_too"), Says("quick"), deadline=0.05).examine(subject)
    assert [result.check for result in report.warnings] == ["hangs", "hangs_too"]
    assert "0.05 s" in report.warnings[0].message
    assert report.passed


async def test_own_timeout_not_taken_for_deadline(subject: Subject) -> None:
    report = await validator(Breaks(TimeoutError())).examine(subject)
    assert "internal error (TimeoutError)" in report.failures[0].message


async def test_cancel_cancels_checks(subject: Subject) -> None:
    task = asyncio.create_task(validator(Hangs()).examine(subject))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_all_checks_run_in_stable_order() -> None:
    """Their names are in reports that are stored."""
    assert [check.name for check in CHECKS] == NAMES


async def test_healthy_setup_passes_all_checks(subject: Subject) -> None:
    report = await validator(*CHECKS).examine(subject)
    assert [result for result in report.results if not result.passed] == []
