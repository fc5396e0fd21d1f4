"""Keep for a moment what an engine is asked again and again, and what takes it long: what it says of itself.

It starts programs to tell its version, those of what it runs, and of its machine: a twentieth of a second each time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from roas.engine.api import EngineClient

# What an engine says of itself changes when it is started again, or its machine.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Asked:
    at: float
    answer: Future[Mapping[str, Any]]


class FreshAnswers:
    """Ask engines about themselves, in threads: who asks while another one does learns what that one does.

    An engine may take until its time limit to give no answer: one after the other, all who ask would fill the threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[tuple[EngineClient, str], _Asked] = {}
        self._noting = threading.Lock()

    def information(self, client: EngineClient) -> Mapping[str, Any]:
        """Return what an engine says of itself and its machine. Raises what the client raises; nothing is kept then."""
        return self._ask(client, "info", client.api.info)

    def version(self, client: EngineClient) -> Mapping[str, Any]:
        """Return the versions of an engine and its parts. Raises what the client raises; nothing is kept then."""
        return self._ask(client, "version", client.api.version)

    def forget(self, client: EngineClient) -> None:
        """Keep nothing of an engine that went away: when it is back, it may be another one."""
        with self._noting:
            for key in [key for key in self._asked if key[0] is client]:
                del self._asked[key]

    def _ask(self, client: EngineClient, what: str, question: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        key, mine = (client, what), _Asked(self._clock(), Future())
        with self._noting:
            asked = self._asked.get(key)
            if asked is None or (asked.answer.done() and mine.at - asked.at >= FRESH_SECONDS):
                asked = self._asked[key] = mine
        if asked is mine:
            try:
                mine.answer.set_result(question())
            except BaseException as error:
                self._drop(key, mine)  # whoever comes next asks again
                mine.answer.set_exception(error)
        return asked.answer.result()

    def _drop(self, key: tuple[EngineClient, str], asked: _Asked) -> None:
        with self._noting:
            if self._asked.get(key) is asked:
                del self._asked[key]
