"""What is done with a Redis, in one piece: who has none need not load it, which is 6 MiB and a tenth of a start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from roas.state.manager import StateManager
from roas.state.projection import Redact
from roas.state.redis_server import ping
from roas.state.sync import DataSyncManager


@dataclass(frozen=True, slots=True)
class RedisParts:
    """Ask the server of a URL whether it answers, and project a journal to it under a name."""

    ping: Callable[[str], Awaitable[None]]
    projection: Callable[[StateManager, str, str, Redact], DataSyncManager]


REDIS = RedisParts(ping, DataSyncManager)
