"""Find the write of ours that a service is what it is by: a bot that resumes follows it, and writes nothing again.

A second write of the same spec would take the place of `PreviousSpec`, which is the way back, and run a job once more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from roas.engine.swarm.judgement import Written, is_of_deployment, nonce_of
from roas.engine.swarm.normal_form import spec_hash
from roas.engine.swarm.tasks import SwarmTask, read_tasks

Json = dict[str, Any]
# An update that was paused begins again by the next write only, and so does one that was rolled back to its end.
GOES_ON = frozenset({"", "updating", "completed"})


def earlier_write(
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
    is_job = "ReplicatedJob" in spec["Mode"]
    if is_job and _has_failed(service, own) and not is_of_deployment(nonce_of(of), deployment):
        return None
    before = nonce_of(spec if of is previous else previous)
    since = _since(service)
    return Written(
        str(service["ID"]),
        nonce_of(of),
        spec_hash(of, networks),
        int((of.get("TaskTemplate") or {}).get("ForceUpdate") or 0),
        before,
        frozenset(one.id for one in own if one.created < since),
    )


def _since(service: Mapping[str, Any]) -> str:
    """Return when the write was made: Swarm changes `UpdatedAt` with each step of an update, too."""
    if not service.get("PreviousSpec"):
        return ""
    return str((service.get("UpdateStatus") or {}).get("StartedAt") or service.get("UpdatedAt") or "")


def _has_failed(service: Mapping[str, Any], own: tuple[SwarmTask, ...]) -> bool:
    """Return whether the last run of a job ended badly: another deployment runs it again, and none that ended well."""
    iteration = int(((service.get("JobStatus") or {}).get("JobIteration") or {}).get("Index") or 0) + 1
    of_run = [one for one in own if one.iteration == iteration]
    total = int(service["Spec"]["Mode"]["ReplicatedJob"].get("TotalCompletions", 1))
    is_done = sum(one.state == "complete" for one in of_run) >= total
    return not is_done and any(one.failed for one in of_run)
