"""Fetch what Git LFS keeps beside a repository, by its batch API; each object is held against its hash and size.

Nothing that the repository says decides where that is, such as its `.lfsconfig`, and no program of Git LFS's runs.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yarl import URL

from roas.concurrency import in_thread
from roas.errors import RepositoryError, RepositoryUnavailableError
from roas.messages.message import said
from roas.redaction import Learn
from roas.web_client import WebClient

TYPE = "application/vnd.git-lfs+json"
POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n")
POINTS = b"version https://git-lfs.github.com/spec/"
OBJECT_SECONDS = 120.0
# Servers take no more at once.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Pointer:
    """Say which object stands behind a file of a commit."""

    oid: str
    size: int


@dataclass(frozen=True, slots=True)
class LfsServer:
    """Say where the large files of a repository are asked for, and with which headers."""

    address: str
    headers: Mapping[str, str] = field(repr=False)


def pointer_of(content: bytes) -> Pointer | None:
    """Return the object that a file only stands for; None where it is a file of its own."""
    found = POINTER.fullmatch(content)
    return None if found is None else Pointer(found[1].decode(), int(found[2]))


class LargeFiles:
    """Keep the objects of one repository in a folder. `shown` is its address, as people may see it.

    `learn` hears of the headers by which a server gives an object.
    """

    def __init__(self, client: WebClient, folder: Path, shown: str, learn: Learn) -> None:
        self._client = client
        self._learn = learn
        self._folder = folder
        self._shown = shown

    async def kept(self, pointers: Iterable[Pointer]) -> dict[str, bytes]:
        """Return the objects that were fetched before, by their hash."""
        return await in_thread(lambda: dict(filter(None, map(self._read, pointers))))

    async def fetch(self, server: LfsServer, pointers: Sequence[Pointer]) -> dict[str, bytes]:
        """Fetch objects, and keep them; return them by their hash. Raises RepositoryError."""
        fetched: dict[str, bytes] = {}
        try:
            for at in range(0, len(pointers), BATCH):
                some = pointers[at : at + BATCH]
                for pointer, action in zip(some, await self._actions(server, some), strict=True):
                    fetched[pointer.oid] = await self._download(server, pointer, action)
                    await in_thread(self._write, pointer.oid, fetched[pointer.oid])
        except (OSError, TimeoutError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RepositoryUnavailableError(
                said("{url} cannot be fetched: {cause}.", url=f"{self._shown} (Git LFS)", cause=error),
                hint=said("See whether its server has Git LFS, and whether the token or key may read it."),
            ) from error
        return fetched

    async def _actions(self, server: LfsServer, pointers: Sequence[Pointer]) -> Iterator[Any]:
        """Ask from where to download; in the order of the pointers."""
        asked = [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers]
        document = {"operation": "download", "transfers": ["basic"], "objects": asked, "hash_algo": "sha256"}
        headers = {"Accept": TYPE, "Content-Type": TYPE, **server.headers}
        answer = await self._client.ask("POST", f"{server.address}/objects/batch", headers=headers, document=document)
        if answer.status != 200:
            raise ValueError(f"its server answered {answer.status}")
        known = {item["oid"]: item for item in answer.json()["objects"]}
        return (known[pointer.oid] for pointer in pointers)

    async def _download(self, server: LfsServer, pointer: Pointer, item: Any) -> bytes:
        if "error" in item or not item.get("actions"):
            raise RepositoryError(
                said("{url} has no {object} in Git LFS.", url=self._shown, object=pointer.oid[:12]),
                hint=said("Push it: `git lfs push --all`."),
            )
        action = item["actions"]["download"]
        address, asked = URL(action["href"]), URL(server.address)
        if address.scheme != "https" and address.origin() != asked.origin():
            raise ValueError("its server names an address that is not HTTPS")
        headers = {str(name): str(value) for name, value in (action.get("header") or {}).items()}
        self._learn(headers.values())
        answer = await self._client.ask("GET", address, headers=headers, largest=pointer.size, seconds=OBJECT_SECONDS)
        if answer.status != 200:
            raise ValueError(f"the server of an object answered {answer.status}")
        if len(answer.body) != pointer.size or hashlib.sha256(answer.body).hexdigest() != pointer.oid:
            raise RepositoryError(
                said(
                    "What {url} has in Git LFS is another file than {object}.", url=self._shown, object=pointer.oid[:12]
                )
            )
        return answer.body

    def _read(self, pointer: Pointer) -> tuple[str, bytes] | None:
        with suppress(OSError):
            path = self._folder / pointer.oid
            if path.stat().st_size == pointer.size:
                content = path.read_bytes()
                if hashlib.sha256(content).hexdigest() == pointer.oid:
                    return pointer.oid, content
        return None

    def _write(self, oid: str, content: bytes) -> None:
        """Keep an object for the next plan; without room it is fetched again."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._folder / f"{oid}.new"
            temporary.write_bytes(content)
            temporary.replace(self._folder / oid)
