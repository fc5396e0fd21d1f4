"""What the policy refuses and what Swarm cannot do is one list; nothing is offered that helps nobody."""

from pathlib import Path
from typing import Any

import pytest

from roas.errors import ComposeFileError, ComposePolicyError, RoasError
from roas.models.environment import Environment
from roas.stack.policy.power import Power
from roas.stack.policy.refusal import refusal
from roas.stack.swarm.unsupported import with_unsupported

PROD = Environment("prod", "shop", Path("/srv/shop"), ())
PRIVILEGED = Power("a has `privileged: true`", "privileged:a")
SYSCTL = Power("a has `sysctls: x`", "sysctls:a")


def refused(*violations: Power, networks: dict[str, Any] | None = None, **fields: Any) -> RoasError:
    model = {"name": "shop", "services": {"a": {"image": "a:1", **fields}}, "networks": networks or {}}
    error = refusal(violations, PROD, of_release=False)
    return with_unsupported(error, model, PROD, allows=lambda _entry: False)


def test_all_is_said_at_once_and_only_what_helps_is_offered() -> None:
    error = refused(PRIVILEGED, SYSCTL, privileged=True, container_name="a", sysctls={"x": 1})
    assert isinstance(error, ComposePolicyError)
    assert error.entries == ("sysctls:a",)
    for words in ("a has `privileged`", "a has `container_name`", "a has `sysctls: x` (allowed by `sysctls:a`)"):
        assert words in error.message, words
    assert "privileged:a" not in error.message + error.hint


def test_only_swarm_refuses_what_no_entry_would_help() -> None:
    socket = "/var/run/docker.sock"
    volumes = [{"type": "bind", "source": path, "target": "/x"} for path in (socket, "/data")]
    asked = (PRIVILEGED, Power("a binds it", "docker_socket:a"), Power("a binds /data", "bind:/data"))
    error = refused(*asked, privileged=True, volumes=volumes)
    assert type(error) is ComposeFileError
    assert "allow" not in error.message + error.hint
    assert "a binds /data of the host" in error.message


def test_file_that_is_bound_read_only_may_be_allowed() -> None:
    volumes = [{"type": "bind", "source": "/etc/hosts", "target": "/x", "read_only": True}]
    error = refused(Power("a binds /etc/hosts", "bind:/etc/hosts"), volumes=volumes)
    assert isinstance(error, ComposePolicyError)
    assert error.entries == ("bind:/etc/hosts",)


def test_folder_that_is_bound_read_only_is_not_offered(tmp_path: Path) -> None:
    """A config is one file: an entry that allows the folder would lead to Swarm's refusal."""
    volumes = [{"type": "bind", "source": str(tmp_path), "target": "/x", "read_only": True}]
    error = refused(Power("a binds it", f"bind:{tmp_path}"), volumes=volumes)
    assert type(error) is ComposeFileError
    assert f"a binds {tmp_path} of the host" in error.message


@pytest.mark.parametrize(("driver", "offered"), [("macvlan", False), ("bridge", False), ("overlay", True), ("", True)])
def test_network_driver_that_no_swarm_has_is_not_offered(driver: str, offered: bool) -> None:
    found = Power("the network back has it", "network:back")
    error = refused(found, SYSCTL, networks={"back": {"driver": driver, "driver_opts": {"x": "y"}}})
    assert isinstance(error, ComposePolicyError)
    assert ("network:back" in error.entries) is offered
    assert ("the network back has `driver: " in error.message) is not offered


def test_model_that_is_not_known_adds_nothing() -> None:
    error = refusal([PRIVILEGED], PROD, of_release=False)
    assert with_unsupported(error, {}, PROD, allows=lambda _entry: False) is error
