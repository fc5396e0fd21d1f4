"""A volume that has another name is an empty one: a plan says so before a service starts with it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.planning.renamed_volumes import warn_of_empty_volumes
from roas.models.environment import Environment
from roas.stack.interface import ResolvedStack

DEV = Environment("dev", "shop", Path(), ())


def model(*mounts: tuple[str, str], names: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a stack whose web mounts volumes, each at a place."""
    volumes = [{"type": "volume", "source": source, "target": target} for source, target in mounts]
    definitions = {source: {"name": name} for source, name in (names or {}).items()}
    return {"services": {"web": {"volumes": volumes}}, "volumes": definitions}


def warnings(old: dict[str, Any] | None, new: dict[str, Any], *made: str, on_nodes: bool = False) -> list[str]:
    stack = ResolvedStack(DEV, "v2", new, {}, new_volumes=frozenset(made))
    engine = SimpleNamespace(replaces_by_itself=on_nodes)
    comparison: Any = SimpleNamespace(old_model=old, new_model=new, stack=engine)
    return [str(text) for text in warn_of_empty_volumes(comparison, stack)]


def test_renamed_volume_is_told_with_where_the_data_stays() -> None:
    told = warnings(model(("data", "/data")), model(("data2", "/data")), "shop_data2")
    assert told == ["web starts with an empty shop_data2 at /data; its data stays in shop_data."]


def test_volume_at_another_place_takes_the_place_of_what_is_dropped() -> None:
    old = model(("data", "/data"), ("logs", "/logs"))
    new = model(("data2", "/var/data"), ("logs", "/logs"))
    assert warnings(old, new, "shop_data2") == [
        "web starts with an empty shop_data2 at /var/data; its data stays in shop_data."
    ]


def test_name_that_the_file_gives_counts() -> None:
    """The key may stay, and the volume be another one; or the other way round."""
    old = model(("data", "/data"), names={"data": "mine"})
    assert warnings(old, model(("data", "/data")), "shop_data") != []
    assert warnings(old, model(("other", "/data"), names={"other": "mine"}), "shop_data") == []


@pytest.mark.parametrize(
    ("old", "new", "made"),
    [
        (None, model(("data", "/data")), ["shop_data"]),
        (model(("data", "/data")), model(("data", "/data")), ["shop_data"]),
        (model(("data", "/data")), model(("data2", "/data")), []),
        (model(("data", "/data")), model(("data", "/data"), ("more", "/more")), ["shop_more"]),
        (model(), model(("data", "/data")), ["shop_data"]),
    ],
    ids=["the first release", "the same", "one that is there", "one more", "the first volume"],
)
def test_others_are_not_told(old: dict[str, Any] | None, new: dict[str, Any], made: list[str]) -> None:
    assert warnings(old, new, *made) == []


def test_of_a_swarm_nobody_knows_what_the_node_has() -> None:
    told = warnings(model(("data", "/data")), model(("data2", "/data")), "shop_data2", on_nodes=True)
    assert "shop_data2 at /data, empty on a node without it; its data stays in shop_data." in told[0]
