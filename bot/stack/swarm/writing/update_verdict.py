"""Judge what became of one write to a service: pure logic over what a manager shows of the service and its tasks.

Only this write is judged. Swarm clears the status of the update before in the same transaction in which it takes a
spec, so that a status beside our spec is of our update; and a spec that is not ours is Swarm's rollback, or somebody
else's write, and never a success.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roas.limits import TOLERATED_RESTARTS
from roas.messages.message import said
from roas.stack.containers.readiness import FIND_OUT_WHO
from roas.stack.swarm.normal_form import NONCE, force_of, is_job, spec_hash
from roas.stack.swarm.tasks.tasks import UNPLACED, SwarmTask, failures_before, last_run, read_tasks

# How long a task may wait for a node: Swarm itself waits for ever.
PLACING_SECONDS = 30.0
# How long a node that is there may take to say that it has a task: it does at once, and one that died is known to have
# after some 20 s.
TAKING_SECONDS = 60.0
# And how long a node may take to pull an image.
PREPARING_SECONDS = 300.0
# A rollback beside our spec leads back to it, from what somebody wrote over it meanwhile: its tasks tell, as always.
BACK_TO_OURS = {"rollback_started": "updating", "rollback_paused": "paused", "rollback_completed": "completed"}


class UpdateVerdict(StrEnum):
    """What became of a write."""

    UNDER_WAY = "under_way"
    DONE = "done"
    FAILED = "failed"
    NEVER_STARTED = "never_started"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_PAUSED = "rollback_paused"
    LOST = "lost"
    OVERWRITTEN = "overwritten"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Written:
    """Describe one write: what was sent, and what was there before.

    Tasks of the same spec may be left from an earlier release: how those ended says nothing of this write.
    """

    service_id: str
    nonce: str
    spec_hash: str
    force: int = 0
    nonce_before: str = ""
    tasks_before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UpdateJudgement:
    """Hold the verdict, its reason, and the task that it is about; `stalled` is what it is if Swarm never goes on.

    Of what is done, `is_open` says that Swarm has yet to end its update, and may still roll that back by itself.
    """

    verdict: UpdateVerdict
    reason: str = ""
    task_id: str | None = None
    stalled: "UpdateJudgement | None" = None
    is_open: bool = False


def judge_update(
    written: Written,
    service: Mapping[str, Any] | None,
    tasks: tuple[Mapping[str, Any], ...],
    networks: Mapping[str, str],
    *,
    seconds: float,
    waits: Mapping[str, float] | None = None,
    lost_nodes: Mapping[str, str] | None = None,
) -> UpdateJudgement:
    """Judge a write by what is there now, `seconds` after it; `service` is None where there is none.

    `waits` are the seconds for which each task has been in its state, as far as they were seen: of many replicas, the
    last begins long after the write. `lost_nodes` are names by id: Swarm moves no job from one.
    """
    if service is None or service["ID"] != written.service_id:
        return UpdateJudgement(UpdateVerdict.REMOVED, said("somebody removed the service meanwhile"))
    status = service.get("UpdateStatus") or {}
    state, message = str(status.get("State") or ""), str(status.get("Message") or "")
    own = read_tasks(service, tasks, networks)
    waited = {task.id: seconds if waits is None else waits.get(task.id, 0.0) for task in own}
    new = tuple(task for task in own if task.id not in written.tasks_before)
    if not _is_ours(written, service, networks):
        restored = tuple(task for task in own if task.spec_hash == spec_hash(service["Spec"], networks))
        going = "updating" if state == "rollback_started" else ""
        how = _judge_running(service, going, own, restored, seconds, new, waited)
        return _judge_other_spec(written, service, state, message, new, how)
    state = BACK_TO_OURS.get(state, state)
    if state == "paused":
        return UpdateJudgement(UpdateVerdict.PAUSED, _with_failure(message, new), _last_failed(new))
    current = tuple(task for task in own if task.spec_hash == written.spec_hash)
    if is_job(service["Spec"]):
        return _judge_job(service, current, waited, lost_nodes or {})
    return _judge_running(service, state, own, current, seconds, new, waited)


def _is_ours(written: Written, service: Mapping[str, Any], networks: Mapping[str, str]) -> bool:
    """Return whether a service has the very spec that was written: a hand's update keeps our label."""
    spec = service["Spec"]
    return (
        nonce_of(spec) == written.nonce
        and force_of(spec) == written.force
        and spec_hash(spec, networks) == written.spec_hash
    )


def new_nonce(deployment: str = "") -> str:
    """Return the mark of one write, which says for which deployment it is."""
    return "-".join(filter(None, (deployment, secrets.token_hex(8))))


