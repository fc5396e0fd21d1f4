"""Read what the release before says in words only: here alone is a text read to know what became of something.

What this release writes says it in a field of its own, with the words beside it: for people, and for that release.
"""

from dataclasses import replace

from roas.models.alert import Alert
from roas.models.deployment import PhaseResult, PhaseStatus

# How the last note on an alert begins that recovery has left as it is.
LEFT_ALONE = "not ours"
# Whether a recovery attempt has ended, in SQL.
STEP_HAS_ENDED = "json_extract(document, '$.result') != ''"


def phase_of(stored: PhaseResult) -> PhaseResult:
    """Return a phase's record: one of the release before has a summary only if all runs, though the phase failed."""
    if stored.brought_up is not None or stored.status is not PhaseStatus.FAILED:
        return stored
    return replace(stored, brought_up=bool(stored.summary))


def alert_of(stored: Alert) -> Alert:
    """Return an alert: of one of the release before, the last note says that recovery has left it as it is."""
    if stored.left_alone is not None:
        return stored
    return replace(stored, left_alone=bool(stored.actions) and stored.actions[-1].startswith(LEFT_ALONE))
