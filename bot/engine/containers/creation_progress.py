"""Tell of containers as soon as Compose says that it has made them, while it still makes others."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from roas.concurrency import end_tasks, pause
from roas.engine.client import EngineClients
from roas.engine.containers.snapshots import take_outlines
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot

log = get_logger(__name__)

CREATED = re.compile(r"\s*Container (\S+)\s+Created\s*")
# One question lists all of a project's containers, since the engine takes each name in a question for a pattern, which
# it compiles for each container: so there is a while between two, in which more are created.
LOOKS_APART_SECONDS = 0.05
RESTS_PER_LOOK = 4.0

Created = Callable[[tuple[ContainerSnapshot, ...]], None]


class CreationProgress:
    """Look at what Compose names as created. What it does not name is seen by who looks when it has ended."""

    def __init__(self, clients: EngineClients, environment: Environment, report: Created) -> None:
        self._clients = clients
        self._environment = environment
        self._report = report
        self._names: list[str] = []
        self._more = asyncio.Event()

    async def read_line(self, line: str) -> None:
        """Note the container that a line of Compose names as created; Compose prints that once it is complete."""
        if found := CREATED.fullmatch(line):
            self._names.append(found[1])
            self._more.set()

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Report within the block what was created."""
        looking = asyncio.create_task(self._look(), name="created containers")
        try:
            yield
        finally:
            await end_tasks(looking)

    async def _look(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            names, self._names = frozenset(self._names), []
            began = time.monotonic()
            try:
                there = await take_outlines(self._clients, self._environment)
                self._report(tuple(one for one in there if one.name in names))
            except RoasError as error:
                log.warning("created containers were not looked at", error=error.message)
            await pause(max(LOOKS_APART_SECONDS, (time.monotonic() - began) * RESTS_PER_LOOK))
