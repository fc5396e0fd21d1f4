"""Advise on services: how they tell that they are ready, how they stop, and how they are replaced."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roas.checks.check import Finding, failed, listed, passed, stack_check
from roas.checks.subject import Subject
from roas.concurrency import in_thread
from roas.errors import ProxyError
from roas.messages.message import said
from roas.models.check import CheckSeverity
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ResolvedStack
from roas.stack.model.x_deploy.proxy import servers_for

SHELLS = frozenset({"sh", "bash", "ash", "dash", "/bin/sh", "/bin/bash", "/bin/ash", "/bin/dash", "/usr/bin/bash"})


@stack_check("health_checks", CheckSeverity.INFO)
async def health_checks(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look for services without a health check, and for health checks that notice readiness late."""
    lasting = [definition for definition in stack.definitions.values() if not definition.one_shot]
    checks = {
        name: health_check
        for name, service in subject.services.items()
        if (health_check := service.get("healthcheck") or {}) and not health_check.get("disable")
    }
    advice = [*_without_health_check(subject, lasting), *_slow_health_checks(checks)]
    return advice or [passed()]


def _without_health_check(subject: Subject, definitions: Iterable[ServiceDefinition]) -> Iterable[Finding]:
    without = {definition.name: definition for definition in definitions if not definition.has_health_check}
    marked = {name for name, definition in without.items() if definition.critical}
    vital = without.keys() & (marked | set(subject.environment.critical_services))
    remedy = said("Add a `healthcheck`; until then the service is reported unverified, never healthy.")
    for critical, severity in ((True, CheckSeverity.WARNING), (False, CheckSeverity.INFO)):
        if names := sorted(vital if critical else without.keys() - vital):
            yield failed(said("No health check: {names}.", names=listed(names)), remedy, severity)


def _slow_health_checks(checks: dict[str, dict[str, Any]]) -> Iterable[Finding]:
    eager = {name: check for name, check in checks.items() if check.get("start_interval")}
    if idle := sorted(name for name, check in eager.items() if not check.get("start_period")):
        message = said("start_interval has no effect without start_period: {idle}.", idle=listed(idle))
        yield failed(message, severity=CheckSeverity.WARNING)
    if slow := sorted(set(checks) - set(eager)):
        message = said("Health checks without start_interval: {slow}.", slow=listed(slow))
        remedy = said("Add `start_period: 30s` and `start_interval: 1s`: then a deployment sees at once that it is up.")
        yield failed(message, remedy)


@stack_check("one_shots", CheckSeverity.INFO)
async def one_shots(_subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look for services that nothing starts again and that have no health check."""
    found = sorted(name for name, service in stack.definitions.items() if service.may_end and not service.one_shot)
    if not found:
        return [passed()]
    message = said("These may be jobs, and an exit with code 0 counts as success: {found}.", found=listed(found))
    remedy = said("Set `x-deploy: {one_shot: true}` for jobs, and `false` for services.")
    return [failed(message, remedy)]


@stack_check("stop_signals", CheckSeverity.INFO)
async def stop_signals(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look for services without `init: true`: as PID 1, a program without a handler ignores its stop signal.

    A job ends by itself.
    """
    jobs = {name for name, definition in stack.definitions.items() if definition.one_shot}
    without = {name: fields for name, fields in subject.services.items() if not fields.get("init") and name not in jobs}
    shells = sorted(name for name, service in without.items() if _starts_a_shell(service))
    rest = sorted(set(without) - set(shells))
    found: list[Finding] = []
    if shells:
        message = said(
            "PID 1 is a shell, which does not pass its stop signal on: {shells} will take 10 s to stop.",
            shells=listed(shells),
        )
        found.append(
            failed(message, said("Add `init: true`, or start the program with `exec`."), CheckSeverity.WARNING)
        )
    if rest:
        message = said("Without `init: true`: {rest}.", rest=listed(rest))
        remedy = said(
            "Add it unless the program handles its stop signal (SIGTERM, or that of its image) itself; without a "
            "handler each stop takes 10 s."
        )
        found.append(failed(message, remedy))
    return found or [passed()]


def _starts_a_shell(service: dict[str, Any]) -> bool:
    """Return whether a shell stays as PID 1; a script that ends in `exec` makes way."""
    text = [str(word) for word in service.get("entrypoint") or service.get("command") or ()]
    return len(text) > 2 and text[0] in SHELLS and text[1] == "-c" and "exec " not in text[2]


@stack_check("start_first", CheckSeverity.WARNING)
async def start_first(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look for what two containers of one service would fight over."""
    found = await _judge_own_service(subject, stack.definitions)
    users = [name for name, definition in sorted(stack.definitions.items()) if definition.start_first]
    for name in users:
        if shared := _writable_volumes(subject.services.get(name, {})):
            message = said(
                "{name} is replaced start-first: two containers will write to {shared} at once.",
                name=name,
                shared=listed(shared),
            )
            remedy = said("Use `stop-first`, unless the program supports that.")
            found.append(failed(message, remedy, CheckSeverity.WARNING))
    return found or [passed()]


async def _judge_own_service(subject: Subject, definitions: Mapping[str, ServiceDefinition]) -> list[Finding]:
    """The bot always starts its successor beside itself: only deployments that would replace it are refused."""
    fixed = {name for name, service in definitions.items() if service.fixed_place and not service.start_first}
    own = await subject.engine.own_container() if fixed else None
    if own is None or own.project != subject.environment.project or own.service not in fixed:
        return []
    place = definitions[own.service].fixed_place
    message = said(
        "{service} is this bot, which cannot be replaced: {place} allows only one container.",
        service=own.service,
        place=place,
    )
    return [failed(message, severity=CheckSeverity.WARNING)]


def _writable_volumes(service: dict[str, Any]) -> list[str]:
    mounts = service.get("volumes") or ()
    return sorted(
        str(mount.get("source"))
        for mount in mounts
        if mount.get("type") == "volume" and mount.get("source") and not mount.get("read_only")
    )


@stack_check("file_binds", CheckSeverity.WARNING)
async def file_binds(subject: Subject, _stack: ResolvedStack) -> list[Finding]:
    """Find writable binds of a single file: replacing the file leaves the container with the old one."""
    binds = {
        (name, str(mount["source"]))
        for name, service in subject.services.items()
        for mount in service.get("volumes") or ()
        if mount.get("type") == "bind" and mount.get("source") and not mount.get("read_only")
    }
    found = await in_thread(_only_files, binds)
    if not found:
        return [passed()]
    message = said("Single files are mounted writable: {found}.", found=listed(found))
    return [failed(message, said("Mount the folder of the file, or mount the file read-only."))]


def _only_files(binds: set[tuple[str, str]]) -> list[str]:
    return sorted(
        said("{name} in {service}", name=Path(source).name, service=service)
        for service, source in binds
        if Path(source).is_file()
    )


@stack_check("proxies", CheckSeverity.WARNING)
async def proxies(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Ask each proxy that `x-deploy.proxy` names, and that runs: its socket, its level, its servers, its resolver."""
    if subject.proxied is None or not any(definition.proxy for definition in stack.definitions.values()):
        return []
    remedy = said("See *{page}* in the documentation.", page="Lose no request")
    found: list[Finding] = []
    for name, definition in sorted(stack.definitions.items()):
        if definition.proxy is None:
            continue
        try:
            problems = await subject.proxied(name, definition.proxy).examine(servers_for(definition))
        except ProxyError as error:
            found.append(failed(error.message, error.hint or remedy))
        else:
            found += [failed(problem, remedy) for problem in problems]
    return found or [passed()]
