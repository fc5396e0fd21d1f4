"""Keep which Swarm each environment was deployed to, so that no other one is written to by mistake."""

from roas.models.swarm import KnownSwarm
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction

ROWS = "swarms WHERE environment = ?"


class KnownSwarms:
    """Read and write the ids of Swarms."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def id_of(self, environment: str) -> str:
        """Return the id of the Swarm that an environment was deployed to; empty where it was to none yet."""
        known = await self._journal.find(KnownSwarm, ROWS, environment)
        return "" if known is None else known.id

    async def note(self, known: KnownSwarm) -> None:
        """Write which Swarm an environment is deployed to."""

        def work(transaction: Transaction) -> None:
            if transaction.find(KnownSwarm, ROWS, known.environment) != known:
                transaction.put("swarms", known, environment=known.environment)

        await self._journal.write(work)
