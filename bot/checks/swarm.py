"""Check the Swarm: its managers and nodes, and whether they can take the stack's services."""

from collections.abc import Iterator

from roas.checks.check import Finding, check, failed, listed, obstacles, passed, stack_check, swarm_check
from roas.checks.subject import Subject
from roas.errors import EngineError
from roas.messages.message import said
from roas.models.check import CheckSeverity
from roas.models.stack import ObstacleKind
from roas.models.swarm import QUORUM_HINT, REACHABLE, SwarmFacts, SwarmNode
from roas.shortages import find_passing
from roas.stack.interface import ResolvedStack


@check("swarm_managers", CheckSeverity.CRITICAL)
async def swarm_managers(subject: Subject) -> list[Finding]:
    """Ask a manager about the managers; nothing to check where the stack runs on one machine."""
    try:
        facts = await subject.swarm() if subject.swarm is not None else None
    except EngineError as error:
        if find_passing(error) is not None:
            raise
        return [failed(error.message, error.hint)]
    return [] if facts is None else [*_judge_reach(facts), *_judge_number(facts), *_judge_addresses(facts)]


def _judge_addresses(facts: SwarmFacts) -> Iterator[Finding]:
    if not facts.answering:
        return
    text = said("The manager at {address} answers.", address=facts.answering)
    if not facts.unresponsive:
        yield passed(text)
    for address in facts.unresponsive:
        yield failed(
            said(
                "The manager at {address} does not answer; the one at {other} does.",
                address=address,
                other=facts.answering,
            ),
            said("Start it, or remove its address from `docker_host` and `managers`."),
            CheckSeverity.WARNING,
        )


def _judge_reach(facts: SwarmFacts) -> Iterator[Finding]:
    managers, reached = len(facts.managers), facts.reachable_managers
    text = said(
        "{reached} of {managers} {managers|manager|managers} can be reached.", managers=managers, reached=reached
    )
    if facts.spare_managers < 0 or not any(node.is_leader for node in facts.managers):
        yield failed(text, QUORUM_HINT)
    elif reached < managers:
        lost = [node.hostname for node in facts.managers if node.reachability != REACHABLE]
        yield failed(
            said("The managers do not reach {lost}.", lost=listed(lost)),
            said("Bring them back, or remove them: `docker node demote NODE`."),
            CheckSeverity.WARNING,
        )
    else:
        yield passed(text)


def _judge_number(facts: SwarmFacts) -> Iterator[Finding]:
    managers = len(facts.managers)
    if managers == 1 or managers % 2 == 0:
        text = said("The Swarm has {managers} {managers|manager|managers}; use 3, 5 or 7.", managers=managers)
        yield failed(text, severity=CheckSeverity.INFO if managers == 1 else CheckSeverity.WARNING)


@swarm_check("swarm_nodes", CheckSeverity.WARNING)
async def swarm_nodes(_subject: Subject, facts: SwarmFacts) -> list[Finding]:
    """Say of each node how it is; one that is down stops no deployment, since Swarm uses the others."""
    return [*(_judge_node(node) for node in facts.nodes), *_judge_versions(facts)]


def _judge_node(node: SwarmNode) -> Finding:
    text = said(
        "{node} ({role}): {state}, {availability}, Docker Engine {version}.",
        node=node.hostname,
        role="manager" if node.is_manager else "worker",
        state=node.state,
        availability=node.availability,
        version=node.engine_version or "?",
    )
    if node.takes_tasks:
        return passed(text)
    if node.is_down:
        return failed(text, said("Start it, or remove it: `docker node rm {node}`.", node=node.hostname))
    remedy = said("It takes tasks again by `docker node update --availability active {node}`.", node=node.hostname)
    return failed(text, remedy, CheckSeverity.INFO)


def _judge_versions(facts: SwarmFacts) -> Iterator[Finding]:
    versions: dict[str, list[str]] = {}
    for node in facts.nodes:
        if node.engine_version:
            versions.setdefault(node.engine_version, []).append(node.hostname)
    if len(versions) > 1:
        shown = [f"{version} ({', '.join(nodes)})" for version, nodes in versions.items()]
        text = said("The engines are not of one version: {shown}.", shown=listed(shown))
        yield failed(text, severity=CheckSeverity.INFO)


@stack_check("swarm_constraints", CheckSeverity.CRITICAL)
async def swarm_constraints(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Report what resolving the stack found: Swarm would wait for a node for ever."""
    if not subject.has_nodes:
        return []
    return obstacles(stack, ObstacleKind.PLACEMENT) or [passed()]


@stack_check("swarm_service_names", CheckSeverity.CRITICAL)
async def swarm_service_names(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Report what resolving the stack found on the Swarm: what is not of this stack is not written over."""
    if not subject.has_nodes:
        return []
    return obstacles(stack, ObstacleKind.SERVICE_NAME) or [passed()]
