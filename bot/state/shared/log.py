"""Share the journal with the bots on other machines: nothing is committed here before the Swarm has it.

Each commit that changes more than this machine's own rows is an entry of a log, kept as a config of the Swarm, whose
managers agree on it (Raft). The entry that follows another has a name that can be taken once: of two bots that would
write it, one does, and the other learns so, however long it was away. Who takes the lead writes an entry first, so that
whatever the leader before still means to write is refused. A snapshot says all that counts, and what is older goes:
a name that is free again for that reason is no answer to who leads, so the lease is asked once an entry is written.

All of this blocks, and is done in the journal's own thread.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roas.errors import FencedOffError, JournalMissingError, JournalUnusableError, StateError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.swarm import QUORUM_HINT
from roas.state.schema import FILES, IDENTITY, read_choice
from roas.state.shared.files import digest_of, find_files, pack, remove, unpack
from roas.state.shared.lease import NAME as LEASE
from roas.state.shared.lease import SharedLease
from roas.state.shared.objects import (
    FILE,
    NUMBERED,
    PART,
    SNAPSHOT,
    Json,
    SealedObjects,
    StoreAwayError,
    TakenError,
    Term,
    entry_name,
    file_name,
    number_of,
    snapshot_name,
)
from roas.state.shared.replica import (
    Changes,
    Position,
    apply_all,
    apply_changes,
    apply_migrations,
    forget_changes,
    known_migrations,
    note_changes,
    read_all,
    read_position,
    take_changes,
    write_note,
    write_position,
)
from roas.state.shared.sealing import UnsealedError

log = get_logger(__name__)

# After so many entries, all that counts is written in one.
ENTRIES_BETWEEN = 256
# With each entry so many that a snapshot has made superfluous are removed.
REMOVED_AT_ONCE = 3


class SharedLog:
    """Write and read the log of one group of bots."""

    def __init__(self, objects: SealedObjects, folder: Path) -> None:
        self.objects = objects
        self._folder = folder
        # Which node leads, by the lease; for people.
        self.leader = ""
        # By which token it does.
        self.lease_token = 0
        # The number of the last entry that this copy has.
        self.head = 0
        # By which token the last entry was written that this copy has.
        self.last_token = 0
        # Whether what the Swarm has is to be read first: of an entry it is not known whether it was taken.
        self.is_behind = False
        self._has_begun = False  # whether this process has written the first entry of its term
        self._has_files = False  # whether the files are here that what was read last needs
        self._manifest: dict[str, tuple[str, int]] = {}
        self._obsolete: list[str] = []
        self._since_snapshot = 0

    @property
    def leads(self) -> bool:
        """Return whether this process may act, by the clock: one that was stopped in between may not."""
        return self._has_begun and self.objects.is_in_term()

    def require_lead(self) -> None:
        """Raise FencedOffError where this process does not lead."""
        if not self.leads:
            raise _on_standby(self.leader)

    def lose(self) -> None:
        """Lead no more."""
        self._has_begun = False
        self.objects.end()

    def attach(self, connection: sqlite3.Connection) -> None:
        """Note what this connection changes from now on."""
        note_changes(connection)
        self._manifest = _read_manifest(connection)
        if (position := read_position(connection)) is not None:
            self._come_to(position)
            self.leader = position.node

    # What this process writes.

    def commit(self, connection: sqlite3.Connection) -> None:
        """Have the Swarm keep what a transaction changed, before it is committed here.

        Raises FencedOffError where another bot leads, JournalUnusableError where the Swarm does not take it.
        """
        changes = take_changes(connection)
        if not changes:
            return
        self.require_lead()
        position = read_position(connection)
        if position is None or self.is_behind:
            raise _not_known()
        with _typed():
            try:
                self._append(connection, position, changes)
            except TakenError as error:  # by one of ours of which no answer came, or by who leads now
                self.is_behind = True
                raise _not_known() from error
            except StoreAwayError:
                self.is_behind = True  # whether it was written is for the next reading to say
                raise
        self._shorten(connection)

    def take_over(self, connection: sqlite3.Connection, term: Term) -> None:
        """Begin to lead: read what there is, then write the first entry of the term. Raises StateError."""
        self.objects.begin(term)
        self._has_files = False
        try:
            with _typed():
                self._close_gap(connection)
                while not self._begin(connection):
                    pass
        except BaseException:
            self.lose()
            raise
        self._has_begun = True

    def _begin(self, connection: sqlite3.Connection) -> bool:
        """Write the first entry; returns False where the leader before has written one meanwhile.

        Files that are new go with the next one: before it has this one, the Swarm has nothing of another term.
        """
        self._catch_up(connection, self._newest())
        with _transaction(connection):
            position = read_position(connection) or self._snapshot(connection, None)
            try:
                self._append(connection, position, Changes({}, {}), migrations=known_migrations(), has_files=False)
            except TakenError:
                return False
        if find_files(self._folder) != self._manifest.keys():
            with _transaction(connection):
                self._append(connection, _position(connection), Changes({}, {}))
        return True

    def _append(
        self,
        connection: sqlite3.Connection,
        position: Position,
        changes: Changes,
        *,
        migrations: Sequence[str] = (),
        has_files: bool = True,
    ) -> None:
        """Write the next entry. Raises TakenError where there is one, FencedOffError, StoreAwayError."""
        term = self.objects.term
        if term is None or position.token > term.token:  # another has led since, whatever the clock says
            raise _on_standby(self.leader)
        self._manifest = before = _read_manifest(connection)
        if has_files:
            self._upload()
        now = self._manifest
        body: Json = {
            "previous": position.digest,
            "token": term.token,
            "node": term.node,
            "rows": changes.rows,
            "deleted": changes.deleted,
            "files": {path: now[path] for path in now.keys() - before.keys()},
            "gone": sorted(before.keys() - now.keys()),
            "migrations": migrations,
        }
        number = position.sequence + 1
        digest = self.objects.put(entry_name(number), body)
        lease = self.objects.ask(lambda: self.objects.store.read(LEASE))
        if lease is not None and SharedLease.of(lease).token > term.token:
            raise TakenError(entry_name(number))  # what another wrote by that number may have been removed since
        written = Position(number, digest, term.token, term.node)
        self._note(connection, written)
        self._come_to(written)
        self._since_snapshot += 1

    def _snapshot(self, connection: sqlite3.Connection, position: Position | None) -> Position:
        """Write all that counts, as of a position; returns that. Files that are new are in the next entry."""
        self._manifest = _read_manifest(connection)
        at = position or Position(0, "")
        body: Json = {
            "journal": _identity(connection),
            "choice": read_choice(connection),
            "previous": at.digest,
            "token": at.token,
            "node": at.node,
            "rows": read_all(connection),
            "files": self._manifest,
            "migrations": known_migrations(),
        }
        self.objects.put(snapshot_name(at.sequence), body)
        self._note(connection, at)
        self._come_to(at)
        self._since_snapshot = 0
        return at

    def _upload(self) -> None:
        """Write the files that are new since the last entry, which whatever is committed may need."""
        there = find_files(self._folder)
        for path in sorted(self._manifest.keys() - there):
            digest, parts = self._manifest[path]
            self._obsolete += [file_name(digest, number) for number in range(parts)]
        self._manifest = {path: known for path, known in self._manifest.items() if path in there}
        for path in sorted(there - self._manifest.keys()):
            try:
                packed = pack(self._folder, path)
            except FileNotFoundError:  # removed in this moment
                continue
            digest = digest_of(path, packed)
            parts = self.objects.put_file(digest, packed) if digest else 0
            again = {file_name(digest, number) for number in range(parts)}
            self._obsolete = [name for name in self._obsolete if name not in again]
            self._manifest[path] = (digest, parts)

    def _shorten(self, connection: sqlite3.Connection) -> None:
        """Write a snapshot once in a while, and remove some of what it makes superfluous; neither has to succeed."""
        try:
            if self._since_snapshot >= ENTRIES_BETWEEN:
                position = _position(connection)
                before = self._superfluous(position)
                self._snapshot(connection, position)
                self._obsolete = before
            for name in self._obsolete[:REMOVED_AT_ONCE]:
                self.objects.store.remove(name)
                self._obsolete.remove(name)
        except (StoreAwayError, TakenError) as error:
            log.warning("the log in the Swarm could not be shortened", error=str(error))

    def _superfluous(self, position: Position) -> list[str]:
        """Return what nobody needs beside a snapshot of a position, whoever wrote it. Raises TakenError.

        What another writes who leads by now comes after its first entry, and is not in what is found without that.
        """
        names = [stored.name for stored in self.objects.store.all()]
        if any(number_of(name) > position.sequence for name in names if name.startswith(NUMBERED)):
            raise TakenError(entry_name(position.sequence + 1))
        needed = {file_name(digest, number) for digest, parts in self._manifest.values() for number in range(parts)}
        needed.add(entry_name(position.sequence))  # no other is taken for the last of the log
        return sorted(name for name in names if name.startswith((*NUMBERED, PART, FILE)) and name not in needed)

    def _close_gap(self, connection: sqlite3.Connection) -> None:
        """See to it that the Swarm has what this copy has: it may have been made again of an older state.

        Where others have led since then, what they wrote counts.
        """
        names = [stored.name for stored in self.objects.store.all() if stored.name.startswith(NUMBERED)]
        snapshot = max((number_of(name) for name in names if name.startswith(SNAPSHOT)), default=0)
        self._obsolete = sorted(name for name in names if number_of(name) < snapshot)
        position, newest = read_position(connection), max(names, key=number_of, default="")
        if position is None:
            return
        self._since_snapshot = max(0, position.sequence - snapshot)
        if newest and self._is_lost(position, number_of(newest)):
            self._rebuild(connection)
            return
        if newest and number_of(newest) >= position.sequence:
            return
        with _transaction(connection):
            write_note(connection, FILES, "{}")  # what it had of files is gone as well: the next entry has them all
            self._snapshot(connection, position)

    def _is_lost(self, position: Position, head: int) -> bool:
        """Return whether the Swarm was made again of an older state, and another has led since.

        Then the last entry, `head`, is not what this copy has by that number, or is of a later term than what it has
        by a higher one. Where this copy has come less far, what follows says so.
        """
        if head > position.sequence:
            return False
        entry, snapshot = self.objects.get(entry_name(head)), self.objects.get(snapshot_name(head))
        if entry is None and snapshot is None:
            return False
        said_by = entry or snapshot or {}
        if head < position.sequence:
            return bool(said_by["token"] > position.token)
        return bool(said_by["digest" if entry else "previous"] != position.digest)

    # What others wrote.

    def catch_up(self, connection: sqlite3.Connection, head: int | None = None) -> bool:
        """Read what was written elsewhere, at least up to the entry `head`; returns whether there was anything.

        Who does not know a head is told by what the Swarm has: what comes next here may have been removed long since.

        Raises JournalMissingError where this journal is another one, StateError where the Swarm does not answer.
        """
        with _typed():
            return self._catch_up(connection, self._newest() if head is None else head)

    def _newest(self) -> int:
        """Return up to which entry the Swarm has the log."""
        names = (stored.name for stored in self.objects.store.all())
        return max((number_of(name) for name in names if name.startswith(NUMBERED)), default=0)

    def _catch_up(self, connection: sqlite3.Connection, head: int) -> bool:
        self._manifest = _read_manifest(connection)
        has_changed = is_rebuilt = read_position(connection) is None and self._rebuild(connection)
        while (position := read_position(connection)) is not None:
            body = self.objects.get(entry_name(position.sequence + 1))
            is_last = body is None and position.sequence >= head
            if is_last and (is_rebuilt or not self._may_be_lost(position, head) or not self._is_lost(position, head)):
                break
            has_changed = True
            if body is None or body["previous"] != position.digest:
                if is_rebuilt or not self._rebuild(connection):
                    raise StoreAwayError(f"{entry_name(position.sequence + 1)} is missing")
                is_rebuilt = True
            else:
                self._apply(connection, body, position)
        if not self._has_files:
            self._fetch()
        self.is_behind = False
        return has_changed

    def _may_be_lost(self, position: Position, head: int) -> bool:
        """Return whether who leads has written something that is not what this copy has last."""
        return head > 0 and (head < position.sequence or self.lease_token != position.token)

    def _apply(self, connection: sqlite3.Connection, body: Json, position: Position) -> None:
        with _transaction(connection):
            if read_position(connection) != position:
                return  # another process on this machine has done so
            apply_migrations(connection, body["migrations"])
            apply_changes(connection, Changes(body["rows"], body["deleted"]))
            before = _read_manifest(connection)
            self._take_manifest(before, {path: before[path] for path in before.keys() - body["gone"]} | body["files"])
            following = Position(position.sequence + 1, body["digest"], body["token"], body["node"])
            self._note(connection, following)
        self._come_to(following)
        self._since_snapshot += 1

    def _rebuild(self, connection: sqlite3.Connection) -> bool:
        """Make this journal what the newest snapshot says; returns whether there is one."""
        names = [stored.name for stored in self.objects.store.all() if stored.name.startswith(SNAPSHOT)]
        if not names:
            return False
        newest = max(names, key=number_of)
        body = self.objects.get(newest)
        if body is None:
            raise StoreAwayError("the newest snapshot has just been replaced")
        if read_position(connection) is None:
            _refuse_other_journal(connection, body, self._folder)
        with _transaction(connection):
            apply_migrations(connection, body["migrations"])
            apply_all(connection, body["rows"])
            self._take_manifest(_read_manifest(connection), body["files"])
            position = Position(number_of(newest), body["previous"], body["token"], body["node"])
            self._note(connection, position)
        self._come_to(position)
        self._since_snapshot = 0
        return True

    def _take_manifest(self, before: Mapping[str, object], files: Mapping[str, Any]) -> None:
        """Know other files from now on, and remove those that are needed no more; what nobody told of stays.

        Before that is committed: whatever interrupts it, no file is left that would be taken for a new one.
        """
        self._manifest = {path: (str(digest), int(parts)) for path, (digest, parts) in files.items()}
        self._has_files = False
        for path in sorted(before.keys() - self._manifest.keys()):
            remove(self._folder, path)

    def _note(self, connection: sqlite3.Connection, position: Position) -> None:
        write_position(connection, position)
        write_note(connection, FILES, json.dumps(self._manifest))

    def _come_to(self, position: Position) -> None:
        """Know that this copy has come to a position, or has the Swarm's word for it."""
        self.head, self.last_token = position.sequence, position.token

    def _fetch(self) -> None:
        """Write the files that others wrote."""
        there = find_files(self._folder)
        for path in sorted(self._manifest.keys() - there):
            digest, parts = self._manifest[path]
            unpack(self._folder, path, self.objects.get_file(digest, parts))
        self._has_files = True


