"""`doctor`: what is wrong with environments, and how to fix it."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from roas.app.application import Application, open_application
from roas.cli.history import ValidationReports
from roas.cli.output import add_row, make_table
from roas.cli.running import (
    AnyEnvironment,
    ExitCode,
    Json,
    Session,
    run_command,
    wanted_environments,
    warn_of_first_use,
)
from roas.errors import RoasError
from roas.messages.message import counted
from roas.models.check import CheckResult, CheckSeverity, ValidationReport
from roas.state.documents import to_json

VERSION_HELP = "Look as a deployment of this version would; by default, of the one that the environment is on."
VersionOption = Annotated[str | None, typer.Option("--version", help=VERSION_HELP)]
All = Annotated[bool, typer.Option("--all", help="List the checks that passed, too.")]


def doctor(
    environment: AnyEnvironment = None, version: VersionOption = None, show_all: All = False, as_json: Json = False
) -> None:
    """Check environments without touching them: exit code 0 when a deployment could begin, else 1."""
    run_command(lambda session: _doctor(session, environment, version, show_all=show_all), as_json=as_json)


async def _doctor(session: Session, name: str | None, version: str | None, *, show_all: bool) -> int:
    wanted = wanted_environments(session.settings, name)[: 1 if name else None]
    warn_of_first_use(session)
    async with open_application(session.settings, instance_prefix="CLI", read_only=True) as application:
        reports = tuple(
            await asyncio.gather(
                *(_validate(application, host.name, version) for environment in wanted for host in environment.by_host)
            )
        )
    passed = all(report.passed for report in reports)
    if session.terminal.as_json:
        session.terminal.document(to_json(ValidationReports(passed, reports)))
    else:
        for report in reports:
            _show_report(session, report, show_all=show_all)
    return ExitCode.SUCCEEDED if passed else ExitCode.FAILED


async def _validate(application: Application, name: str, version: str | None) -> ValidationReport:
    """Validate an environment for a version; unless one is named, for the one that it is on.

    Files that come from a repository are those of its ref now, as a plan would find them.
    """
    current = None if version else await application.state.releases.current(name)
    if current is not None and current.deployment_id is not None:  # what was adopted has no version of its own
        version = current.version or None  # one whose images follow none has no version
    environments, validator = application.environments, application.validator
    try:
        async with application.stacks.repositories.hold(environments[name]):
            return await validator.validate(environments[name], version)
    except RoasError as error:
        fault = CheckResult("repository", CheckSeverity.CRITICAL, False, error.message, error.hint)
        report = await validator.validate(environments[name], version)
        return replace(report, results=(fault, *report.results))


def _show_report(session: Session, report: ValidationReport, *, show_all: bool) -> None:
    good = sum(result.passed for result in report.results)
    session.terminal.say(
        f"{report.environment}: {counted(len(report.failures), 'failure')}, "
        f"{counted(len(report.warnings), 'warning')}, {good} passed"
    )
    shown = [result for result in report.results if show_all or not result.passed]
    if not shown:
        return
    table = make_table("", "check", "what was found", "what to do")
    for result in shown:
        label, style = _label(result)
        add_row(table, (label, result.check, result.message, result.remedy), (style,))
    session.terminal.out.print(table)


def _label(result: CheckResult) -> tuple[str, str]:
    if result.passed:
        return "ok", "green"
    labels = {CheckSeverity.CRITICAL: ("FAILED", "bold red"), CheckSeverity.WARNING: ("warning", "yellow")}
    return labels.get(result.severity, ("note", "dim"))
