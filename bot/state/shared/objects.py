"""Keep documents and files as sealed objects of the Swarm, in parts where they are large. All of this blocks."""

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from roas.limits import SWARM_RETRY_SECONDS
from roas.state.shared.sealing import Seal

Json = dict[str, Any]
Answer = TypeVar("Answer")
# Swarm takes 500 kB for a config in older versions, 1 MB in newer ones; encrypted, a third more.
PART_BYTES = 350_000
DIGITS = 10
ENTRY, SNAPSHOT, PART, FILE = "entry.", "snapshot.", "part.", "file."
NUMBERED = (ENTRY, SNAPSHOT)


class TakenError(Exception):
    """There is an object of that name, or of a later version, already: somebody else was first."""


class StoreAwayError(Exception):
    """The Swarm does not answer, or has no leader: what was asked of it may be done all the same."""


class RefusedError(StoreAwayError):
    """The Swarm answers that it never takes what was asked of it: to ask again is of no use."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Hold an object of the Swarm as it was read; `labels` are what can be changed."""

    id: str
    name: str
    version: int
    data: bytes
    labels: Mapping[str, str]


class Store(Protocol):
    """Keep objects that all managers of a Swarm agree on. Each method blocks, and raises StoreAwayError."""

    def create(self, name: str, data: bytes) -> None:
        """Write an object. Raises TakenError where there is one of that name."""

    def read(self, name: str) -> Stored | None:
        """Return an object, or None."""

    def relabel(self, seen: Stored, labels: Mapping[str, str]) -> None:
        """Change an object's labels. Raises TakenError where somebody did since it was read."""

    def all(self) -> Sequence[Stored]:
        """Return all objects of these bots."""

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone is no error."""

    def node(self) -> str:
        """Return what the machine of the manager is called that is asked."""


@dataclass(frozen=True, slots=True)
class Term:
    """Say that this process leads, by which token of the lease, and until when on the monotonic clock."""

    token: int
    node: str
    until: float


class SealedObjects:
    """Read and write sealed objects; while this process has a term, a write is tried until it is known to be there."""

    def __init__(self, store: Store, seal: Seal, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.term: Term | None = None
        # How many objects were written, and how long the Swarm took for them.
        self.writes, self.seconds = 0, 0.0
        self._seal = seal
        self._clock = clock
        self._given_up = threading.Event()

    def is_in_term(self) -> bool:
        """Return whether this process may write, by the clock."""
        return self.term is not None and self._clock() < self.term.until

    def begin(self, term: Term) -> None:
        """Write by a term from now on."""
        self._given_up.clear()
        self.term = term

    def renew(self, until: float) -> None:
        """Go on with the term for longer."""
        if self.term is not None:
            self.term = Term(self.term.token, self.term.node, until)

    def end(self) -> None:
        """Write no more, and wait for no answer."""
        self.term = None
        self._given_up.set()

    def put(self, name: str, body: Json) -> str:
        """Write a document, in parts where it is large; returns its digest. Raises TakenError, StoreAwayError."""
        text = json.dumps(body, separators=(",", ":")).encode()
        sealed = self._seal.close(name, text)
        if len(sealed) > PART_BYTES:
            group, count = f"{PART}{secrets.token_hex(8)}", 0
            for count, piece in enumerate(_pieces(text), start=1):
                part = f"{group}.{count - 1}"
                self._create(part, self._seal.close(part, piece))
            sealed = self._seal.close(name, json.dumps({"group": group, "parts": count}).encode())
        self._create(name, sealed)
        return hashlib.sha256(text).hexdigest()

    def get(self, name: str) -> Json | None:
        """Return a document with its digest; None where there is none. Raises UnsealedError, StoreAwayError."""
        stored = self.store.read(name)
        if stored is None:
            return None
        text = self._seal.open(name, stored.data)
        body: Json = json.loads(text)
        if "group" in body:
            text = b"".join(self._part(f"{body['group']}.{number}") for number in range(body["parts"]))
            body = json.loads(text)
        return {**body, "digest": hashlib.sha256(text).hexdigest()}

    def put_file(self, digest: str, content: bytes) -> int:
        """Write a file that is named by its content; returns in how many parts, none for an empty one."""
        count = 0
        for count, piece in enumerate(_pieces(content), start=1):
            name = file_name(digest, count - 1)
            try:
                self._create(name, self._seal.close(name, piece))
            except TakenError:
                continue  # its content is the same
        return count

    def get_file(self, digest: str, parts: int) -> bytes:
        """Return a file. Raises UnsealedError, StoreAwayError."""
        return b"".join(self._part(file_name(digest, number)) for number in range(parts))

    def _part(self, name: str) -> bytes:
        stored = self.store.read(name)
        if stored is None:
            raise StoreAwayError(f"{name} is missing")
        return self._seal.open(name, stored.data)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask the Swarm until it answers, for as long as this process has a term. Raises StoreAwayError."""
        while True:
            try:
                return question()
            except RefusedError:
                raise
            except StoreAwayError:
                if not self.is_in_term():
                    raise
            self._given_up.wait(SWARM_RETRY_SECONDS)

    def _create(self, name: str, data: bytes) -> None:
        began = self._clock()
        try:
            self.ask(lambda: self._create_once(name, data))
        finally:
            self.writes += 1
            self.seconds += self._clock() - began

    def _create_once(self, name: str, data: bytes) -> None:
        try:
            self.store.create(name, data)
        except TakenError:
            there = self.store.read(name)
            if there is None or there.data != data:  # else an answer was lost, not the write
                raise


def entry_name(number: int) -> str:
    """Return what an entry of the log is called."""
    return f"{ENTRY}{number:0{DIGITS}}"


def snapshot_name(number: int) -> str:
    """Return what a snapshot as of an entry is called."""
    return f"{SNAPSHOT}{number:0{DIGITS}}"


def number_of(name: str) -> int:
    """Return the number of an entry or of a snapshot."""
    return int(name.rpartition(".")[2])


def file_name(digest: str, number: int) -> str:
    """Return what a part of a file is called."""
    return f"{FILE}{digest}.{number}"


def _pieces(text: bytes) -> Iterator[bytes]:
    for at in range(0, len(text), PART_BYTES):
        yield text[at : at + PART_BYTES]
