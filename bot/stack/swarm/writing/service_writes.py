"""Write a service with what it shares: networks, configs and secrets; and remove of these what nothing needs."""

import base64
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from roas.concurrency import leave_if_interrupted, pause
from roas.errors import EngineError
from roas.limits import SWARM_RETRY_SECONDS, SWARM_SHARED_SECONDS
from roas.messages.message import said
from roas.models.stack import ServiceDefinition
from roas.stack.docker.api_errors import ApiError
from roas.stack.swarm.calls import OutOfSequenceError, SharedGoneError, SwarmCalls, hostname
from roas.stack.swarm.normal_form import SERVICE, force_of, is_job, is_of, spec_hash
from roas.stack.swarm.tasks.tasks import ENDED, SwarmTask, last_run, read_tasks
from roas.stack.swarm.writing.container_spec import NANOSECONDS
from roas.stack.swarm.writing.external_objects import CONFIGS, SECRETS, ExternalFile, external_files
from roas.stack.swarm.writing.service_spec import (
    KeptFile,
    SwarmIds,
    kept_files,
    network_name,
    network_spec,
    networks_of,
    service_spec,
)
from roas.stack.swarm.writing.update_verdict import Written, is_of_deployment, nonce_of
from roas.stack.swarm.writing.writer import Seen, SwarmWriter, see_service


def make_shared(calls: SwarmCalls, project: str, model: Mapping[str, Any], services: Collection[str]) -> SwarmIds:
    """Create what services of a model need and is not there yet; returns the ids of all of it, by name.

    Names are deterministic: what another process made meanwhile is taken. Raises EngineError where that is not ours.
    """
    keys = dict.fromkeys(key for name in services for key in networks_of(model["services"][name]))
    names = {network_name(project, key, model) for key in keys}
    networks = {name: network_id for network_id, name in calls.network_names(names=names).items()}
    for key in keys:
        _make_network(calls, project, key, model, networks)
    files = [file for name in services for file in kept_files(project, model["services"][name])]
    others = [file for name in services for file in external_files(model, model["services"][name])]
    configs, secrets = (
        _make_files(calls, project, kind, files) | _find_external(calls, kind, others) for kind in (CONFIGS, SECRETS)
    )
    return SwarmIds(networks, configs, secrets)


def remove_unneeded(calls: SwarmCalls, project: str, is_needed: Callable[[str], bool]) -> None:
    """Remove the configs and secrets of a stack whose content nothing needs; what a service still uses stays."""
    for kind in (CONFIGS, SECRETS):
        for name, found in calls.named(kind, project).items():
            if not is_needed(name.rpartition("-")[2]):
                with suppress(ApiError):
                    calls.remove(kind, str(found["ID"]))


def _make_network(
    calls: SwarmCalls, project: str, key: str, model: Mapping[str, Any], networks: dict[str, str]
) -> None:
    name = network_name(project, key, model)
    if name in networks:
        return
    if ((model.get("networks") or {}).get(key) or {}).get("external"):
        raise EngineError(
            said("The Swarm has no network {name}, which the compose file calls external.", name=name),
            hint=said("Create it: `docker network create --driver overlay {name}`.", name=name),
        )
    with suppress(OutOfSequenceError):  # another process was first
        networks[name] = calls.create("networks", network_spec(project, key, model))
        return
    networks |= {found: network_id for network_id, found in calls.network_names().items()}


def _make_files(calls: SwarmCalls, project: str, kind: str, files: Iterable[KeptFile]) -> dict[str, str]:
    wanted = {kept.name: kept for kept in files if kept.kind == kind}
    there = calls.named(kind) if wanted else {}
    for name, file in wanted.items():
        if name not in there:
            spec = file.spec(project)
            with suppress(OutOfSequenceError):
                calls.create(kind, spec)
            there = calls.named(kind)
        # Of a secret, Swarm does not show what it holds.
        if not is_of(there[name], project) or (kind == CONFIGS and not _holds(there[name], file)):
            raise EngineError(
                said("The Swarm has another {kind} with the name {name}.", kind=kind.removesuffix("s"), name=name),
            )
    return {name: str(there[name]["ID"]) for name in wanted}