def _position(connection: sqlite3.Connection) -> Position:
    """Return up to where this copy is, which has one. Raises JournalUnusableError."""
    position = read_position(connection)
    if position is None:
        raise _not_known()
    return position


def _read_manifest(connection: sqlite3.Connection) -> dict[str, tuple[str, int]]:
    row = connection.execute("SELECT document FROM projections WHERE name = ?", (FILES,)).fetchone()
    return {} if row is None else {path: (name, parts) for path, (name, parts) in json.loads(row[0]).items()}


def _identity(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT document FROM projections WHERE name = ?", (IDENTITY,)).fetchone()
    return "" if row is None else str(row[0])


def _refuse_other_journal(connection: sqlite3.Connection, snapshot: Json, folder: Path) -> None:
    """Raise JournalMissingError where this journal has begun by itself, and is not the one that the Swarm has.

    Nor is that one which a person has chosen here since then.
    """
    begun = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM deployments) OR EXISTS (SELECT 1 FROM releases)"
    ).fetchone()
    own, choice = _identity(connection), read_choice(connection)
    if begun[0] and (own != snapshot["journal"] or choice not in {"", snapshot["choice"]}):
        text = said(
            "The journal in {folder} is {own}, and the Swarm has {journal}.",
            folder=folder,
            own=choice or own,
            journal=snapshot["journal"],
        )
        raise JournalMissingError(
            text,
            hint=said(
                "Move that folder away on this machine, and the bot takes what the Swarm has. Where the journal here "
                "is the one that counts, remove the configs that begin with `roas.` while no bot runs."
            ),
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        forget_changes(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


@contextmanager
def _typed() -> Iterator[None]:
    """Raise what people are told of a Swarm that does not keep, or give, what the journal says."""
    try:
        yield
    except TakenError as error:
        raise _not_known() from error
    except StoreAwayError as error:
        text = said("The Swarm cannot store or return the journal's entries: {reason}", reason=error)
        raise JournalUnusableError(text, hint=QUORUM_HINT) from error
    except UnsealedError as error:
        raise StateError(
            said("The journal's entries in the Swarm are encrypted with another key ({name}).", name=error),
            hint=said("Give SWARM_STATE_KEY_FILE the key of the other bots."),
        ) from error


def _on_standby(leader: str) -> FencedOffError:
    text = said("Another bot is the leader now; this one is on standby.")
    if leader:
        text = said("The bot on {node} leads; this one is on standby.", node=leader)
    return FencedOffError(text, hint=said("Run the command in the container of the bot that leads."))


def _not_known() -> JournalUnusableError:
    return JournalUnusableError(
        said("Whether the Swarm accepted the last write is not known yet."),
        hint=QUORUM_HINT,
    )
