"""Check the managers of the Swarm: their number, whether they reach each other, and that this node is one."""

from collections.abc import Iterator

from roas.errors import EngineError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.swarm import REACHABLE, SwarmFacts
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class SwarmManagersCheck:
    """Ask a manager about the managers; nothing to check where the stack runs on one machine."""

    name = "swarm_managers"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report a lost quorum, managers out of reach, and a number of managers that helps nobody."""
        try:
            facts = await subject.swarm() if subject.swarm is not None else None
        except EngineError as error:
            return [failed(self, error.message, error.hint)]
        return [] if facts is None else [*self._reach(facts), *self._number(facts)]

    def _reach(self, facts: SwarmFacts) -> Iterator[CheckResult]:
        managers, reached = len(facts.managers), facts.reachable_managers
        own = next((one.hostname for one in facts.managers if one.id == facts.own_node_id), "")
        leader = next((one.hostname for one in facts.managers if one.is_leader), "")
        if facts.spare_managers < 0 or not leader:
            yield failed(
                self,
                said("Of {managers} managers {reached} can be reached.", managers=managers, reached=reached),
                said("Bring managers back: more than half of them must reach each other."),
            )
        elif reached < managers:
            lost = [one.hostname for one in facts.managers if one.reachability != REACHABLE]
            yield failed(
                self,
                said("The managers do not reach {lost}.", lost=listed(lost)),
                said("Bring them back, or remove them: `docker node demote NODE`."),
                Severity.WARNING,
            )
        else:
            text = said(
                "{own} is a manager; {managers} of {managers} can be reached, {leader} leads.",
                own=own,
                managers=managers,
                leader=leader,
            )
            yield passed(self, text)

    def _number(self, facts: SwarmFacts) -> Iterator[CheckResult]:
        managers = len(facts.managers)
        if managers == 1:
            text = said("The Swarm has one manager: while it is away, nothing can be changed.")
            yield failed(self, text, said("Three managers bear the loss of one."), Severity.INFO)
        elif managers % 2 == 0:
            text = said(
                "{managers} managers bear no more losses than {fewer} do.", managers=managers, fewer=managers - 1
            )
            yield failed(self, text, said("Use an odd number of managers."), Severity.WARNING)
