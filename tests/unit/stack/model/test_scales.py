"""A service can have another number of replicas than its files say, which find theirs again to the letter."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Scale
from roas.stack.model.definitions import read_definitions
from roas.stack.model.scales import is_scaled, kept_numbers, why_not_scaled, with_numbers, written_replicas
from roas.stack.model.services import as_files_say, replicas_of

WHO = Actor(ActorKind.DISCORD, "7", "dora")


def model_of(**web: Any) -> Mapping[str, Any]:
    """Return a model of web and a store."""
    return {"name": "shop", "services": {"web": {"image": "web:v1", **web}, "store": {"image": "store:v1"}}}


def scale(replicas: int, written: int) -> dict[str, Scale]:
    """Return that web was scaled."""
    return {"web": Scale("dev", "web", replicas, written, WHO, "the fair", datetime.now(UTC))}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ({}, 1),
        ({"scale": 2}, 2),
        ({"scale": 0}, 0),
        ({"deploy": {"replicas": 2}}, 2),
        ({"deploy": {"replicas": 2, "mode": "replicated"}, "scale": 2}, 2),
        ({"deploy": {"mode": "replicated"}, "x-deploy": {"critical": True}}, 1),
        ({"deploy": {}}, 1),
    ],
)
@pytest.mark.parametrize("number", [0, 3])
def test_number_is_changed_and_found_again(said: dict[str, Any], written: int, number: int) -> None:
    """Where a file says it, Compose refuses another number beside it; the definition is the same but for the number."""
    model = model_of(**said)
    scaled = with_numbers(model, {"web": number})
    web = scaled["services"]["web"]
    assert (replicas_of(web), written_replicas(web), is_scaled(web)) == (number, written, True)
    assert {web.get("scale", number), (web.get("deploy") or {}).get("replicas", number)} == {number}
    assert scaled["services"]["store"] == model["services"]["store"]
    before, after = read_definitions(model)["web"], read_definitions(scaled)["web"]
    assert (after.replicas, after.definition_hash) == (number, before.definition_hash)
    assert with_numbers(scaled, {"web": 5})["services"]["web"] == with_numbers(model, {"web": 5})["services"]["web"]
    assert with_numbers(scaled, {}) == model
    assert with_numbers(model, {}) is model
    assert not is_scaled(as_files_say(scaled)["services"]["web"]), "no file says so"


@pytest.mark.parametrize(
    ("web", "scales", "of_files", "kept"),
    [
        ({}, {}, True, {}),
        ({}, scale(3, 1), True, {"web": 3}),
        ({"scale": 1}, scale(3, 1), True, {"web": 3}),
        ({"scale": 2}, scale(3, 1), True, {}),
        ({"scale": 3}, scale(3, 1), True, {}),
        ({"scale": 2}, scale(3, 1), False, {"web": 3}),
        ({"container_name": "shop"}, scale(3, 1), True, {}),
        ({"container_name": "shop"}, scale(0, 1), True, {"web": 0}),
        ({"container_name": "shop"}, scale(3, 1), False, {}),
    ],
)
def test_scale_holds_until_the_files_say_another_number(
    web: dict[str, Any], scales: dict[str, Scale], of_files: bool, kept: dict[str, int]
) -> None:
    model = model_of(**web)
    assert kept_numbers(model, read_definitions(model), scales, on_single_machine=True, of_files=of_files) == kept
    gone = {"name": "shop", "services": {"store": {"image": "store:v1"}}}
    assert kept_numbers(gone, read_definitions(gone), scales, on_single_machine=True, of_files=of_files) == {}


@pytest.mark.parametrize(
    ("web", "replicas", "on_swarm", "why"),
    [
        ({}, 1000, False, ""),
        ({"container_name": "shop"}, 2, False, "the fixed name shop allows only one"),
        ({"container_name": "shop"}, 1, False, ""),
        ({"ports": [{"published": "80", "target": 80}]}, 2, False, "the fixed host port 80 allows only one"),
        ({"ports": [{"published": "80", "target": 80}]}, 2, True, ""),
        ({"ports": [{"published": "80-90", "target": 80}]}, 2, False, ""),
        ({"network_mode": "host"}, 2, False, "the host's network allows only one"),
        ({"deploy": {"mode": "global"}}, 2, True, "`mode: global` gives it a task on each node"),
        ({"x-deploy": {"one_shot": True}}, 2, False, "it is a job, which runs with a deployment"),
    ],
)
def test_what_cannot_be_scaled_says_why(web: dict[str, Any], replicas: int, on_swarm: bool, why: str) -> None:
    assert why_not_scaled(read_definitions(model_of(**web))["web"], replicas, on_single_machine=not on_swarm) == why