def _find_external(calls: SwarmCalls, kind: str, files: Iterable[ExternalFile]) -> dict[str, str]:
    """Return the ids of what is external, by name. Raises EngineError where the Swarm does not have it."""
    wanted = {file.called: file.name for file in files if file.kind == kind}
    there = calls.beginning_with(kind, wanted) if wanted else {}
    if missing := sorted(wanted.keys() - there.keys()):
        raise EngineError(
            said(
                "The Swarm has no {kind} {name}, which the compose file calls external.",
                kind=kind.removesuffix("s"),
                name=missing[0],
            ),
            hint=said(
                "Create it again (`roas secret set`, or `docker config create`), then deploy.",
            ),
        )
    return {name: str(there[name]["ID"]) for name in wanted}


def _holds(config: Mapping[str, Any], file: KeptFile) -> bool:
    return base64.b64decode(config["Spec"].get("Data") or "") == file.source.read_bytes()


Json = dict[str, Any]
POLL_SECONDS = 0.25
# How long a node may take to report that a task has stopped, beyond the task's own `stop_grace_period`.
REPORT_SECONDS = 30.0
GRACE_NANOSECONDS = 10 * NANOSECONDS
# An update that was paused begins again by the next write only, and so does one that was rolled back to its end.
GOES_ON = frozenset({"", "updating", "completed"})


async def end_earlier_run(writer: SwarmWriter, spec: Mapping[str, Any], seen: Seen) -> Seen:
    """Return what is there of a service once no earlier run of its job goes on.

    A run that goes on is ended by removing the job, which is written again right after; so is waited for one whose job
    was removed before. Swarm updates no job, so that this takes no way back: that is the stored release. Raises
    EngineError where a run does not end in time.
    """
    if not is_job(spec) and not is_job((seen.service or {}).get("Spec") or {}):
        return seen
    project = writer.engine.project
    service = seen.service if is_of(seen.service, project) else None
    running = await writer.ask(lambda calls: _running(calls, project, spec, service))
    if not running:
        return seen
    if service is not None:
        await writer.ask(lambda calls: calls.remove("services", str(service["ID"])))
    began, limit = time.monotonic(), _grace_seconds(running) + REPORT_SECONDS
    while running:
        if time.monotonic() - began > limit:
            raise await _still_running(writer, spec, running, limit)
        await pause(POLL_SECONDS)
        leave_if_interrupted()
        running = await writer.ask(lambda calls: _running(calls, project, spec, service))
    return seen if service is None else replace(seen, service=None, tasks=())


def _running(
    calls: SwarmCalls, project: str, spec: Mapping[str, Any], service: Mapping[str, Any] | None
) -> tuple[Json, ...]:
    """Return the tasks of a job that have not ended, also of one of that name that was removed."""
    name = str(spec["Labels"].get(SERVICE) or "")
    return tuple(
        entry
        for entry in calls.tasks_of_stack(project)
        if entry.get("JobIteration") is not None
        and (entry.get("Status") or {}).get("State") not in ENDED
        and (_service_of(entry) == name or (service is not None and entry.get("ServiceID") == service["ID"]))
    )


