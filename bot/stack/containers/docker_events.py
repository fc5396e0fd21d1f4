"""Subscribe to an engine's events about a project's containers."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from roas.concurrency import in_thread, start_thread
from roas.errors import EngineUnavailableError, ShortageError
from roas.shortages import find_shortage
from roas.stack.docker.engine import Engine, engine_unavailable, typed_faults
from roas.stack.docker.labels import ONE_OFF, PROJECT, SERVICE
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import ContainerEvent

# What the probes of health checks cause (`exec_*`) is left out by the engine already.
ACTIONS = (
    *("create", "start", "restart", "die", "oom", "kill", "stop", "pause", "unpause", "rename", "destroy"),
    *("update", "health_status"),
)
SUBSCRIBE_SECONDS = 30.0
STREAM_FAULTS = (OSError, ValueError)
# These signals are always meant to stop a container; any other only if it is the container's own stop signal.
ENDING_SIGNALS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM})


class EventSubscription:
    """Pass a project's events from their own thread to the event loop.

    Entering it subscribes; from then on no event is missed, nor since `since_ns`, as far back as the engine remembers
    (its last 256). The iterator raises EngineUnavailableError when the stream breaks.
    """

    def __init__(self, engine: Engine, *, since_ns: int | None = None) -> None:
        self._engine = engine
        self._since_ns = since_ns
        self._address = engine.address
        self._loop = asyncio.get_running_loop()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._events: asyncio.Queue[ContainerEvent | EngineUnavailableError] = asyncio.Queue()
        self._stream: Any = None
        self._closed = threading.Event()

    async def __aenter__(self) -> AsyncIterator[ContainerEvent]:
        client = await self._engine.client()
        # A thread of its own: the engine may stall before it answers, and no timeout holds for this request.
        start_thread(partial(self._run, client), f"events of {self._engine.project}")
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await self._subscribed
        except TimeoutError as error:
            raise engine_unavailable(self._address, error) from error
        finally:
            if not self._subscribed.done() or self._subscribed.cancelled() or self._subscribed.exception():
                self._closed.set()
        return self._iterate()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        try:
            await asyncio.shield(in_thread(self._unblock))
        except ShortageError:  # it takes less than a millisecond, and must not be left undone
            self._unblock()

    def _run(self, client: EngineClient) -> None:
        """Subscribe, then read until the stream ends; runs in the thread, and says how that ended, whatever it was."""
        try:
            with typed_faults(self._address):
                self._stream = self._subscribe(client)
        except Exception as error:
            self._deliver(self._refuse, error)
            return
        self._deliver(self._wait_until_subscribed)
        if self._closed.is_set():  # no caller waited for the answer
            self._unblock()
        fault: BaseException = EOFError()
        try:
            for raw in self._stream:
                if (event := self._read(raw)) is not None:
                    self._deliver(self._events.put_nowait, event)
        except Exception as error:
            fault = error
        self._deliver(self._events.put_nowait, find_shortage(fault) or engine_unavailable(self._address, fault))

    def _subscribe(self, client: EngineClient) -> Any:
        """Open the stream; `since` replays the moment between the engine's answer and its subscribing us."""
        now = time.time_ns()
        # After the clock was set back, the last event seen appears to lie in the future.
        seconds, nanoseconds = divmod(now if self._since_ns is None else min(now, self._since_ns), 10**9)
        return client.events(
            since=f"{seconds}.{nanoseconds:09d}",  # type: ignore[call-overload]  # the engine takes fractions
            filters={
                "type": ["container"],
                "label": [f"{PROJECT}={self._engine.project}"],
                "event": list(ACTIONS),
            },
            decode=True,
        )

    def _read(self, raw: dict[str, Any]) -> ContainerEvent | None:
        """Read an event as the engine sends it; None where nobody has to know."""
        return _event(raw)

    def _deliver(self, callback: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed already: there is no listener any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _wait_until_subscribed(self) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _refuse(self, error: Exception) -> None:
        if not self._subscribed.done():
            self._subscribed.set_exception(error)

    def _unblock(self) -> None:
        """Close the stream from here: nothing else wakes the thread that reads it."""
        with suppress(*STREAM_FAULTS, AttributeError):
            self._stream.close()

    async def _iterate(self) -> AsyncIterator[ContainerEvent]:
        while True:
            item = await self._events.get()
            if isinstance(item, EngineUnavailableError):
                raise item
            yield item


def asks_to_end(event: ContainerEvent, stop_signal: int | None) -> bool:
    """Return whether the engine was asked by a `kill` event's signal to end a container, not to reload, for example."""
    sent = event.attributes.get("signal", "")
    return event.action == "kill" and (not sent.isdigit() or int(sent) in ENDING_SIGNALS or int(sent) == stop_signal)


def _event(raw: dict[str, Any]) -> ContainerEvent | None:
    """Read an event; `health_status: healthy` becomes the action and an attribute of that name."""
    actor = raw.get("Actor") or {}
    attributes = {str(key): str(value) for key, value in (actor.get("Attributes") or {}).items()}
    action, _, detail = str(raw.get("Action", "")).partition(": ")
    if not action or attributes.get(ONE_OFF) == "True":
        return None
    if detail:
        attributes[action] = detail
    return ContainerEvent(
        action=action,
        container_id=str(actor.get("ID", "")),
        service=attributes.get(SERVICE, ""),
        project=attributes.get(PROJECT, ""),
        attributes=attributes,
        time_ns=int(raw.get("timeNano") or 0),
    )
