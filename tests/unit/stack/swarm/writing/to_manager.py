"""Ask a manager of a test, as `SwarmWriter` asks one of a Swarm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from roas.models.environment import Environment
from roas.stack.docker.engine import Engine
from roas.stack.swarm.same_swarm import SameSwarm
from roas.stack.swarm.writing.writer import SwarmWriter

Json = dict[str, Any]
DEV = Environment("dev", "shop", Path(), ())


class ToManager(SwarmWriter):
    """Ask one manager at once, in the same thread."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.engine, self._key, self._same = Engine(manager, DEV), bytes, SameSwarm(DEV)

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        return question(self.manager)


class OneServiceManager:
    """Have one service, which is `there` or not, and a quorum as long as this manager is reachable."""

    def __init__(self) -> None:
        self.there: Json | None = None
        self.reachable = "reachable"

    def service(self, _name: str) -> Json | None:
        return self.there

    def tasks(self, **_filters: str) -> list[Json]:
        return []

    def nodes(self) -> list[Json]:
        return [{"ManagerStatus": {"Reachability": self.reachable}}]

    def login_of(self, _image: str) -> dict[str, str]:
        return {}
