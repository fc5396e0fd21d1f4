"""Say what to do about a write that came to a bad end."""

from roas.engine.swarm.judgement import Judgement, UpdateVerdict
from roas.messages.message import said

BY_ANOTHER = frozenset({UpdateVerdict.OVERWRITTEN, UpdateVerdict.REMOVED})


def failure_hint(judged: Judgement, service: str) -> str:
    """Say what to do about a write that came to a bad end: the release may have no part in that."""
    if judged.verdict in BY_ANOTHER:
        return said("Find out who writes to the Swarm, then deploy again.")
    if judged.verdict is UpdateVerdict.ROLLED_BACK and judged.task_id is None:
        return said("See whether somebody ran `docker service rollback` or drained a node, then deploy again.")
    if judged.verdict is UpdateVerdict.LOST:
        return said(
            "See that it does not run there any more, bring the node back or remove it (`docker node rm --force`), "
            "then deploy again."
        )
    if judged.verdict is UpdateVerdict.NEVER_STARTED:  # it has written nothing
        return said(
            "See what keeps nodes from it (`docker service ps`): constraints, reservations, nodes that are away, its "
            "image; then deploy again."
        )
    return said(
        "Read the last lines of {service} in the report, correct the release, and deploy again.", service=service
    )
