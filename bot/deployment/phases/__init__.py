"""Take the steps of a deployment, one file each; a phase is added by adding a file and listing it here."""

from bot.deployment.phases.completion import Completion
from bot.deployment.phases.execution import Execution
from bot.deployment.phases.initialization import Initialization
from bot.deployment.phases.phase import Phase
from bot.deployment.phases.preparation import Preparation
from bot.deployment.phases.rollback import Rollback
from bot.deployment.phases.validation import Validation
from bot.deployment.phases.verification import Verification

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