def is_of_deployment(nonce: str, deployment: str) -> bool:
    """Return whether a mark is of a write for this deployment."""
    return bool(deployment) and nonce.startswith(f"{deployment}-")


def deployment_of(nonce: str) -> str:
    """Return the deployment that a mark is of; empty for a write of none."""
    return nonce.rpartition("-")[0]


def nonce_of(spec: Mapping[str, Any] | None) -> str:
    """Return the mark of the write that a spec is of; empty where it is none of ours."""
    return str(((spec or {}).get("Labels") or {}).get(NONCE) or "")


def _judge_other_spec(
    written: Written,
    service: Mapping[str, Any],
    state: str,
    message: str,
    new: tuple[SwarmTask, ...],
    restored: UpdateJudgement,
) -> UpdateJudgement:
    """Judge a service that has another spec than ours; `restored` is how the tasks of that one are.

    Swarm says `rollback_completed` already when each task is to be replaced, and before the new ones run.
    """
    if not state.startswith("rollback") or nonce_of(service["Spec"]) != written.nonce_before:
        return UpdateJudgement(UpdateVerdict.OVERWRITTEN, said("somebody else changed the service meanwhile"))
    failed = _last_failed(new)
    text = said("Swarm rolled it back{why}", why=_why(new))
    if failed is None:  # `docker service rollback`, or a node that was drained
        text = said("Swarm rolled it back, and none of its tasks is known to have failed")
    rolled_back = UpdateJudgement(UpdateVerdict.ROLLED_BACK, text, failed)
    if state == "rollback_paused" or restored.verdict not in {UpdateVerdict.DONE, UpdateVerdict.UNDER_WAY}:
        return _rollback_failed(message if state == "rollback_paused" else restored.reason, new)
    if state == "rollback_completed" and restored.verdict is UpdateVerdict.DONE:
        return rolled_back
    stalled = restored.stalled
    if stalled is not None:
        stalled = rolled_back if stalled.verdict is UpdateVerdict.DONE else _rollback_failed(stalled.reason, new)
    return UpdateJudgement(UpdateVerdict.UNDER_WAY, said("Swarm rolls it back{why}", why=_why(new)), stalled=stalled)


def _rollback_failed(reason: str, new: tuple[SwarmTask, ...]) -> UpdateJudgement:
    text = said("Swarm's rollback of it failed, too: {message}", message=_with_failure(reason, new))
    return UpdateJudgement(UpdateVerdict.ROLLBACK_PAUSED, text, _last_failed(new))


def _judge_running(
    service: Mapping[str, Any],
    state: str,
    own: tuple[SwarmTask, ...],
    current: tuple[SwarmTask, ...],
    seconds: float,
    new: tuple[SwarmTask, ...],
    waited: Mapping[str, float],
) -> UpdateJudgement:
    """Judge by the tasks of one spec, the `current` ones; of failures, those of `new` tasks count."""
    meant = tuple(task for task in current if task.counts)
    old = [task for task in own if task.counts and task not in meant]
    if state in {"", "completed"} and not old and _all_run(service, meant):
        return UpdateJudgement(UpdateVerdict.DONE, said("its tasks run"), meant[0].id if meant else None)
    if lost := _judge_unplaced(meant, waited):
        return lost
    if state == "updating":  # Swarm itself judges what fails meanwhile
        stalled = _stalled(own, meant, is_whole=not old and _all_run(service, meant))
        return UpdateJudgement(UpdateVerdict.UNDER_WAY, said("Swarm updates it"), stalled=stalled)
    recent = tuple(task for task in current if task in new)
    looping = [task for task in meant if task in new and failures_before(task, recent) > TOLERATED_RESTARTS]
    given_up = [] if meant or not recent else [recent[-1]]
    for swarm_task in (*looping, *given_up):
        failed = next(
            (task for task in reversed(recent) if task.ended_unexpectedly and task.place == swarm_task.place),
            swarm_task,
        )
        return UpdateJudgement(UpdateVerdict.FAILED, failed.reason, failed.id)
    if not meant and not old and seconds > PLACING_SECONDS:
        return UpdateJudgement(UpdateVerdict.NEVER_STARTED, said("no node takes it"))
    return UpdateJudgement(UpdateVerdict.UNDER_WAY, meant[0].reason if meant else "")


def _all_run(service: Mapping[str, Any], meant: tuple[SwarmTask, ...]) -> bool:
    """Return whether as many tasks run as are wanted; of a service on every node, all that there are."""
    running = sum(task.state == "running" for task in meant)
    wanted = (service["Spec"]["Mode"].get("Replicated") or {}).get("Replicas")
    return running >= wanted if wanted is not None else 0 < running == len(meant)


