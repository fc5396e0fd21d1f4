"""The campaign of hands: its rounds are whole and repeatable, and its judge sees what is wrong."""

from dataclasses import replace

import pytest

from testbed.compose_labels import NUMBER_LABEL, SERVICE_LABEL
from testbed.home_stack import BOT_SERVICE, PROJECT
from tools.campaigns.crash.facts import ContainerFacts
from tools.campaigns.hands.hands import ACTS
from tools.campaigns.hands.judge import SERVICES, VERSIONED, View, breaches
from tools.campaigns.hands.rounds import Hand, Kind, Moment, all_rounds, covering_first


def container(service: str, **changes: object) -> ContainerFacts:
    labels = {SERVICE_LABEL: service, NUMBER_LABEL: "1"}
    fine = ContainerFacts(service, f"{PROJECT}-{service}-1", "running", "healthy", f"{service}@v1", 1, labels=labels)
    return replace(fine, **changes)


def release(version: str) -> dict[str, object]:
    services = [{"name": item, "image": {"image_id": f"{item}@{version}"}} for item in (BOT_SERVICE, "store", "web")]
    return {"version": version, "services": services}


DRIFTED = {"verdict": "healthy", "drift": [{"service": "web"}]}


def view(**changes: object) -> View:
    containers = tuple(container(name) for name in SERVICES)
    versions = {f"{name}@{version}": version for name in (BOT_SERVICE, "store", "web") for version in ("v1", "v2")}
    status = {"release": release("v1"), "active": None, "lock": None, "health": {"verdict": "healthy"}}
    return replace(View(containers, versions, status, ("DEPLOY-1",), {"DEPLOY-1": 1}), **changes)


def test_every_hand_at_every_moment() -> None:
    rounds = all_rounds(7)
    assert len(rounds) >= 300
    assert {(item.hand, item.moment) for item in rounds} == {(hand, moment) for hand in Hand for moment in Moment}
    assert {item.kind for item in rounds} == set(Kind)
    assert len(all_rounds(7, times=2)) == 2 * len(rounds)
    assert all_rounds(7) == rounds != all_rounds(8)
    assert set(ACTS) == set(Hand)


def test_rounds_that_cover_all_come_first() -> None:
    rounds = all_rounds(7)
    pairs = {(item.hand, item.moment) for item in rounds}
    assert {(item.hand, item.moment) for item in covering_first(rounds)[: len(pairs)]} == pairs
    begun = {(rounds[0].hand, rounds[0].moment)}
    assert {(item.hand, item.moment) for item in covering_first(rounds, begun)[: len(pairs) - 1]} == pairs - begun


def test_judge_finds_nothing_wrong_with_a_whole_stack() -> None:
    assert breaches(view()) == ()


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"containers": view().containers[1:]}, "0 containers of discord-bot"),
        ({"containers": (*view().containers, container(BOT_SERVICE))}, "2 containers of discord-bot"),
        (
            {"containers": (*view().containers[:2], container("web", health="unhealthy"))},
            "home-web-1 (running unhealthy)",
        ),
        ({"containers": (*view().containers[:2], container("web", state="exited"))}, "home-web-1 (exited"),
        (
            {"containers": (*view().containers[:2], container("web", name="x_home-web-1"))},
            "should be called home-web-1",
        ),
        ({"containers": (*view().containers[:2], container("web", image="web@v2"))}, "several versions"),
        ({"containers": (*view().containers, container("stray"))}, "is of no service"),
        ({"containers": (*view().containers[:3], container("redis", cpu_shares=512))}, "redis was changed in place"),
        ({"status": None}, "does not answer"),
        ({"status": {**(view().status or {}), "release": release("v2")}}, "status says web is of v2, and v1 runs"),
        ({"status": {**(view().status or {}), "lock": {}}}, "under way"),
        ({"status": {**(view().status or {}), "health": {"verdict": "unhealthy"}}}, "status says unhealthy"),
        ({"told": {}}, "in the channel 0 times"),
        ({"told": {"DEPLOY-1": 2}}, "in the channel 2 times"),
        ({"asked": "DEPLOY-2"}, "history does not say that DEPLOY-2 has ended"),
        ({"unfinished": ("DEPLOY-1",)}, "live message of DEPLOY-1 is not"),
        ({"status": {**(view().status or {}), "health": DRIFTED}}, "status says that web was changed by hand"),
        ({"by_hand": True, "status": {**(view().status or {}), "health": DRIFTED}}, "no alert says that web was"),
        ({"by_hand": True, "status": {**(view().status or {}), "release": release("v2")}}, "status says web is of v2"),
    ],
)
def test_judge_sees_what_is_wrong(changes: dict[str, object], seen: str) -> None:
    assert any(seen in breach for breach in breaches(view(**changes))), breaches(view(**changes))


@pytest.mark.parametrize(("reason", "well"), [("has restarted 1 time recently", True), ("is paused", False)])
def test_judge_takes_a_restart_that_is_told(reason: str, well: bool) -> None:
    health = {"verdict": "degraded", "services": [{"service": "web", "verdict": "degraded", "reason": reason}]}
    assert (breaches(view(status={**(view().status or {}), "health": health})) == ()) is well


def test_judge_takes_what_is_named_after_a_hand() -> None:
    """Services are of another version than the release, and both status and an alert say which."""
    drift = [{"service": name} for name in VERSIONED]
    status = {**(view().status or {}), "release": release("v2"), "health": {"verdict": "healthy", "drift": drift}}
    assert breaches(view(status=status, by_hand=True, alerted=True)) == ()
    assert breaches(view(status=status, alerted=True)) != ()
