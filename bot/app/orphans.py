"""Resume, in the leader's process, the deployments that dead processes left."""

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import RoasError
from roas.log import PersistentFault, get_logger
from roas.rounds import Rounds

log = get_logger(__name__)

# How often a running bot looks for deployments whose process died (a command line that was killed).
ORPHAN_POLL_SECONDS = 5.0
ORPHANS = "orphans"


class OrphanedDeployments:
    """Look for them at the start, and slowly ever after."""

    def __init__(self, orchestrator: DeploymentOrchestrator) -> None:
        self._orchestrator = orchestrator
        self._is_swept = False
        self._trouble = PersistentFault()
        self._rounds = Rounds("orphaned deployments", self._resume, ORPHAN_POLL_SECONDS)

    async def start(self) -> None:
        """Begin to look; what this process left itself, when it led before, is swept again."""
        self._is_swept = False
        self._rounds.start()

    async def stop(self) -> None:
        """Stop; the next leader looks, too."""
        await self._rounds.stop()

    async def _resume(self) -> None:
        try:
            for deployment in await self._orchestrator.resume():
                log.info("resumed a deployment", deployment_id=deployment.id)
            if not self._is_swept:
                self._is_swept = await self._orchestrator.sweep()
            await self._orchestrator.check_foreign_bots()
            self._trouble.is_over(ORPHANS)
        except RoasError as error:
            if self._trouble.is_new(ORPHANS, error.message):
                log.error("unfinished deployments could not be resumed", error=error.message, hint=error.hint)
