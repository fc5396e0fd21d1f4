"""A power is what it does: as root what acts as root, never what is the bot's, and judged in a moment."""

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roas.errors import ComposePolicyError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.holdings import NOTHING_HELD, EngineHoldings, HeldVolume
from roas.stack.policy.power import MARK, identities, recorded

FOLDER = Path("/srv/shop")
STACK = Environment("dev", "shop", FOLDER, (FOLDER / "compose.yaml",), policy=PolicyLevel.ASK)
STATE = Path("/var/lib/roas")
POLICY = ComposePolicy((), STATE)
MOUNTS = {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]}
OPTIONS = {"type": "none", "o": "bind", "device": "/mnt"}
# Of a judgement that took minutes to hours: as many as a model may have, and seconds of a processor, which others want.
MOST, SECONDS = 1000, 10.0


def powers(
    services: dict[str, Any],
    holdings: EngineHoldings = NOTHING_HELD,
    level: PolicyLevel = PolicyLevel.ASK,
    **more: Any,
) -> frozenset[str]:
    model, environment = {"services": services, **more}, replace(STACK, policy=level)
    found = POLICY.check(model, environment, (), holdings)
    return frozenset(identities((*found, *POLICY.check_bound(model, environment)), model))


def bind(source: str, **options: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/x", "read_only": True, "bind": options}]}


@pytest.mark.parametrize(
    "source",
    ["/run/containerd/containerd.sock", "/run/containerd", "/proc", "/proc/1/root", "/opt/lxd/api.socket", "{socket}"],
)
def test_socket_that_is_only_read_is_root(tmp_path: Path, source: str) -> None:
    """Whoever may read it talks to who listens there; and processes of others show their files."""
    place = tmp_path / "listener"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        path = source.replace("{socket}", str(place))
        (found,) = powers({"web": bind(path)})
    assert found.startswith(f"web: path {path}{MARK}")


def test_link_to_what_may_not_be_read_is_what_it_leads_to(tmp_path: Path) -> None:
    """On Python 3.11, `os.path.realpath` is refused there; on 3.13 it is not."""
    (tmp_path / "link").symlink_to("/proc/1/cwd/../root/etc")
    (tmp_path / "around").symlink_to(".")
    (found,) = powers({"web": bind(f"{tmp_path}/around/link")})
    assert found.startswith(f"web: path /proc/1/root/etc{MARK}")


def test_bind_that_is_written_below_is_no_read() -> None:
    (found,) = powers({"web": bind("/srv/media", recursive="writable")})
    assert found.startswith(f"web: path /srv/media{MARK}")
    assert powers({"web": bind("/srv/media", recursive="readonly")}) == {"web: reads /srv/media"}


def test_volume_that_exists_has_the_power_of_its_options() -> None:
    """It is called as in a file that has the options, and is new with another program of who mounts it."""
    there = EngineHoldings({"shop_data": HeldVolume("local", OPTIONS, "shop")}, ())
    written = powers({"web": MOUNTS}, volumes={"data": {"driver_opts": OPTIONS}})
    assert powers({"web": MOUNTS}, there, volumes={"data": {}}) == written
    assert powers({"web": MOUNTS | {"command": ["other"]}}, there, volumes={"data": {}}) != written
    joined = powers({"web": MOUNTS, "job": {"pid": "service:web"}}, there, volumes={"data": {}})
    assert any(name.startswith("job: pid service:web") for name in joined)


def test_who_joins_a_reader_of_the_host_reads_it() -> None:
    joined = powers({"web": bind("/etc/ssl"), "job": {"pid": "service:web"}})
    assert any(name.startswith("job: pid service:web") for name in joined)


@pytest.mark.parametrize("level", PolicyLevel)
@pytest.mark.parametrize(
    "options",
    [
        {"type": "none", "o": "bind", "device": str(STATE)},
        {"type": "none", "o": "bind", "device": f"{STATE}/../roas/journal"},
        {"type": "none", "o": "bind", "device": "/var"},
        {"type": "overlay", "o": f"lowerdir={STATE}:/a,upperdir=/b", "device": "overlay"},
    ],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_state_is_given_by_no_volume(options: dict[str, str], *, level: PolicyLevel, is_there: bool) -> None:
    there = EngineHoldings({"shop_data": HeldVolume("local", options, "shop")}, ())
    volumes = {"data": {} if is_there else {"driver_opts": options}}
    with pytest.raises(ComposePolicyError, match=r"the bot's own .* \(nothing allows that\)"):
        powers({"web": MOUNTS}, there if is_there else NOTHING_HELD, level, volumes=volumes)


@pytest.mark.parametrize("device", [":/", ":/var", f":{STATE}", "//server/share"])
def test_volume_of_another_machine_is_a_power(device: str) -> None:
    (found,) = powers({"web": MOUNTS}, volumes={"data": {"driver_opts": {"o": "addr=10.0.0.1", "device": device}}})
    assert found.startswith(f"data: volume device={device}, o=")


@pytest.mark.parametrize("source", ["/engine/volumes/state/_data", "/engine/volumes/state/_data/contents", "/engine"])
def test_state_in_a_volume_is_given_by_no_path(source: str) -> None:
    """Also by one that this process does not see."""
    place = "/engine/volumes/state/_data"
    there = EngineHoldings({"state": HeldVolume("local", {}, "bot", place)}, (), state_volumes=frozenset({"state"}))
    with pytest.raises(ComposePolicyError, match="the bot's own"):
        powers({"web": {"volumes": [{"type": "bind", "source": source, "target": "/x"}]}}, there)


def test_key_for_the_whole_file_is_a_power_by_what_it_says() -> None:
    """Whatever a later Compose makes of it."""
    assert powers({"web": {}}, models={"llm": {"model": "a"}}) != powers({"web": {}}, models={"llm": {"model": "b"}})
    assert powers({"web": {}}, later={"a": 1}) != powers({"web": {}}, later={"a": 2})


@pytest.mark.parametrize("field", ["pid", "network_mode", "ipc"])
def test_chain_of_namespaces_is_judged_in_a_moment(field: str) -> None:
    began = time.process_time()
    powers({f"s{n}": {field: f"service:s{n - 1}"} if n else {} for n in range(MOST)})
    assert time.process_time() - began < SECONDS


def test_many_writable_folders_are_judged_in_a_moment() -> None:
    began = time.process_time()
    mounts = [
        [{"type": "bind", "source": f"/srv/shop/{n}/{m}", "target": f"/{m}"} for m in range(3)] for n in range(MOST)
    ]
    powers({f"s{n}": {"volumes": volumes} for n, volumes in enumerate(mounts)})
    assert time.process_time() - began < SECONDS


def test_file_that_another_environment_has_for_itself_is_asked_for() -> None:
    """Named by a stack, it would be given to it, in a secret that no service has or in a folder that is copied."""
    environment = replace(STACK, shared=frozenset({FOLDER / "secrets/db.txt"}))
    (found,) = POLICY.check({"services": {"web": {}}}, environment)
    assert found.name == "the environment dev: reads /srv/shop/secrets/db.txt"
    assert recorded([found], {"services": {"web": {}}}) == [found.name]
    with pytest.raises(ComposePolicyError, match=r"bind:/srv/shop/secrets/db.txt"):
        POLICY.check({"services": {"web": {}}}, replace(environment, policy=PolicyLevel.STRICT))


@pytest.mark.parametrize("level", PolicyLevel)
def test_logins_of_the_bot_are_given_by_no_socket(level: PolicyLevel) -> None:
    """Newer versions of Compose mount the logins to registries with it, which are those of the bot."""
    with pytest.raises(ComposePolicyError, match=r"`use_api_socket` \(nothing allows that\)"):
        powers({"web": {"use_api_socket": True}}, level=level)
