"""Check that for each service there is a node that its constraints allow, with the labels that they need."""

from collections.abc import Mapping, Sequence
from typing import Any

from roas.engine.swarm.constraints import label_to_set, satisfies
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.swarm import SwarmNode
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class SwarmConstraintsCheck:
    """Compare the constraints of each service with the nodes: Swarm would wait for a node for ever."""

    name = "swarm_constraints"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report services that no node takes, and those that only nodes take that are away."""
        facts = await subject.swarm() if subject.swarm is not None else None
        if facts is None or subject.stack is None:
            return []
        found = [self._judge(name, fields, facts.nodes) for name, fields in sorted(subject.services.items())]
        problems = [one for one in found if one is not None]
        return problems or [passed(self, said("Every service has a node that takes it."))]

    def _judge(self, name: str, fields: Mapping[str, Any], nodes: Sequence[SwarmNode]) -> CheckResult | None:
        deploy = fields.get("deploy") or {}
        placement = deploy.get("placement") or {}
        constraints = [str(one) for one in placement.get("constraints") or ()]
        allowed = [node for node in nodes if all(satisfies(node, one) for one in constraints)]
        ready = [node for node in allowed if node.takes_tasks]
        if not allowed:
            unmet = [one for one in constraints if not any(satisfies(node, one) for node in nodes)] or constraints
            text = said("No node satisfies what {service} asks for: {unmet}.", service=name, unmet=listed(unmet))
            return failed(self, text, _remedy(unmet))
        if not ready:
            text = said(
                "{service} may run on {nodes} only, which takes no tasks now.", service=name, nodes=_names(allowed)
            )
            return failed(self, text, said("Bring a node back, or change `deploy.placement.constraints`."))
        at_most = int(placement.get("max_replicas_per_node") or 0)
        wanted = int(deploy.get("replicas") or fields.get("scale") or 1)
        if at_most and deploy.get("mode") != "global" and at_most * len(ready) < wanted:
            text = said(
                "{service} wants {wanted} tasks, {at_most} on a node at most; it may run on {nodes}.",
                service=name,
                wanted=wanted,
                at_most=at_most,
                nodes=_names(ready),
            )
            return failed(self, text, said("Add nodes, or raise `max_replicas_per_node`."))
        return None


def _names(nodes: Sequence[SwarmNode]) -> str:
    return listed([node.hostname for node in nodes])


def _remedy(unmet: Sequence[str]) -> str:
    if labels := [label for one in unmet if (label := label_to_set(one))]:
        return said("Set it on a node: `docker node update --label-add {label} NODE`.", label=labels[0])
    return said("Change `deploy.placement.constraints`, or add a node that satisfies them.")
