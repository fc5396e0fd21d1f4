"""Check the nodes of the Swarm: the state of each, and the version of its engine."""

from collections.abc import Iterator

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.swarm import SwarmFacts, SwarmNode
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class SwarmNodesCheck:
    """Say of each node how it is; one that is down stops no deployment, since Swarm uses the others."""

    name = "swarm_nodes"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report nodes that take no tasks, and engines that are not of one version."""
        facts = await subject.swarm() if subject.swarm is not None else None
        if facts is None:
            return []
        return [*(self._state(one) for one in facts.nodes), *self._versions(facts)]

    def _state(self, node: SwarmNode) -> CheckResult:
        text = said(
            "{node} ({role}): {state}, {availability}, Docker Engine {version}.",
            node=node.hostname,
            role="manager" if node.is_manager else "worker",
            state=node.state,
            availability=node.availability,
            version=node.engine_version or "?",
        )
        if node.takes_tasks:
            return passed(self, text)
        if node.is_down:
            return failed(self, text, said("Start it, or remove it: `docker node rm {node}`.", node=node.hostname))
        remedy = said("It takes tasks again by `docker node update --availability active {node}`.", node=node.hostname)
        return failed(self, text, remedy, Severity.INFO)

    def _versions(self, facts: SwarmFacts) -> Iterator[CheckResult]:
        versions: dict[str, list[str]] = {}
        for node in facts.nodes:
            if node.engine_version:
                versions.setdefault(node.engine_version, []).append(node.hostname)
        if len(versions) > 1:
            shown = [said("{version} on {nodes}", version=one, nodes=listed(own)) for one, own in versions.items()]
            text = said("The engines are not of one version: {shown}.", shown=listed(shown))
            yield failed(self, text, said("Bring all nodes to the newest of these."), Severity.INFO)
