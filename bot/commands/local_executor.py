"""Run a deployment in the command's own process."""

from collections.abc import AsyncGenerator

from roas.application import Application
from roas.control.journal_follower import follow_journal
from roas.errors import InvalidRequestError
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice


class LocalExecutor:
    """Do it in this process, by the same orchestrator, lock and journal."""

    is_bot = False
    may_end_with_container = False

    def __init__(self, application: Application) -> None:
        self._application = application

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Return what a request would change; `to_start` it at once."""
        return await self._application.orchestrator.plan(request, to_start=to_start)

    async def prepare(self, environment: str) -> tuple[Deployment, ...]:
        """Refuse to replace our own container; then resume what a dead process left unfinished."""
        await self._refuse_own_container(environment)
        return await self._application.orchestrator.resume()

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Start a deployment in this process; that it is confirmed was checked before."""
        return await self._application.orchestrator.start(request)

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask it to stop, whichever process runs it."""
        return await self._application.orchestrator.cancel(deployment_id, actor)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let it go on, or take it back, whichever process runs it."""
        return await self._application.orchestrator.decide(deployment_id, choice, actor)

    def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Follow through the journal, which reports each change immediately."""
        return follow_journal(self._application.state, deployment_id)

    async def _refuse_own_container(self, name: str) -> None:
        environment = self._application.orchestrator.environment(name)
        probe = self._application.engine.probe_for(environment)
        if not probe.in_container():
            return
        own = await probe.own_container()
        if own is not None and own.project == environment.project:
            raise InvalidRequestError(
                f"This command runs in {own.name}, a container of {name} that the deployment may replace:"
                " it would end itself in the middle.",
                hint="Start the bot and type the same again, or run the command on the host.",
            )
