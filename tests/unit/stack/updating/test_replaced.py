"""What an earlier release replaces is kept until that runs, whichever process stopped it, and serves again if not."""

from types import SimpleNamespace

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.stack.updating.service_update import Replaced

OLD, NEW = "new release", "old release"


def container(name: str, config_hash: str = OLD, state: str = "running", health: str = "none", code: int | None = None):
    return ContainerSnapshot(
        id=name,
        name=name,
        service="web",
        state=ContainerState(state),
        health=HealthStatus(health),
        image_id="i",
        image_reference="i",
        config_hash=config_hash,
        exit_code=code,
    )


class Stack(SimpleNamespace):
    """Take note of what is done to containers."""

    async def containers(self):
        return self.there

    async def remove(self, container_id, *, grace_seconds):
        self.done.append(f"remove {container_id}")

    async def start(self, container_id):
        self.done.append(f"start {container_id}")


RUNNING = container("a")
SET_ASIDE = container("a", state="exited", code=143)
UNHEALTHY = container("a", health="unhealthy")
MADE = container("b", NEW, health="starting")
SERVING = container("b", NEW, health="healthy")
BROKEN = container("c", state="exited", code=143)


@pytest.mark.parametrize(
    ("before", "well", "one_shot", "kept", "done"),
    [
        ([RUNNING], "", False, True, ["remove b", "start a"]),
        ([SET_ASIDE], "a", False, True, ["remove b", "start a"]),
        ([SET_ASIDE, MADE], "a", False, True, ["remove b", "start a"]),  # both of a process that died
        ([SET_ASIDE, BROKEN], "a", False, True, ["remove b", "start a"]),  # the other ended by itself
        ([SET_ASIDE, SERVING], "a", False, True, ["start a"]),
        ([SET_ASIDE], "", False, False, []),  # it ended by itself
        ([UNHEALTHY], "", False, False, []),
        ([SET_ASIDE], "a", True, False, []),  # a job that has ended
        ([], "a", False, False, []),
    ],
)
async def test_what_was_well_serves_again(before, well, one_shot, kept, done) -> None:
    after = SERVING if SERVING in before else MADE
    stack = Stack(there=[*(one for one in before if one.id != "b"), after], done=[])
    wanted = WantedService(ServiceDefinition("web", "app:v1", "d", one_shot=one_shot), NEW)
    replaced = Replaced(stack, wanted, tuple(before), "", frozenset(well))
    assert replaced.can_be_kept is kept
    await replaced.put_back()
    assert stack.done == done
