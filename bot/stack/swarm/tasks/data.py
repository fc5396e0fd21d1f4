"""Back up the data of a Swarm's services: by a command in the container of the task, on the node that the bot asks."""

from collections.abc import Awaitable, Callable
from typing import Any

from roas.errors import BackupError
from roas.messages.message import said
from roas.models.stack import BackupRule
from roas.stack.backups.files import BackupFiles
from roas.stack.backups.service_data import ServiceData
from roas.stack.docker.engine import Engine
from roas.stack.swarm.calls import SwarmCalls
from roas.stack.swarm.tasks.tasks import DOOMED, StackReading, service_name

RUNNING = "running"


class TaskData(ServiceData):
    """Let tasks write their data; a manager runs no command on another node."""

    def __init__(self, engine: Engine, files: BackupFiles, read: Callable[[], Awaitable[StackReading]]) -> None:
        super().__init__(engine, files)
        self._read = read

    async def find_container(self, service: str, rule: BackupRule, hint: str) -> str | None:
        """Return the id of the container of a service's task; None where it has no task.

        Raises BackupError, with a hint, where none runs, or it runs on another node than the one that is asked.
        """
        return await self._find(service, hint)

    async def _any_container(self, service: str) -> str | None:
        """Return the id of the container of a service's task on the node that is asked."""
        return await self._find(service, "")

    async def _find(self, service: str, hint: str) -> str | None:
        reading = await self._read()
        wanted = [task for task in tasks_of(reading, service) if str(task.get("DesiredState")) not in DOOMED]
        task = next((task for task in wanted if (task.get("Status") or {}).get("State") == RUNNING), None)
        if wanted and task is None:
            raise BackupError(
                said("The data of {service} is out of reach: it does not run.", service=service),
                hint=hint,
                service=service,
            )
        if task is None:
            return None
        node, own = str(task["NodeID"]), await self._engine.call(lambda client: SwarmCalls(client).own_node_id())
        names = reading.hostnames
        if node != own:
            raise BackupError(
                said(
                    "The data of {service} is out of reach: its task runs on {node}, and the bot asks {own}.",
                    service=service,
                    node=names.get(node, node),
                    own=names.get(own, own),
                ),
                hint=said(
                    "Pin it there: `deploy.placement.constraints: [node.hostname == {own}]`.", own=names.get(own, own)
                ),
                service=service,
            )
        return str(task["Status"]["ContainerStatus"]["ContainerID"])


def tasks_of(reading: StackReading, service: str) -> list[dict[str, Any]]:
    """Return the tasks of a service as the manager shows them."""
    ids = {entry["ID"] for entry in reading.services if service_name(entry["Spec"]) == service}
    return [task for task in reading.tasks if task.get("ServiceID") in ids]