def _stalled(own: tuple[SwarmTask, ...], meant: tuple[SwarmTask, ...], *, is_whole: bool) -> UpdateJudgement | None:
    """Return what it comes to if Swarm never goes on: its updater waits for a task that was given to a node that died.

    What Swarm then starts in its place is not what it waits for. While it does go on, some task is on its way, but for
    the time of its monitor and its delay.
    """
    if is_whole:
        text = said("its tasks run, and Swarm does not end its update")
        return UpdateJudgement(UpdateVerdict.DONE, text, meant[0].id if meant else None, is_open=True)
    if any(task.counts and task.state != "running" for task in own):
        return None
    given_up = next((task.id for task in reversed(own) if not task.counts and not task.has_ended), None)
    text = said("Swarm does not go on with its update: a task was given to a node that is lost")
    return UpdateJudgement(UpdateVerdict.NEVER_STARTED, text, given_up)


def _judge_unplaced(meant: tuple[SwarmTask, ...], waited: Mapping[str, float]) -> UpdateJudgement | None:
    for task in meant:
        seconds = waited[task.id]
        if task.state in UNPLACED and seconds > PLACING_SECONDS:
            return UpdateJudgement(
                UpdateVerdict.NEVER_STARTED, said("no node takes it: {why}", why=task.reason), task.id
            )
        if task.state == "assigned" and seconds > TAKING_SECONDS:
            return UpdateJudgement(UpdateVerdict.NEVER_STARTED, said("its node does not take it"), task.id)
        if task.state == "preparing" and seconds > PREPARING_SECONDS:
            return UpdateJudgement(UpdateVerdict.NEVER_STARTED, said("its node does not get its image"), task.id)
    return None


def _judge_job(
    service: Mapping[str, Any],
    current: tuple[SwarmTask, ...],
    waited: Mapping[str, float],
    lost_nodes: Mapping[str, str],
) -> UpdateJudgement:
    of_run, total = last_run(service, current)
    if sum(task.state == "complete" for task in of_run) >= total:
        return UpdateJudgement(
            UpdateVerdict.DONE, said("it ended with code {code}", code=0), of_run[-1].id if of_run else None
        )
    open_ones = [task for task in of_run if not task.failed and task.state != "complete" and task.desired != "shutdown"]
    if (stuck := next((task for task in open_ones if task.node_id in lost_nodes), None)) is not None:
        node = lost_nodes[stuck.node_id]
        return UpdateJudgement(
            UpdateVerdict.LOST, said("its node {node} is down, and Swarm moves no job to another", node=node), stuck.id
        )
    if lost := _judge_unplaced(tuple(open_ones), waited):
        return lost
    is_given_up = not open_ones and bool(of_run) and waited[of_run[-1].id] > PLACING_SECONDS
    failed = [task for task in of_run if task.failed and (is_given_up or not task.is_too_early)]
    if failed and (not open_ones or len(failed) > TOLERATED_RESTARTS):
        return UpdateJudgement(UpdateVerdict.FAILED, failed[-1].reason, failed[-1].id)
    return UpdateJudgement(UpdateVerdict.UNDER_WAY, open_ones[0].reason if open_ones else "")


def _last_failed(own: tuple[SwarmTask, ...]) -> str | None:
    return next((task.id for task in reversed(own) if task.ended_unexpectedly), None)


def _with_failure(message: str, own: tuple[SwarmTask, ...]) -> str:
    return said("{message}{why}", message=message, why=_why(own))


def _why(own: tuple[SwarmTask, ...]) -> str:
    failed = next((task for task in reversed(own) if task.ended_unexpectedly), None)
    return "" if failed is None else said(" ({reason})", reason=failed.reason)


BY_ANOTHER = frozenset({UpdateVerdict.OVERWRITTEN, UpdateVerdict.REMOVED})


def failure_hint(judged: UpdateJudgement, service: str) -> str:
    """Say what to do about a write that came to a bad end: the release may have no part in that."""
    if judged.verdict in BY_ANOTHER:
        return FIND_OUT_WHO
    if judged.verdict is UpdateVerdict.ROLLED_BACK and judged.task_id is None:
        return said("See whether somebody ran `docker service rollback` or drained a node, then deploy again.")
    if judged.verdict is UpdateVerdict.LOST:
        return said(
            "See that it does not run there any more, bring the node back or remove it (`docker node rm --force`), "
            "then deploy again."
        )
    if judged.verdict is UpdateVerdict.NEVER_STARTED:  # it has written nothing
        return said(
            "See what keeps nodes from it (`docker service ps`): constraints, reservations, nodes that are away, its "
            "image; then deploy again."
        )
    return said(
        "Read the last lines of {service} in the report, correct the release, and deploy again.", service=service
    )
