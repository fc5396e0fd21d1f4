"""The phases of a deployment, one file each; a phase is added by adding a file and listing it here."""

from roas.deploy.phases.completion import Completion
from roas.deploy.phases.execution import Execution
from roas.deploy.phases.initialization import Initialization
from roas.deploy.phases.phase import Phase
from roas.deploy.phases.preparation import Preparation
from roas.deploy.phases.rollback import Rollback
from roas.deploy.phases.validation import Validation
from roas.deploy.phases.verification import Verification

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
