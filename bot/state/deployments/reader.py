"""Read deployments: what is under way, what holds an environment, and what became of the others."""

from collections.abc import Mapping
from datetime import datetime

from roas.models.deployment import (
    SAVES,
    UNTOUCHED_STEPS,
    Deployment,
    DeploymentKind,
    Lock,
    Outcome,
    ServiceProgress,
)
from roas.models.release import Holding
from roas.state.deployments.locks import read_lock
from roas.state.deployments.rows import AWAITING, read_deployment, read_service, read_services, select_deployments
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction

# Of so many backups on schedule those of each service are found, and between which ids all of them are.
SAVES_READ = 100
SAVE_IDS = (SAVES, f"{SAVES}z")


class DeploymentReader:
    """Read deployments; whoever writes them reads them, too."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def get(self, deployment_id: str) -> Deployment | None:
        """Return one deployment, whole, or None."""
        return await self._journal.read(lambda transaction: read_deployment(transaction, deployment_id))

    async def get_own(self, deployment_id: str) -> Deployment | None:
        """Return one deployment without its phases and services, or None."""
        return await self._first("id = ?", deployment_id, whole=False)

    async def list(
        self,
        environment: str | None = None,
        *,
        limit: int = 20,
        outcome: Outcome | None = None,
        offset: int = 0,
        whole: bool = True,
        with_saves: bool = True,
    ) -> tuple[Deployment, ...]:
        """Return the last deployments, newest first; `offset` leaves out the newest ones.

        Unless `whole`, they have no phases and no services: of a large stack, these take nearly all of the time.
        Without backups on schedule, a night of these leaves no deployment out.
        """
        where = (
            "(? IS NULL OR environment = ?) AND (? IS NULL OR outcome = ?) AND (? OR id NOT BETWEEN ? AND ?)"
            " ORDER BY rowid DESC LIMIT ? OFFSET ?"
        )
        wanted = (environment, environment, outcome, outcome, with_saves, *SAVE_IDS)
        return await self._select(where, *wanted, limit, offset, whole=whole)

    async def counts(self) -> Mapping[tuple[str, str, str], int]:
        """Return how many deployments have ended, without backups on schedule, by environment, kind and outcome."""
        rows = await self._journal.read(
            lambda transaction: transaction.execute(
                "SELECT environment, kind, outcome, count(*) FROM deployments"
                " WHERE outcome IS NOT NULL AND outcome != ? AND id NOT BETWEEN ? AND ?"
                " GROUP BY environment, kind, outcome",
                (AWAITING, *SAVE_IDS),
            ).fetchall()
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def active(self, environment: str) -> Deployment | None:
        """Return the deployment that moves an environment right now, or None."""
        return await self._first("environment = ? AND outcome IS NULL ORDER BY rowid DESC LIMIT 1", environment)

    async def in_the_way(self, environment: str, kind: DeploymentKind = DeploymentKind.DEPLOY) -> Lock | None:
        """Return the lock that keeps a request of a kind out; None where nothing holds the environment, or ends for it.

        One that only watches its release ends for a newer one, a canary for a rollback or a hotfix.
        """

        def work(transaction: Transaction) -> Lock | None:
            if (lock := read_lock(transaction, environment)) is None:
                return None
            held_by = read_deployment(transaction, lock.deployment_id)
            ends = held_by is not None and (held_by.only_watches or held_by.is_ended_by(kind))
            return None if ends else lock

        return await self._journal.read(work)

    async def progress_under_way(self, environment: str, service: str | None = None) -> tuple[ServiceProgress, ...]:
        """Return how far the services of the deployment that holds an environment are, or that one of them.

        Asked at each event of a container: only what is asked for is read.
        """

        def work(transaction: Transaction) -> tuple[ServiceProgress, ...]:
            if read_lock(transaction, environment) is None:
                return ()
            row = transaction.execute(
                "SELECT id FROM deployments WHERE environment = ? AND outcome IS NULL ORDER BY rowid DESC LIMIT 1",
                (environment,),
            ).fetchone()
            if row is None:
                return ()
            if service is None:
                return read_services(transaction, row[0])
            found = read_service(transaction, row[0], service)
            return () if found is None else (found,)

        return await self._journal.read(work)

    async def had_touched(self, environment: str, service: str, moment: datetime) -> bool:
        """Return whether the last deployment of an environment, which has ended, was at work on a service then."""

        def work(transaction: Transaction) -> bool:
            found = select_deployments(
                transaction, "environment = ? ORDER BY rowid DESC LIMIT 1", (environment,), whole=False
            )
            if not found or found[0].ended_at is None or not found[0].created_at <= moment <= found[0].ended_at:
                return False
            progress = read_service(transaction, found[0].id, service)
            return progress is not None and progress.step not in UNTOUCHED_STEPS

        return await self._journal.read(work)

    async def holding(self, environment: str) -> Holding | None:
        """Return what the deployment that holds an environment holds of it, or None where none does."""

        def work(transaction: Transaction) -> Holding | None:
            lock = read_lock(transaction, environment)
            if lock is None:
                return None
            known = read_deployment(transaction, lock.deployment_id) if lock.is_partial else None
            services = known.by_service if known is not None else {}
            return Holding(
                lock.deployment_id, lock.is_partial, known.to_release if known is not None else None, services
            )

        return await self._journal.read(work)

    async def left_by_failure(self, environment: str) -> tuple[str, frozenset[str]]:
        """Return the last deployment, where it failed and changed something, and the services that it left changed.

        What is not as the release says, or stopped, among those was this bot's doing, and nobody's hands.
        """
        where = "environment = ? AND outcome IS NOT NULL AND id NOT BETWEEN ? AND ? ORDER BY rowid DESC LIMIT 20"
        found = await self._select(where, environment, *SAVE_IDS)
        last = next(
            (deployment for deployment in found if deployment.touched or deployment.outcome is Outcome.SUCCEEDED),
            None,
        )
        if last is None or last.outcome is not Outcome.FAILED:
            return "", frozenset()
        return last.id, frozenset(service.service for service in last.services if service.step not in UNTOUCHED_STEPS)

    async def saves(self, environment: str) -> dict[str, tuple[Deployment, ...]]:
        """Return the last backups on schedule of an environment by service, newest first.

        They have no phases and no services.
        """
        where = "environment = ? AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
        found = await self._select(where, environment, *SAVE_IDS, SAVES_READ, whole=False)
        services = {service for deployment in found for service in deployment.request.services}
        return {
            service: tuple(deployment for deployment in found if service in deployment.request.services)
            for service in services
        }

    async def unfinished(self) -> tuple[Deployment, ...]:
        """Return every deployment that has no outcome yet, oldest first."""
        # With the plus SQLite takes the index of those few; else it would read all rows in their order.
        return await self._select("outcome IS NULL ORDER BY +rowid")

    async def of_interaction(self, interaction_id: str) -> Deployment | None:
        """Return the deployment that an interaction started, or None."""
        return await self._first("interaction_id = ?", interaction_id)

    async def _select(self, where: str, *parameters: object, whole: bool = True) -> tuple[Deployment, ...]:
        return await self._journal.read(
            lambda transaction: select_deployments(transaction, where, parameters, whole=whole)
        )

    async def _first(self, where: str, *parameters: object, whole: bool = True) -> Deployment | None:
        return next(iter(await self._select(where, *parameters, whole=whole)), None)
