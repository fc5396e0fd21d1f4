"""The campaign's judge sees each breach of what is promised, and nothing where nothing is wrong."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from tools.campaigns.crash.facts import ContainerFacts, Facts
from tools.campaigns.crash.journal import JournalFacts, Written
from tools.campaigns.crash.judge import breaches

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ACTOR = Actor(ActorKind.SYSTEM, "0", "campaign")


def container(service: str, number: int = 1, **changes: object) -> ContainerFacts:
    labels = {
        "com.docker.compose.project": "home",
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.config-hash": f"hash-{service}",
    }
    base = ContainerFacts(f"{service}{number}", f"home-{service}-{number}", "running", "healthy", f"{service}:2", 7)
    return replace(base, **{"labels": labels, **changes})


def deployment(outcome: Outcome | None = Outcome.SUCCEEDED, **changes: object) -> Deployment:
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, ACTOR, version="v2")
    base = Deployment("DEPLOY-1", request, "standard", "c", NOW, from_release=1, to_release=2, outcome=outcome)
    return replace(base, **changes)


def facts(**changes: object) -> Facts:
    services = tuple(ReleaseService(name, ImagePin(name, f"{name}:2"), "d") for name in ("discord-bot", "store"))
    journal = JournalFacts(
        deployments=(deployment(),),
        release=Release("dev", 2, "v2", ReleaseState.SUCCEEDED, services, "m", NOW, ACTOR),
        lease=LeaderLease("BOT-2", 2, "boot", 1.0),
        heartbeat=Heartbeat("BOT-2", "boot", 1.0, container_id="discord-bot2"),
        heartbeat_age_seconds=0.4,
        written=(
            Written(1, "lock_changed", "DEPLOY-1", "BOT-1", "BOT-1"),
            Written(2, "deployment_phase_changed", "", "BOT-1"),
            Written(3, "lock_changed", "", "BOT-1", "BOT-2"),
            Written(4, "deployment_finished", "", "BOT-2"),
        ),
    )
    base = Facts(
        containers=(container("discord-bot", 2), container("store")),
        journal=journal,
        hashes={"discord-bot": frozenset({"hash-discord-bot"}), "store": frozenset({"hash-store", "adopted"})},
    )
    journal_changes = {name: changes.pop(name) for name in list(changes) if hasattr(journal, name)}
    return replace(base, journal=replace(journal, **journal_changes), **changes)


BOT = container("discord-bot", 2)
STORE = container("store")
FAILED = Problem("rollback_failed", "The rollback failed too.")
LATE = (*facts().journal.written, Written(5, "service_progressed", "", "BOT-1"))
NOTED = (
    *facts().journal.written[:3],
    Written(4, "service_health_changed", "", "BOT-1", at=9.0),
    Written(5, "deployment_finished", "", "BOT-2", at=10.0),
)
BREACHES = {
    "ended": [{"unfinished": ("DEPLOY-1",)}],
    "honest end": [
        {
            "deployments": (
                deployment(Outcome.FAILED, problem=FAILED, services=(ServiceProgress("store", ServiceStep.CREATING),)),
            )
        },
        {"deployments": (deployment(Outcome.ROLLED_BACK),)},
    ],
    "one bot": [
        {"containers": (STORE,)},
        {"containers": (BOT, container("discord-bot", 3), STORE)},
        {"containers": (replace(BOT, health="starting"), STORE)},
        {"containers": (replace(BOT, state="exited"), STORE)},
        {"killed": frozenset({7})},
    ],
    "labels": [
        {"containers": (replace(BOT, name="0123456789ab_home-discord-bot-2"), STORE)},
        {"containers": (BOT, replace(STORE, labels={}))},
        {"containers": (BOT, replace(STORE, labels={**STORE.labels, "com.docker.compose.config-hash": "old"}))},
        {"containers": (BOT, replace(STORE, labels={**STORE.labels, "com.docker.compose.oneoff": "True"}))},
    ],
    "whole": [
        {"containers": (BOT, replace(STORE, image="store:1"))},
        {"containers": (BOT, replace(STORE, health="unhealthy"))},
        {"containers": (BOT,)},
        {"release": None},
    ],
    "no leftovers": [
        {"containers": (BOT, STORE, container("web"))},
        {"containers": (BOT, STORE, container("store", 2, state="created"))},
        {"locks": ("dev",)},
    ],
    "leader lease": [
        {"lease": None},
        {"heartbeat": None},
        {"heartbeat": Heartbeat("BOT-1", "boot", 1.0, container_id="discord-bot1")},
        {"heartbeat_age_seconds": 30.0},
    ],
    "one writer": [{"written": LATE}],
    "one leader": [{"written": NOTED}],
    "intent before act": [{"unannounced": ("before predecessor's “execution: create_service store”",)}],
}


def test_clean_end_has_no_breach():
    assert breaches(facts()) == ()


def test_adopted_container_is_no_breach():
    adopted = replace(STORE, labels={**STORE.labels, "com.docker.compose.config-hash": "adopted"})
    assert breaches(facts(containers=(BOT, adopted))) == ()


def test_unaccepted_deployment_has_no_breach():
    assert breaches(facts(deployments=())) == ()


def test_failure_before_changes_has_no_breach():
    refused = deployment(Outcome.FAILED, problem=FAILED, from_release=2, to_release=None)
    assert breaches(facts(deployments=(refused,))) == ()


def test_outgoing_leader_may_record_health():
    """A bot that is just losing its leadership may still write the health of a service."""
    assert breaches(facts(written=(*NOTED[:3], replace(NOTED[3], at=1.0), NOTED[4]))) == ()


def test_returning_leader_may_record_health():
    """A bot that leads again after the other has died may write the health of a service."""
    assert breaches(facts(written=(*NOTED[:4], replace(NOTED[4], instance_id="BOT-3", type="lock_changed")))) == ()


@pytest.mark.parametrize(
    ("invariant", "changes"),
    [pytest.param(name, item, id=f"{name} {n}") for name, all_ in BREACHES.items() for n, item in enumerate(all_)],
)
def test_each_breach_detected(invariant, changes):
    assert any(text.startswith(f"{invariant}: ") for text in breaches(facts(**changes))), breaches(facts(**changes))
