"""Keep the releases: numbered per environment, immutable but for what became of them."""

import json
from collections.abc import Collection
from dataclasses import replace

from roas.models.release import Release, ReleaseState
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import to_json
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence, Transaction

RESTORABLE = frozenset({ReleaseState.SUCCEEDED, ReleaseState.ADOPTED})


class Releases:
    """Read and write releases."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, release: Release, fence: Fence, correlation_id: str = "") -> Release:
        """Save a release with the next number of its environment (0 for an adopted first one)."""

        def work(transaction: Transaction) -> Release:
            numbered = replace(release, number=_next_number(transaction, release))
            transaction.execute(
                "INSERT INTO releases (environment, number, state, document) VALUES (?, ?, ?, ?)",
                (numbered.environment, numbered.number, numbered.state.value, to_json(numbered)),
            )
            transaction.add_change(
                StateChange(
                    type=ChangeType.RELEASE_CREATED,
                    source="releases",
                    environment=numbered.environment,
                    subject=numbered.label,
                    new=numbered.model_hash,
                    metadata={"version": numbered.version, "deployment": numbered.deployment_id},
                    correlation_id=correlation_id,
                )
            )
            if numbered.state is ReleaseState.ADOPTED:
                activate_release(transaction, numbered, numbered.model_hash, correlation_id)
            return numbered

        return await self._journal.write(work, fence=fence)

    async def current(self, environment: str) -> Release | None:
        """Return the release that the environment is on, or None before the first."""

        def work(transaction: Transaction) -> Release | None:
            number = current_number(transaction, environment)
            return None if number is None else _read(transaction, environment, number)

        return await self._journal.read(work)

    async def released(self) -> frozenset[str]:
        """Return the names of the environments that are on a release."""
        rows = await self._journal.read(
            lambda t: t.execute("SELECT name FROM environments WHERE current_release IS NOT NULL").fetchall()
        )
        return frozenset(row[0] for row in rows)

    async def before(self, environment: str, of: int | None = None) -> tuple[Release, ...]:
        """Return the release that one (by default the current) replaced, the one before that, and so on: those kept."""

        def work(transaction: Transaction) -> tuple[Release, ...]:
            number = current_number(transaction, environment) if of is None else of
            release = None if number is None else _read(transaction, environment, number)
            found = []
            while release is not None and release.replaces is not None:
                release = _read(transaction, environment, release.replaces)
                if release is not None and release.state in RESTORABLE and _is_kept(transaction, release):
                    found.append(release)
            return tuple(found)

        return await self._journal.read(work)

    async def applied_model(self, environment: str) -> str | None:
        """Return the hash of the model that the environment runs, or None before the first release."""
        return await self._journal.read(lambda transaction: _applied_model(transaction, environment))

    async def applied(self, environment: str) -> Release | None:
        """Return the release that the environment is on, with the model that it runs: that has today's credentials."""

        def work(transaction: Transaction) -> Release | None:
            number = current_number(transaction, environment)
            release = None if number is None else _read(transaction, environment, number)
            applied = _applied_model(transaction, environment)
            return replace(release, model_hash=applied) if release is not None and applied else release

        return await self._journal.read(work)

    async def get(self, environment: str, number: int) -> Release | None:
        """Return one release, or None."""
        return await self._journal.read(lambda transaction: _read(transaction, environment, number))

    async def list(self, environment: str, limit: int = 20) -> tuple[Release, ...]:
        """Return the kept releases, newest first."""
        where = "releases WHERE environment = ? AND kept = 1 ORDER BY number DESC LIMIT ?"
        return await self._journal.select(Release, where, environment, limit)

    async def versions(self, environment: str, limit: int = 20) -> tuple[str, ...]:
        """Return the versions of the kept releases, newest first: what else they are made of is not read."""
        rows = await self._journal.read(
            lambda transaction: transaction.execute(
                "SELECT json_extract(document, '$.version') FROM releases WHERE environment = ? AND kept = 1"
                " ORDER BY number DESC LIMIT ?",
                (environment, limit),
            ).fetchall()
        )
        return tuple(str(row[0] or "") for row in rows)

    async def beyond(self, environment: str, kept: int, *, runs: int | None = None) -> tuple[Release, ...]:
        """Return the releases that are kept but need not be: all but the current one, and the last `kept`.

        Failed ones take no place from those that can be gone back to: the last `kept` of these stay, too. `runs` is
        the release that is about to be the current one, which may be an old one.
        """

        def work(transaction: Transaction) -> tuple[Release, ...]:
            running = {current_number(transaction, environment), runs}
            where = "releases WHERE environment = ? AND kept = 1 ORDER BY number DESC"
            newest = transaction.select(Release, where, environment)
            good = [release.number for release in newest if release.state in RESTORABLE or release.number in running]
            spared = running.union(good[:kept])
            return tuple(release for release in newest[kept:] if release.number not in spared)

        return await self._journal.read(work)

    async def forgotten(self, environment: str, numbers: Collection[int]) -> tuple[Release, ...]:
        """Return those of some releases that are not kept any more; of one without a record here nothing is known.

        The current one is never among them: one that was forgotten may have been brought back while it was still there.
        """
        where = (
            "releases WHERE environment = ? AND kept = 0 AND number IN (SELECT value FROM json_each(?)) ORDER BY number"
        )

        def work(transaction: Transaction) -> tuple[Release, ...]:
            wanted = set(numbers) - {current_number(transaction, environment)}
            return transaction.select(Release, where, environment, json.dumps(sorted(wanted)))

        return await self._journal.read(work)

    async def applied_models(self) -> frozenset[str]:
        """Return the hashes of the models that all environments run."""
        rows = await self._journal.read(lambda t: t.execute("SELECT applied_model FROM environments").fetchall())
        return frozenset(row[0] for row in rows if row[0])

    async def set_files(self, release: Release, files_hash: str, fence: Fence) -> Release:
        """Write of which files a release is made: the same services may come of others; returns it."""

        def work(transaction: Transaction) -> Release:
            known = replace(_read(transaction, release.environment, release.number) or release, files_hash=files_hash)
            transaction.execute(
                "UPDATE releases SET document = ? WHERE environment = ? AND number = ?",
                (to_json(known), known.environment, known.number),
            )
            return known

        return await self._journal.write(work, fence=fence)

    async def forget(self, release: Release, fence: Fence) -> None:
        """Stop keeping a release; its record stays for history."""
        await self._journal.write(
            lambda transaction: transaction.execute(
                "UPDATE releases SET kept = 0 WHERE environment = ? AND number = ?",
                (release.environment, release.number),
            ),
            fence=fence,
        )


