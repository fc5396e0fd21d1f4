"""Define what a phase is."""

from typing import Protocol

from roas.deploy.context import DeploymentContext
from roas.models.coordination import PhaseName


class Phase(Protocol):
    """One step of a deployment. Running it again after a crash or a fault must lead to the same result."""

    @property
    def name(self) -> PhaseName:
        """Return which step it is."""
        ...

    async def run(self, context: DeploymentContext) -> str:
        """Run the step and return a short summary. Raises RoasError."""
        ...
