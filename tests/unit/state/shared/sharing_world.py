"""Bots that share a journal through a Swarm which loses answers, is away, or ends a bot in the middle of a question."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from roas.errors import JournalLostError, StateError
from roas.state.manager import StateManager
from roas.state.shared.lease import LeaseHolder
from roas.state.shared.log import SharedLog, _read_manifest
from roas.state.shared.objects import SealedObjects, StoreAwayError, Stored
from roas.state.shared.replica import read_all
from roas.state.shared.sealing import Seal
from roas.state.transaction import Transaction
from tests.unit.state.shared.shared_swarm import KeptObjects

SEAL = Seal(b"a key of thirty-two characters ...")
# More questions than any step of a few objects needs.
MOST_QUESTIONS = 2000
CONTENT = "services: {}\n"


class KilledError(Exception):
    """The process was ended here."""


class Manager(KeptObjects):
    """One bot's way to the Swarm: its clock goes on by a second with each question that is not answered."""

    def __init__(self, objects: dict[str, Stored]) -> None:
        super().__init__()
        self.objects = objects
        self.now = 0.0
        self.questions = 0
        # After so many questions the bot is ended: before the Swarm has done what it asks, or after.
        self.dies_in: int | None = None
        self.dies_after = False
        # So many questions are not answered.
        self.away_for = 0

    def clock(self) -> float:
        """Return the time on this machine."""
        return self.now

    def ask(self, question: Callable[[], Any]) -> Any:
        """Ask, as far as the bot lives for that, and the Swarm answers."""
        self.questions += 1
        assert self.questions < MOST_QUESTIONS, "a call does not end"
        is_last = False
        if self.dies_in is not None:
            self.dies_in -= 1
            is_last = self.dies_in < 0
        if is_last and not self.dies_after:
            raise KilledError
        self.away_for, self.is_away = max(0, self.away_for - 1), self.away_for > 0
        try:
            answer = question()
        except StoreAwayError:
            self.now += 1.0
            raise
        if is_last:
            raise KilledError
        return answer

    def create(self, name: str, data: bytes) -> None:
        """Write an object."""
        self.ask(lambda: KeptObjects.create(self, name, data))

    def read(self, name: str) -> Stored | None:
        """Return an object, or None."""
        found: Stored | None = self.ask(lambda: KeptObjects.read(self, name))
        return found

    def relabel(self, seen: Stored, labels: Mapping[str, str]) -> None:
        """Change labels."""
        self.ask(lambda: KeptObjects.relabel(self, seen, labels))

    def all(self) -> Sequence[Stored]:
        """Return all objects."""
        found: Sequence[Stored] = self.ask(lambda: KeptObjects.all(self))
        return found

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.ask(lambda: KeptObjects.remove(self, name))


class Bot:
    """One machine, and the bot on it; what is told to do says whether that was done."""

    def __init__(self, folder: Path, objects: dict[str, Stored]) -> None:
        self.folder = folder
        self.manager = Manager(objects)
        self.state: StateManager

    async def start(self) -> None:
        """Open the journal in a new process."""
        self.manager.dies_in = None
        self.shared = SharedLog(SealedObjects(self.manager, SEAL, self.manager.clock), self.folder)
        self.state = await StateManager(self.folder, shared=self.shared).__aenter__()
        self.holder = LeaseHolder(self.manager, self.state.instance_id, self.manager.clock)

    async def stop(self) -> None:
        """End the process."""
        await self.state.close()

    async def wipe(self) -> None:
        """Begin again with an empty disk."""
        await self.stop()
        shutil.rmtree(self.folder)
        await self.start()

    async def does(self, work: Callable[[], Any]) -> bool:
        """Do something that may be refused, or break off; one that is killed in it starts again."""
        self.manager.questions = 0
        try:
            await work()
        except KilledError:
            await self.stop()
            await self.start()
            return False
        except JournalLostError:
            raise
        except (StateError, StoreAwayError):
            return False
        return True

    async def take_over(self) -> None:
        """Take the lease, as one does for whom it has lapsed, and begin to lead."""
        stored, lease = self.holder.read()
        await self.state.catch_up(0 if lease is None else lease.head)
        token = max(0 if lease is None else lease.token, self.shared.last_token) + 1
        term = self.holder.take(stored, token)
        if term is not None:
            await self.state.take_over(term)

    async def go_round(self) -> None:
        """Do what each few seconds bring: renew the lease, or read what the leader wrote."""
        objects = self.shared.objects
        if objects.term is not None and not objects.is_in_term():
            self.shared.lose()
        if objects.term is None:
            _, lease = self.holder.read()
            self.shared.lease_token = 0 if lease is None else lease.token
            await self.state.catch_up(0 if lease is None else lease.head)
        elif (until := self.holder.renew(objects.term.token, self.shared.head)) is None:
            self.shared.lose()
        else:
            objects.renew(until)
            if self.shared.is_behind:
                await self.state.catch_up()

    async def write(self, work: Callable[[Transaction], Any]) -> int:
        """Commit; returns at which position."""
        await self.state._journal.write(work)
        return self.shared.head

    async def rows(self) -> Mapping[str, Any]:
        """Return what all copies have."""
        return await self.state._journal.read(lambda t: read_all(t.connection))

    async def files(self) -> frozenset[str]:
        """Return the files that releases need, all of which are there."""
        known = await self.state._journal.read(lambda t: _read_manifest(t.connection))
        missing = [path for path in known if not (self.folder / path).exists()]
        assert missing == []
        return frozenset(known)

    def keep_file(self, path: str) -> None:
        """Write a file of a release."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(CONTENT)

    def drop_file(self, path: str) -> None:
        """Remove a file of a release."""
        with suppress(FileNotFoundError):
            (self.folder / path).unlink()
