"""Complete what Compose asks the engine to create: by the hash and the image name that the stack's own files give it.

Compose makes a container of the model of a release. It hashes what it was told: an image by a name of ours, and, in
2.26, no dependencies. Somebody's `docker compose up -d` goes by the hash of the files, so the label must have that one.
Compose is given a socket of ours, and in its requests to create a container the two are put in. All else passes as it
comes.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from roas.concurrency import end_tasks
from roas.stack.docker.labels import CONFIG_HASH, SERVICE
from roas.temporary import socket_in, temporary_folder, writing_temporary

CREATE = re.compile(rb"POST (/v[\d.]+)?/containers/create[ ?]")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *(?=\r\n)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"
# Heads are a few hundred bytes, and the request for a container some thousands.
MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class LabelCompletion:
    """Say what a service's containers are hashed with, and what their image is called where it has its own name."""

    config_hash: str
    image: str | None = None


@asynccontextmanager
async def completing_socket(engine: str, completions: Mapping[str, LabelCompletion]) -> AsyncIterator[str]:
    """Listen, within the block, at a socket that leads to an engine's. Raises EngineError where there is no place."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            serving.add(task)
            task.add_done_callback(serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _pass_on(reader, writer, engine, completions)
        writer.close()

    with temporary_folder("create") as folder:  # for nobody else to enter
        path = socket_in(folder)
        with writing_temporary():
            server = await asyncio.start_unix_server(serve, path, limit=MOST_BYTES)
        try:
            yield str(path)
        finally:
            server.close()
            await end_tasks(*serving)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, engine: str, completions: Mapping[str, LabelCompletion]
) -> None:
    """Pass on one connection of Compose: each request whole, each answer as it comes."""
    answers, requests = await asyncio.open_unix_connection(engine)
    answering = asyncio.create_task(_copy(answers, writer), name="answers of the engine")
    try:
        while True:
            head = await reader.readuntil(END_OF_HEAD)
            length = LENGTH.search(head)
            if length is None and not head.startswith((b"GET ", b"HEAD ", b"DELETE ")):
                requests.write(head)
                await _copy(reader, requests)
                return
            body = await reader.readexactly(int(length[1])) if length else b""
            if CREATE.match(head) and length:
                body = completed(body, completions)
                head = LENGTH.sub(b"\r\nContent-Length: %d" % len(body), head)
            requests.write(head + body)
            await requests.drain()
    finally:
        await end_tasks(answering)
        requests.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


def completed(body: bytes, completions: Mapping[str, LabelCompletion]) -> bytes:
    """Return the request for a container with the hash and the image of its service."""
    try:
        asked = json.loads(body)
        completion = completions.get(asked["Labels"][SERVICE])
    except (ValueError, KeyError, TypeError):
        return body
    if completion is None:
        return body
    asked["Labels"][CONFIG_HASH] = completion.config_hash
    asked["Image"] = completion.image or asked["Image"]
    return json.dumps(asked).encode()