def _service_of(task: Mapping[str, Any]) -> str:
    return str((((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Labels") or {}).get(SERVICE) or "")


def _grace_seconds(tasks: Iterable[Mapping[str, Any]]) -> float:
    specs = ((task.get("Spec") or {}).get("ContainerSpec") or {} for task in tasks)
    return max(float(spec.get("StopGracePeriod") or GRACE_NANOSECONDS) for spec in specs) / NANOSECONDS


async def _still_running(
    writer: SwarmWriter, spec: Mapping[str, Any], running: Iterable[Json], limit: float
) -> EngineError:
    nodes = {str(entry["ID"]): hostname(entry) for entry in await writer.ask(lambda calls: calls.nodes())}
    there = sorted({nodes.get(str(entry.get("NodeID")), "-") for entry in running})
    return EngineError(
        said(
            "{service} does not run again: its earlier run was stopped, and {nodes} has not said for {seconds} s that "
            "it ended.",
            service=str(spec["Name"]),
            nodes=", ".join(there),
            seconds=round(limit),
        ),
        hint=said("See that it has ended there (`docker ps`), bring the node back or remove it, then deploy again."),
    )


def previous_write(
    service: Mapping[str, Any],
    tasks: Iterable[Mapping[str, Any]],
    wanted: Mapping[str, Any],
    networks: Mapping[str, str],
    deployment: str = "",
) -> Written | None:
    """Return the write by which a service has, or had until Swarm began to roll it back, the wanted spec.

    None where there is none to follow: the service has another spec, it was paused, or it is rolled back, or its job
    failed, for another deployment. One that failed for this one while no bot lived has failed.
    """
    tasks = tuple(tasks)
    state = str((service.get("UpdateStatus") or {}).get("State") or "")
    spec, previous = service["Spec"], service.get("PreviousSpec") or {}
    of = spec if state in GOES_ON else {}
    # What another deployment wrote is being rolled back by a hand: that says nothing of this one.
    if state == "rollback_started" and is_of_deployment(nonce_of(previous), deployment):
        of = previous
    if not nonce_of(of) or spec_hash(of, networks) != spec_hash(wanted, networks):
        return None
    own = read_tasks(service, tasks, networks)
    if is_job(spec) and _has_failed(service, own) and not is_of_deployment(nonce_of(of), deployment):
        return None
    before = nonce_of(spec if of is previous else previous)
    since = _since(service)
    return Written(
        str(service["ID"]),
        nonce_of(of),
        spec_hash(of, networks),
        force_of(of),
        before,
        frozenset(task.id for task in own if task.created < since),
    )


def _since(service: Mapping[str, Any]) -> str:
    """Return when the write was made: Swarm changes `UpdatedAt` with each step of an update, too."""
    if not service.get("PreviousSpec"):
        return ""
    return str((service.get("UpdateStatus") or {}).get("StartedAt") or service.get("UpdatedAt") or "")


def _has_failed(service: Mapping[str, Any], own: tuple[SwarmTask, ...]) -> bool:
    """Return whether the last run of a job ended badly: another deployment runs it again, and none that ended well."""
    of_run, total = last_run(service, own)
    is_done = sum(task.state == "complete" for task in of_run) >= total
    return not is_done and any(task.failed for task in of_run)


async def write_service(
    writer: SwarmWriter,
    model: Mapping[str, Any],
    definition: ServiceDefinition,
    *,
    recreate: bool,
    deployment: str,
) -> Written:
    """Write a service with what it shares, or return the earlier write that it is what it is by. Raises EngineError.

    What it shares is made again where somebody removed it meanwhile.
    """
    project = writer.engine.project

    def begin(calls: SwarmCalls) -> tuple[Json, Seen]:
        ids = make_shared(calls, project, model, [definition.name])
        names = {network_id: name for name, network_id in ids.networks.items()}
        spec = service_spec(project, model, definition, ids=ids)
        return spec, see_service(calls, str(spec["Name"]), names)

    began = time.monotonic()
    while True:
        try:
            spec, seen = await writer.ask(begin)
            if not recreate and (written := _earlier(seen, spec, deployment)) is not None:
                return written
            seen = await end_earlier_run(writer, spec, seen)
            return await writer.write(spec, recreate=recreate, deployment=deployment, seen=seen)
        except SharedGoneError:
            if time.monotonic() - began > SWARM_SHARED_SECONDS:
                raise
        await pause(SWARM_RETRY_SECONDS)
        leave_if_interrupted()


def _earlier(seen: Seen, spec: Mapping[str, Any], deployment: str) -> Written | None:
    """Return the write of ours that a service has this spec by, where there is one to follow."""
    if seen.service is None:
        return None
    return previous_write(seen.service, seen.tasks, spec, seen.networks, deployment)