def _applied_model(transaction: Transaction, environment: str) -> str | None:
    row = transaction.execute("SELECT applied_model FROM environments WHERE name = ?", (environment,)).fetchone()
    return row[0] or None if row else None


def current_number(transaction: Transaction, environment: str) -> int | None:
    """Return the number of the release that the environment is on."""
    row = transaction.execute("SELECT current_release FROM environments WHERE name = ?", (environment,)).fetchone()
    return row[0] if row else None


def activate_release(transaction: Transaction, release: Release, applied_model: str, correlation_id: str) -> None:
    """Write that the environment is on a release now; `applied_model` is its model with today's credentials."""
    old = current_number(transaction, release.environment)
    transaction.execute(
        "INSERT INTO environments (name, current_release, applied_model) VALUES (?, ?, ?) ON CONFLICT (name)"
        " DO UPDATE SET current_release = excluded.current_release, applied_model = excluded.applied_model",
        (release.environment, release.number, applied_model),
    )
    transaction.add_change(
        StateChange(
            type=ChangeType.RELEASE_ACTIVATED,
            source="releases",
            environment=release.environment,
            subject=release.label,
            old=old,
            new=release.number,
            correlation_id=correlation_id,
        )
    )


def set_release_state(transaction: Transaction, environment: str, number: int, state: ReleaseState) -> None:
    """Write what became of a release."""
    release = _read(transaction, environment, number)
    if release is not None:
        transaction.execute(
            "UPDATE releases SET state = ?, document = ? WHERE environment = ? AND number = ?",
            (state.value, to_json(replace(release, state=state)), environment, number),
        )


def _next_number(transaction: Transaction, release: Release) -> int:
    row = transaction.execute(
        "SELECT max(number) FROM releases WHERE environment = ?", (release.environment,)
    ).fetchone()
    if row[0] is not None:
        return int(row[0]) + 1
    return 0 if release.state is ReleaseState.ADOPTED else 1


def _is_kept(transaction: Transaction, release: Release) -> bool:
    row = transaction.execute(
        "SELECT kept FROM releases WHERE environment = ? AND number = ?", (release.environment, release.number)
    ).fetchone()
    return bool(row[0])


def _read(transaction: Transaction, environment: str, number: int) -> Release | None:
    return next(
        iter(transaction.select(Release, "releases WHERE environment = ? AND number = ?", environment, number)), None
    )
