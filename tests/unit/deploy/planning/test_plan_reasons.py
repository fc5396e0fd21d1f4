"""A plan says of a service on one machine what happens to its containers, and of one on a Swarm what to its tasks."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.changes import StackChanges
from roas.deploy.planning.plan import changed_keys, credentials_of_today, left_alone, volumes_left
from roas.deploy.planning.plan_reasons import find_reasons
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.plan import ServiceAction, ServicePlan
from roas.models.release import ReleaseState
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import ContainerDifference, ServiceDifference

WEB = ServiceDefinition("web", "web:v1", "d", replicas=3)
ONE = ContainerSnapshot("1", "web-1", "web", ContainerState.RUNNING, HealthStatus.NONE, "i", "web:v1", "h")
CURRENT = SimpleNamespace(label="r2", state=ReleaseState.SUCCEEDED)


def changed(definitions: Mapping[str, Any], differing: Mapping[str, ServiceDifference]) -> StackChanges:
    return StackChanges(definitions, differing, restarts=frozenset(), gone=frozenset())


def compared(difference: ServiceDifference, *, is_first: bool = False, on_swarm: bool = False) -> Any:
    """Return what a plan is made of, where web differs so."""
    changes = changed({"web": WEB}, {"web": difference})
    return SimpleNamespace(
        certain=changes,
        most=changes,
        containers=SimpleNamespace(removed=()),
        current=None if is_first else CURRENT,
        as_released={},
        old_model=None,
        new_model={"services": {"web": {}}},
        by_us={},
        on_swarm=on_swarm,
        containers_of=lambda _name: [ONE],
        released_image=lambda _name: ("web:v1", "i"),
    )


def reasons(action: ServiceAction, difference: ServiceDifference, *, on_swarm: bool) -> list[str]:
    plan = replace(ServicePlan("web", action, "web:v1"), changed_keys=("image",))
    return list(find_reasons(compared(difference, on_swarm=on_swarm), plan))


@pytest.mark.parametrize(
    ("action", "difference", "words"),
    [
        (ServiceAction.CREATE, ServiceDifference("web"), "its container is missing"),
        (
            ServiceAction.ADJUST,
            ServiceDifference("web", missing=2),
            "it has 1 of 3 containers",
        ),
        (
            ServiceAction.START,
            ServiceDifference("web", idle=(replace(ONE, state=ContainerState.EXITED),)),
            "its container web-1 is exited",
        ),
        (
            ServiceAction.RECREATE,
            ServiceDifference("web", unlike=(ONE,)),
            "it was changed by hand: its container is not as r2 has it",
        ),
    ],
)
def test_reason_told(action: ServiceAction, difference: ServiceDifference, words: str) -> None:
    for on_swarm in (False, True):
        assert reasons(action, difference, on_swarm=on_swarm) == [words]


@pytest.mark.parametrize(("image", "told"), [("web:v1", True), ("web:v2", False)])
def test_origin_of_a_container_told_only_where_nothing_else_explains(image: str, *, told: bool) -> None:
    """At the first deployment, each service would have said so, beside its new image."""
    comparison = compared(ServiceDifference("web", unlike=(ONE,)), is_first=True)
    plan = ServicePlan("web", ServiceAction.RECREATE, "web:v1", image)
    assert ("it was not made by this bot" in list(find_reasons(comparison, plan))) is told


def test_what_stays_changed_comes_with_how_to_make_it_anew() -> None:
    """Somebody removed the network; a deployment of the same version leaves the containers without one."""
    definitions = {"web": WEB, "db": replace(WEB, name="db")}
    changes = changed(definitions, {})
    comparison: Any = SimpleNamespace(
        most=changes,
        current=SimpleNamespace(label="r2", environment="shop"),
        new_model={"services": {}},
        containers_of=lambda name: [replace(ONE, id=name, service=name)],
        in_place={name: ContainerDifference(changed=("networks: shop_default",)) for name in ("web", "db")},
    )
    *stays, how = left_alone(comparison)
    assert [stay.partition(" ")[0] for stay in stays] == ["db", "web"]
    assert "`roas compose shop -- up -d --force-recreate db web`" in how
    comparison.in_place = {}
    assert not list(left_alone(comparison))


@pytest.mark.parametrize(
    ("certain", "words"),
    [
        (ServiceDifference("web", unlike=(ONE,)), "it is a job, and runs"),
        (None, "it is a job, and runs if its image is another one"),
    ],
)
def test_job_whose_image_is_yet_to_be_built(certain: ServiceDifference | None, words: str) -> None:
    """It runs only where the build gives another image than it had."""
    comparison = compared(ServiceDifference("web", unlike=(ONE,)))
    comparison.most = replace(comparison.most, definitions={"web": replace(WEB, one_shot=True)})
    comparison.certain = changed({"web": WEB}, {} if certain is None else {"web": certain})
    plan = ServicePlan("web", ServiceAction.RECREATE, "web:v1", if_image_differs=certain is None)
    assert next(find_reasons(comparison, plan)) == words


def mounting(*mounts: tuple[str, str, str]) -> dict[str, Any]:
    """Return a resolved model of web that mounts these: kind, source and target."""
    volumes = [dict(zip(("type", "source", "target"), mount, strict=True)) for mount in mounts]
    return {
        "services": {"web": {"volumes": volumes}},
        "volumes": {"data": {"name": "shop_data"}, "data2": {"name": "shop_data2"}, "same": {"name": "shop_data"}},
    }


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ((("volume", "data", "/data"), ("volume", "data2", "/more")), ""),
        ((("volume", "same", "/data/"),), ""),
        ((("volume", "data2", "/data"),), "web mounts shop_data2 at /data instead of the volume shop_data"),
        ((("volume", "", "/data"),), "web mounts a new volume without a name at /data instead of the volume shop_data"),
        ((("volume", "data", "/elsewhere"),), "web no longer mounts the volume shop_data at /data"),
    ],
)
def test_data_that_does_not_come_along_is_told(new: tuple[tuple[str, str, str], ...], told: str) -> None:
    old = (("volume", "data", "/data"), ("bind", "/srv/conf", "/conf"), ("volume", "", "/cache"))
    comparison: Any = SimpleNamespace(respelled=mounting(*old), new_model=mounting(*new))
    end = ": it does not find there what that holds."
    assert [str(text) for text in volumes_left(comparison, "web")] == ([told + end] if told else [])
    assert not tuple(volumes_left(comparison, "added"))
    comparison.respelled = None  # nothing ran before
    assert not tuple(volumes_left(comparison, "web"))


@pytest.mark.parametrize(
    ("running", "coming", "told"),
    [
        ("old", "new", "web gets /run/secrets/key, API_PASSWORD as"),  # changed in the files, and never deployed
        ("new", "new", ""),
        ("old", "old", ""),
    ],
)
def test_rollback_says_which_credential_it_brings_for_the_first_time(running: str, coming: str, told: str) -> None:
    def model(value: str) -> dict[str, Any]:
        mounts = [{"type": "bind", "source": f"/state/{value}", "target": "/run/secrets/key"}]
        return {"services": {"web": {"environment": {"API_PASSWORD": value, "MODE": value}, "volumes": mounts}}}

    comparison: Any = SimpleNamespace(old_model=model(running), new_model=model(coming))
    found = list(credentials_of_today(comparison, model("old")))
    assert [text.startswith(told) for text in found] == ([True] if told else [])


def test_changed_key_is_spelled_so_that_it_is_no_other() -> None:
    old, new = ({"services": {"web": {"environment": keys}}} for keys in ({"A": "1"}, {"\u0410": "1", "A\u200b": "1"}))
    assert changed_keys(old, new, "web") == ("environment.A", r"environment.A\u{200b}", r"environment.\u0410")
