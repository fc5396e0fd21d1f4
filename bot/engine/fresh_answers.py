"""Keep for a moment what an engine is asked again and again, and what takes it long: what it says of itself.

It starts programs to tell its version, those of what it runs, and of its machine: a twentieth of a second each time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import docker

from roas.dataclass import dataclass

# What an engine says of itself changes when it is started again, or its machine.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Kept:
    asked_at: float
    answer: Mapping[str, Any]


class FreshAnswers:
    """Ask engines about themselves, in threads: who asks while another one does takes that answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[docker.DockerClient, str], _Kept] = {}
        self._asking: dict[tuple[docker.DockerClient, str], threading.Lock] = {}

    def information(self, client: docker.DockerClient) -> Mapping[str, Any]:
        """Return what an engine says of itself and its machine. Raises what the SDK raises; nothing is kept then."""
        return self._ask(client, "info", client.info)

    def version(self, client: docker.DockerClient) -> Mapping[str, Any]:
        """Return the versions of an engine and its parts. Raises what the SDK raises; nothing is kept then."""
        return self._ask(client, "version", client.version)

    def _ask(
        self, client: docker.DockerClient, what: str, question: Callable[[], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        key = (client, what)
        with self._asking.setdefault(key, threading.Lock()):
            kept = self._kept.get(key)
            if kept is None or self._clock() - kept.asked_at >= FRESH_SECONDS:
                asked_at = self._clock()
                kept = self._kept[key] = _Kept(asked_at, question())
            return kept.answer
