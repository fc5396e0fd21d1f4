"""The hash that containers had when they were adopted counts for as long as they are those containers."""

from dataclasses import replace

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.stack.containers.config_hashes import _untouched
from roas.stack.containers.snapshots import snapshot
from roas.stack.model.services import ADOPTED_HASH

SERVICES = {name: {"x-deploy": {ADOPTED_HASH: f"{name}'s"}} for name in ("db", "sidecar", "web")}
SHARING = {"sidecar": frozenset({"db"})}


def container(service: str, *shares_with: str) -> ContainerSnapshot:
    running, health = ContainerState.RUNNING, HealthStatus.NONE
    one = ContainerSnapshot(service, service, service, running, health, "i", "x:1", f"{service}'s")
    return replace(one, shares_with=shares_with)


DB, WEB = container("db"), container("web")


@pytest.mark.parametrize(
    ("sidecar", "stays"),
    [
        (container("sidecar", "db"), True),
        (container("sidecar", "the db before"), False),
        (container("sidecar", "db", "of another project"), True),
        (container("sidecar"), True),
    ],
    ids=["with it", "with the one before", "with others, too", "not told"],
)
def test_who_shares_with_a_container_that_is_gone_is_made_anew(sidecar: ContainerSnapshot, stays: bool) -> None:
    """What is made of an adopted model that was made of adopted containers has the adopted hash again."""
    found = _untouched(SERVICES, SHARING, (DB, replace(WEB, shares_with=("another",)), sidecar))
    assert ("sidecar" in found) is stays
    assert {"db", "web"} <= found.keys()


def test_what_a_container_shares_is_read() -> None:
    host = {"NetworkMode": "container:one", "PidMode": "container:two", "IpcMode": "private"}
    state = {"Status": "running"}
    inspected = {"Id": "x", "Name": "/x", "Image": "i", "State": state, "Config": {}, "HostConfig": host}
    assert snapshot(inspected).shares_with == ("one", "two")
