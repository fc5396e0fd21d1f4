"""Judge a round: what the journal says at the end has to be what Docker's API shows on managers and nodes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.journal_view import rows
from testbed.waiting import wait_until
from tools.campaigns.swarm.ground import REPLICAS, Ground

SETTLED_SECONDS = 60.0
SUCCEEDED = "succeeded"


@dataclass(frozen=True)
class Before:
    """Hold what there was before a round, and what was asked for in it: versions, and texts of the config."""

    old: str
    new: str
    old_text: str
    new_text: str
    deployments: int
    job_id: str
    runs_of_job: int


@dataclass(frozen=True)
class Ended:
    """Hold how a deployment ended, by the journal; the outcome of one that has not is `None`."""

    outcome: str
    why: str = ""
    warnings: tuple[str, ...] = ()


def deployments(ground: Ground) -> list[Ended]:
    """Return what the journal has of each deployment, the oldest first."""
    kept = rows(ground.folder / "state", "SELECT outcome, document FROM deployments")
    found = [(json.loads(text), outcome) for outcome, text in kept]
    found.sort(key=lambda row: str(row[0]["created_at"]))
    return [
        Ended(str(outcome), (item["problem"] or {}).get("message", ""), tuple(item.get("warnings") or ()))
        for item, outcome in found
    ]


def before(ground: Ground, version: str) -> Before:
    """Look at the stack as it is before a deployment of a version, by default of the one that does not run.

    The config is another one each time, so that each deployment goes through the same steps.
    """
    (old,) = ground.look.versions("web")
    (old_text,) = ground.look.inside("web", "/config/greeting")
    new, count = version or {"v1": "v2", "v2": "v1"}[old], len(deployments(ground))
    job = str((ground.look.service("migrate") or {}).get("ID", ""))
    return Before(old, new, old_text, f"hello {new}, {count}", count, job, ground.look.runs_of_job("migrate"))


def judge(ground: Ground, known: Before, *, seconds: float = SETTLED_SECONDS) -> tuple[Ended, tuple[str, ...]]:
    """Return how the round's deployment ended, empty where none began, and what is wrong."""
    own = deployments(ground)[known.deployments :]
    if len(own) > 1 or any(deployment.outcome == "None" for deployment in own):
        return Ended(""), (f"the journal has {own} of one deployment",)
    ended = own[0] if own else Ended("")
    found: list[str] = []

    def fits() -> bool:
        found[:] = _differences(ground, known, ended.outcome)
        return not found

    wait_until(fits, seconds)
    return ended, tuple(found)


def _differences(ground: Ground, known: Before, outcome: str) -> Iterator[str]:
    """Name what Docker shows and should not; where an operator is asked for, there is nothing to compare with."""
    if outcome == "failed":
        return
    look = ground.look
    wanted, text = (known.new, known.new_text) if outcome == SUCCEEDED else (known.old, known.old_text)
    if (web := look.versions("web")) != {wanted: REPLICAS}:
        yield f"it ended as {outcome or 'nothing'}, and these run: {dict(web)}"
    if (store := look.versions("store")) != {"v1": 1}:
        yield f"of store run {dict(store)}"
    if (texts := look.inside("web", "/config/greeting")) != {text}:
        yield f"web has {texts} instead of {text}"
    running = look.tasks("web", **{"desired-state": "running"})
    if len(running) != REPLICAS or any(wanted not in item["Spec"]["ContainerSpec"]["Image"] for item in running):
        yield f"{len(running)} tasks of web are to run"
    most = {SUCCEEDED: (1, 1), "": (0, 0)}.get(outcome, (0, 1))  # no way back runs one
    job = str((look.service("migrate") or {}).get("ID", ""))
    earlier = known.runs_of_job if job == known.job_id else 0  # it was removed and recreated, and is counted again
    if not most[0] <= (runs := look.runs_of_job("migrate") - earlier) <= most[1]:
        yield f"the job ran {runs} times"
    service = look.service("web") or {}
    if outcome == SUCCEEDED and f":{known.old}@" not in str(service.get("PreviousSpec")):
        yield "a write of the bot took Swarm's way back"
