"""Check that for each service there is a node that takes it."""

from roas.engine.swarm.obstacles import find_unplaced
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class SwarmConstraintsCheck:
    """Compare what each service asks for with the nodes: Swarm would wait for a node for ever."""

    name = "swarm_constraints"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report services that no node takes, and those that only nodes take that are away."""
        facts = await subject.swarm() if subject.swarm is not None else None
        if facts is None or subject.stack is None:
            return []

        problems = [failed(self, one.message, one.remedy) for one in find_unplaced(subject.stack.model, facts.nodes)]
        return problems or [passed(self, said("Every service has a node that takes it."))]
