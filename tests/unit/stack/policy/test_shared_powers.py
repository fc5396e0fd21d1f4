"""Whoever takes part in what a service may do beyond its containers has that power, too, and it is named as theirs."""

from pathlib import Path
from typing import Any

import pytest

from roas.models.environment import Environment, PolicyLevel
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.power import identities, named

FOLDER = Path("/srv/shop")
STACK = Environment("dev", "shop", FOLDER, (FOLDER / "compose.yaml",), policy=PolicyLevel.ASK)
POLICY = ComposePolicy((), Path("/var/lib/roas"))
SOCKET = {"volumes": [{"type": "bind", "source": "/run/docker.sock", "target": "/run/docker.sock"}]}
DEVICE = {"driver_opts": {"type": "none", "o": "bind", "device": "/mnt"}}
MOUNTS = {"volumes": [{"type": "volume", "source": "host", "target": "/host"}]}
BACKUP = {"command": ["tar"], "restore": ["untar"], "keep": 5}


def powers(services: dict[str, Any], **more: Any) -> frozenset[str]:
    model = {"services": services, **more}
    return frozenset(identities((*POLICY.check(model, STACK), *POLICY.check_bound(model, STACK)), model))


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        ({"web": {"privileged": True}, "job": {"pid": "service:web"}}, {"job: pid service:web"}),
        ({"web": SOCKET, "job": {"pid": "service:web"}}, {"job: pid service:web"}),
        ({"web": {"pid": "host"}, "job": {"pid": "service:web"}}, {"job: pid service:web"}),
        ({"web": SOCKET | {"pid": "service:job"}, "job": {}}, {"web: pid service:job", "job: pid web"}),
        (
            {"web": SOCKET | {"pid": "service:init"}, "init": {}, "job": {"pid": "service:init"}},
            {"web: pid service:init", "init: pid web", "job: pid service:init"},
        ),
        ({"web": SOCKET, "mid": {"pid": "service:web"}, "job": {"pid": "service:mid"}}, {"job: pid service:mid"}),
        ({"web": {"network_mode": "host"}, "job": {"network_mode": "service:web"}}, {"job: network_mode service:web"}),
        ({"web": {"ipc": "host"}, "job": {"ipc": "service:web"}}, {"job: ipc service:web"}),
        (
            {"a": {"network_mode": "host"}, "b": {"network_mode": "service:a"}, "c": {"network_mode": "service:b"}},
            {"c: network_mode service:b"},
        ),
    ],
)
def test_who_joins_a_service_has_its_powers(services: dict[str, Any], wanted: set[str]) -> None:
    assert wanted <= set(map(named, powers(services)))


def test_who_joins_a_service_of_the_stack_alone_has_none() -> None:
    joined = {"pid": "service:web", "network_mode": "service:web", "ipc": "service:web"}
    assert powers({"web": {}, "job": joined, "other": {"network_mode": "service:job"}}) == frozenset()
    around = {"a": {"pid": "service:b"}, "b": {"pid": "service:a"}}
    assert powers(around) == frozenset()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"web": SOCKET}, {"web": SOCKET | {"x-deploy": {"backup": BACKUP}}}),
        ({"web": SOCKET | {"x-deploy": {"backup": BACKUP}}}, {"web": SOCKET}),
        (
            {"web": SOCKET | {"x-deploy": {"backup": BACKUP}}},
            {"web": SOCKET | {"x-deploy": {"backup": BACKUP | {"restore": "/payload"}}}},
        ),
    ],
)
def test_what_a_backup_runs_is_part_of_a_root_power(before: dict[str, Any], after: dict[str, Any]) -> None:
    """It is run in the container, beside the program that was given the power."""
    assert powers(before) != powers(after)


def test_image_that_copies_a_volume_of_the_host_is_part_of_its_power() -> None:
    """A helper's program has the volume, to read it and to write it, as root."""
    copied = MOUNTS | {"x-deploy": {"backup": {"volume": "host", "helper": "job"}}}
    before = powers({"web": MOUNTS, "job": {"image": "job"}}, volumes={"host": DEVICE})
    helped = powers({"web": copied, "job": {"image": "job"}}, volumes={"host": DEVICE})
    assert helped != before
    assert helped != powers({"web": copied, "job": {"image": "other/program"}}, volumes={"host": DEVICE})


def test_power_that_no_service_has_is_named() -> None:
    assert set(map(named, powers({"web": {}}, networks={"n": {"teleport": "x"}}))) == {"n: network teleport: x"}


def test_another_volume_is_another_program() -> None:
    """Also where it is only read: somebody else may have written it."""
    mounts = [{"type": "volume", "source": name, "target": "/app", "read_only": True} for name in ("a", "b")]
    one, two = (
        powers({"web": {"privileged": True, "volumes": [mount]}}, volumes={"a": {}, "b": {}}) for mount in mounts
    )
    assert one != two


def test_how_many_backups_are_kept_is_no_part_of_it() -> None:
    one, two = ({"web": SOCKET | {"x-deploy": {"backup": BACKUP | {"keep": keep}}}} for keep in (1, 2))
    assert powers(one) == powers(two)


def test_who_mounts_a_volume_of_the_host_is_part_of_its_power() -> None:
    """Of such a volume it is the power of whoever mounts it: another service is another one."""
    before = powers({"web": MOUNTS, "job": {}}, volumes={"host": DEVICE})
    both = powers({"web": MOUNTS, "job": MOUNTS}, volumes={"host": DEVICE})
    assert before < both, "who goes back alone is who had it"
    assert before == powers({"web": MOUNTS, "job": {"command": ["x"]}}, volumes={"host": DEVICE})
    assert before != powers({"web": MOUNTS, "job": MOUNTS}, volumes={"host": DEVICE})
    assert before != powers({"web": MOUNTS | {"command": ["x"]}, "job": {}}, volumes={"host": DEVICE})
    assert before != powers({"web": MOUNTS | {"image": "other/program"}, "job": {}}, volumes={"host": DEVICE})
