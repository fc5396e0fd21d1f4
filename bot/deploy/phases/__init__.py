"""The phases of a deployment, one file each; a phase is added by adding a file and listing it here."""

from typing import Protocol

from roas.deploy.context import DeploymentContext
from roas.deploy.phases.completion import Completion
from roas.deploy.phases.execution import Execution
from roas.deploy.phases.initialization import Initialization
from roas.deploy.phases.preparation import Preparation
from roas.deploy.phases.rollback import Rollback
from roas.deploy.phases.validation import Validation
from roas.deploy.phases.verification import Verification
from roas.models.phases import PhaseName


class Phase(Protocol):
    """One step of a deployment. Running it again after a crash or a fault must lead to the same result."""

    @property
    def name(self) -> PhaseName:
        """Return which step it is."""
        ...

    async def run(self, context: DeploymentContext) -> str:
        """Run the step and return a short summary. Raises RoasError."""
        ...


_PHASES: tuple[Phase, ...] = (
    Initialization(),
    Validation(),
    Preparation(),
    Execution(),
    Verification(),
    Completion(),
    Rollback(),
)
ALL_PHASES = {phase.name: phase for phase in _PHASES}

__all__ = ["ALL_PHASES", "Phase"]
