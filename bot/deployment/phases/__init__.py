"""The phases of a deployment, one file each; a phase is added by adding a file and listing it here."""

from roas.deployment.phases.completion import Completion
from roas.deployment.phases.execution import Execution
from roas.deployment.phases.initialization import Initialization
from roas.deployment.phases.phase import Phase
from roas.deployment.phases.preparation import Preparation
from roas.deployment.phases.rollback import Rollback
from roas.deployment.phases.validation import Validation
from roas.deployment.phases.verification import Verification

ALL_PHASES: tuple[Phase, ...] = (
    Initialization(),
    Validation(),
    Preparation(),
    Execution(),
    Verification(),
    Completion(),
    Rollback(),
)

__all__ = ["ALL_PHASES", "Phase"]
