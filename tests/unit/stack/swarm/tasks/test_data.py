"""The data of a Swarm's service is reached where its task runs on the node that the bot asks, and nowhere else."""

import pytest

from roas.errors import BackupError
from roas.models.stack import BackupRule
from roas.stack.swarm.tasks.data import TaskData
from roas.stack.swarm.tasks.tasks import StackReading

SERVICES = ({"ID": "s1", "Spec": {"Name": "shop_db", "Labels": {"com.docker.stack.namespace": "shop"}}},)
RULE = BackupRule(("dump",), ("load",), 5)
HOSTS = {"n1": "alpha", "n2": "beta"}


def task(node: str = "n1", state: str = "running", desired: str = "running", service: str = "s1") -> dict:
    status = {"State": state, "ContainerStatus": {"ContainerID": f"c-{node}"}}
    return {"ID": "t", "ServiceID": service, "NodeID": node, "DesiredState": desired, "Status": status}


class Engine:
    """Be the manager alpha."""

    async def call(self, question) -> str:
        return "n1"


async def found(*tasks: dict, services: tuple = SERVICES) -> str | None:
    async def read() -> StackReading:
        return StackReading(services, tasks, hostnames=HOSTS)

    return await TaskData(Engine(), None, read).find_container("db", RULE, "start it")


async def test_task_on_the_node_that_is_asked_is_found():
    assert await found(task("n2", "shutdown", "shutdown"), task("n1")) == "c-n1"


async def test_task_elsewhere_is_out_of_reach():
    with pytest.raises(BackupError, match="its task runs on beta, and the bot asks alpha") as raised:
        await found(task("n2"))
    assert "node.hostname == alpha" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("tasks", "services"),
    [((), SERVICES), ((task(service="other"),), SERVICES), ((task(desired="shutdown"),), SERVICES), ((task(),), ())],
)
async def test_service_without_a_task_has_nothing_to_back_up(tasks, services):
    assert await found(*tasks, services=services) is None


@pytest.mark.parametrize("state", ["pending", "preparing", "failed"])
async def test_task_that_does_not_run_is_out_of_reach(state):
    with pytest.raises(BackupError, match="it does not run"):
        await found(task(state=state))
