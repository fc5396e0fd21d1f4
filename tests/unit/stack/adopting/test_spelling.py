"""A service that was read back from containers, in the words of the file that they were made of."""

from typing import Any

import pytest

from roas.stack.adopting.spelling import read_back_services, respelled
from roas.stack.releases.stack_releases import StackReleases

NAMELESS = "0123456789abcdef" * 4
IMAGE = {"Config": {"Env": ["PATH=/bin"], "Cmd": ["run"], "Volumes": {"/said": {}}}}
BOTH_WAYS = pytest.mark.parametrize("turned", [False, True], ids=["file later", "file before"])


def model(read: dict[str, Any], *, is_read_back: bool = False, **shared: Any) -> dict[str, Any]:
    extension = {"adopted_hash": "h"} if is_read_back else {"written": {"image": "web"}}
    return {"name": "shop", "services": {"web": {**read, "x-deploy": extension}}, **shared}


def in_words_of(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both without what is no container's."""
    found = respelled(old, new, dict.fromkeys(read_back_services(old, new), IMAGE), {})
    for each in (found, new):
        assert each["services"]["web"]["x-deploy"], "whose words they are stays known"
    return tuple(  # type: ignore[return-value]
        {
            **each,
            "services": {"web": {key: value for key, value in each["services"]["web"].items() if key != "x-deploy"}},
        }
        for each in (found, new)
    )


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"healthcheck": {"test": ["x"], "interval": "60000000000ns"}},
        {"healthcheck": {"test": ["x"], "interval": "1m0s"}},
    ),
    ({"stop_grace_period": "90s"}, {"stop_grace_period": "1m30s"}),
    ({}, {"restart": "no"}),
    ({"restart": "on-failure:3"}, {"deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 3}}}),
    ({"mem_limit": "67108864"}, {"deploy": {"resources": {"limits": {"memory": "67108864"}}}}),
    ({"cpus": 0.5}, {"deploy": {"resources": {"limits": {"cpus": "0.5"}}, "mode": "replicated", "labels": {}}}),
    ({"scale": 2}, {"deploy": {"replicas": 2, "resources": {"limits": {}}}}),
    ({}, {"environment": {"PATH": "/bin"}, "command": ["run"], "attach": False}),
    ({"ulimits": {"nproc": {"soft": 5, "hard": 5}}}, {"ulimits": {"nproc": 5}}),
    (
        {"volumes": [{"type": "volume", "source": NAMELESS, "target": "/said"}]},
        {"volumes": [{"type": "volume", "target": "/said/", "volume": {}}]},
    ),
    (
        {"volumes": [{"type": "bind", "source": "/s", "target": "/run/secrets/key", "read_only": True}]},
        {"secrets": [{"source": "key"}]},
    ),
    (
        {"volumes": [{"type": "volume", "source": "shop_data", "target": "/data"}]},
        {"volumes": [{"type": "volume", "source": "data", "target": "/data", "volume": {}}]},
    ),
    ({"networks": {"shop_back": None}}, {"networks": {"back": {"priority": 3}}}),
]
# Earlier versions kept the volume by both names in release 0, also where nothing had the first one.
OF_READ = {
    "volumes": {
        "shop_data": {"name": "shop_data", "external": True},
        "data": {"name": "shop_data"},
        NAMELESS: {"name": NAMELESS, "external": True},
    },
    "networks": {"shop_back": {"name": "shop_back", "driver": "bridge"}},
}
OF_FILE = {
    "volumes": {"data": {"name": "shop_data", "driver": "local"}},
    "networks": {"back": {"name": "shop_back", "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}}},
    "secrets": {"key": {"file": "/s"}},
}


@BOTH_WAYS
@pytest.mark.parametrize(("read", "file"), SAME)
def test_same_in_other_words_is_no_difference(read: dict[str, Any], file: dict[str, Any], *, turned: bool) -> None:
    models = model(read, is_read_back=True, **OF_READ), model(file, **OF_FILE)
    old, new = in_words_of(*(models[::-1] if turned else models))
    assert old["services"] == new["services"]
    kinds = ("networks", "volumes")
    assert [old[kind] for kind in kinds] == [new[kind] for kind in kinds]


@BOTH_WAYS
def test_what_differs_is_all_that_is_left(turned: bool) -> None:
    read = {
        "mem_limit": "2",
        "healthcheck": {"test": ["x"], "interval": "60000000000ns", "retries": 4},
        "environment": {"A": "1"},
        "volumes": [{"type": "bind", "source": "/old", "target": "/data", "bind": {"create_host_path": True}}],
    }
    file = {
        "deploy": {"resources": {"limits": {"memory": "1"}}, "update_config": {"parallelism": 1}},
        "healthcheck": {"test": ["x"], "interval": "1m0s", "retries": 5},
        "environment": {"A": "1", "B": "2", "PATH": "/bin"},
        "volumes": [{"type": "bind", "source": "/new", "target": "/data"}],
    }
    models = model(read, is_read_back=True), model(file)
    old, new = in_words_of(*(models[::-1] if turned else models))
    one, other = old["services"]["web"], new["services"]["web"]
    differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differing == {"mem_limit", "deploy", "healthcheck", "environment", "volumes"}
    assert one["healthcheck"] == {**other["healthcheck"], "retries": 5 if turned else 4}
    assert set(one["environment"]) ^ set(other["environment"]) == {"B"}


def test_two_files_are_compared_as_they_are_written() -> None:
    """Compose makes another container of the same limit in another place."""
    old, new = model({"cpus": 0.5}), model({"deploy": {"resources": {"limits": {"cpus": "0.5"}}}})
    assert respelled(old, new, {}, {}) is old
    assert read_back_services(old, new) == {}


@pytest.mark.parametrize(
    ("pinned", "asked"), [({}, "shop/web@sha256:1"), ({"image_id": "sha256:2"}, "sha256:2")], ids=["before", "today"]
)
async def test_image_is_asked_for_by_what_the_model_says(pinned: dict[str, str], asked: str) -> None:
    """The release before pinned no ID apart: the `image` of a release that it adopted says it all."""
    known: list[str] = []

    class Client:
        def inspect_image(self, reference: str) -> dict[str, Any]:
            known.append(reference)
            return IMAGE

        def info(self) -> dict[str, Any]:
            return {}

    class Engine:
        async def call(self, look: Any) -> Any:
            return look(Client())

    releases: Any = StackReleases.__new__(StackReleases)
    releases._engine = Engine()
    old = model({"image": "shop/web@sha256:1"}, is_read_back=True)
    old["services"]["web"]["x-deploy"] |= pinned
    await releases.respelled(old, model({"image": "web"}))
    assert known == [asked]
