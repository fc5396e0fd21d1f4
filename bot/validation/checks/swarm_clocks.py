"""Compare the nodes' clocks with the managers', as far as reports of tasks tell."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.swarm import SwarmFacts, SwarmNode
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

# A report takes less than this to be written down.
TOLERATED_SECONDS = 2.0


class SwarmClocksCheck:
    """Compare when nodes say that they reported with when the managers wrote that down.

    A report from the future is of a clock that is ahead. One that was written down late is of a clock that is behind,
    or was repeated after a while without a leader: that cannot be told apart.
    """

    name = "swarm_clocks"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report the clocks that are ahead, those that agree, and those of which nothing is known."""
        facts = await subject.swarm() if subject.swarm is not None else None
        if facts is None:
            return []
        agree: list[str] = []
        unknown: list[str] = []
        found: list[CheckResult] = []
        for node in facts.nodes:
            lag = _lag(node, facts)
            if lag is None or lag > TOLERATED_SECONDS:
                unknown.append(node.hostname)
            elif lag < -TOLERATED_SECONDS:
                text = said("The clock of {node} is {seconds} s ahead.", node=node.hostname, seconds=f"{-lag:.0f}")
                found.append(failed(self, text, said("Let NTP set the clocks of all nodes.")))
            else:
                agree.append(node.hostname)
        if agree:
            found.append(passed(self, said("The clocks of {nodes} agree with the managers'.", nodes=listed(agree))))
        if unknown:
            text = said("How the clocks of {nodes} are is not known: no task there has told.", nodes=listed(unknown))
            found.append(failed(self, text, said("Look there: `timedatectl`."), Severity.INFO))
        return found


def _lag(node: SwarmNode, facts: SwarmFacts) -> float | None:
    """Return the lag of the report that was written down the soonest."""
    lags = [one.lag_seconds for one in facts.traces if one.node_id == node.id and one.lag_seconds is not None]
    return min(lags, default=None)
