"""Pull images, and tell how far that is."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from roas.concurrency import start_thread
from roas.messages.message import said
from roas.models.stack import WantedImage
from roas.stack.compose.faults import image_not_found, registry_fault
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import Engine, typed_faults
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.lookup import find_image
from roas.stack.images.reference import is_own, split_reference
from roas.stack.interface import ProgressReport

Item = TypeVar("Item")
REPORT_EVERY_SECONDS = 0.25
DONE = frozenset({"Pull complete", "Already exists"})
# A layer is downloaded, then unpacked: half of its way each.
DOWNLOADED = 0.5


async def iterate_in_thread(stream: Callable[[], Iterable[Item]], name: str) -> AsyncIterator[Item]:
    """Yield what a blocking stream gives; its exceptions are raised here, and ShortageError where there is no thread.

    The thread is a daemon: where nothing wakes it any more it does not keep the process. A consumer that leaves ends
    the stream at its next item.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[bool, Item | None, BaseException | None]] = asyncio.Queue()
    left = threading.Event()

    def deliver(more: bool, item: Item | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already: there is no listener any more
            loop.call_soon_threadsafe(items.put_nowait, (more, item, error))

    def run() -> None:
        try:
            for item in stream():
                if left.is_set():
                    return
                deliver(True, item, None)
        except BaseException as error:
            deliver(False, None, error)
        else:
            deliver(False, None, None)

    start_thread(run, name)
    try:
        while True:
            more, item, error = await items.get()
            if error is not None:
                raise error
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        left.set()


class PullProgress:
    """Combine the engine's progress of every layer into one fraction."""

    def __init__(self) -> None:
        self._layers: dict[str, float] = {}
        self._reported = 0.0

    def take(self, message: dict[str, Any]) -> tuple[str, float | None] | None:
        """Return text and a fraction when a report is due, else None."""
        status, layer = str(message.get("status", "")), message.get("id")
        if layer and not status.startswith("Pulling from"):
            self._layers[str(layer)] = self._fraction(str(layer), status, message.get("progressDetail") or {})
        now = time.monotonic()
        if now - self._reported < REPORT_EVERY_SECONDS:
            return None
        self._reported = now
        return status, self.fraction

    @property
    def fraction(self) -> float | None:
        """Return how far the whole is, or None where no layer is known yet."""
        return sum(self._layers.values()) / len(self._layers) if self._layers else None

    def _fraction(self, layer: str, status: str, detail: dict[str, Any]) -> float:
        before = self._layers.get(layer, 0.0)
        part = float(detail["current"] / detail["total"]) if detail.get("total") and detail.get("current") else None
        if status in DONE:
            return 1.0
        if status in {"Download complete", "Verifying Checksum"}:
            return max(before, DOWNLOADED)
        if part is None:
            return before
        return max(before, DOWNLOADED * part + (DOWNLOADED if status == "Extracting" else 0.0))


async def pull_image(
    engine: Engine,
    image: WantedImage,
    services: tuple[str, ...],
    report: ProgressReport,
) -> str:
    """Pull an image unless it is here, and return its image ID.

    Raises ImageNotFoundError, RegistryUnavailableError, EngineUnavailableError.
    """
    if image.image_id and not image.must_pull:
        return await engine.call(lambda client: _present(client, image.image_id or image.reference))
    progress = PullProgress()
    # By its digest it is the planned one, and no name is moved: each means what runs, until it is to mean another.
    pulled = image.digest or image.reference
    client, address = await engine.client(), engine.address
    messages = iterate_in_thread(lambda: _pull(client, address, pulled), f"pull {image.reference}")
    async with aclosing(messages):  # type: ignore[type-var]
        async for message in messages:
            if step := progress.take(message):
                for service in services:
                    await report(service, *step)
    return await engine.call(lambda client: _named(client, image))


def _pull(client: EngineClient, address: str, reference: str) -> Iterator[dict[str, Any]]:
    """Pull in a thread; a fault in the middle of the stream comes as a message."""
    repository, tag = split_reference(reference)
    with typed_faults(address):
        try:
            stream = client.pull(repository, tag=tag or "latest", stream=True, decode=True)
        except ApiError as error:
            raise registry_fault(error.explanation, reference) from error
        for message in stream:
            if text := message.get("error"):
                raise registry_fault(str(text), reference)
            yield message


def _present(client: EngineClient, reference: str) -> str:
    found = find_image(client, reference)
    if found is None:
        raise image_not_found(said("{reference} is gone from this machine", reference=reference))
    return str(found["Id"])


def _named(client: EngineClient, image: WantedImage) -> str:
    """Return the image ID of what was pulled, with its name where nobody has that."""
    found = find_image(client, image.digest or image.reference)
    if found is None:
        raise image_not_found(said("{reference} is gone from this machine", reference=image.reference))
    if "@" not in image.reference and not is_own(image.reference) and find_image(client, image.reference) is None:
        repository, tag = split_reference(image.reference)
        client.tag(found["Id"], repository, tag or "latest")
    return str(found["Id"])
