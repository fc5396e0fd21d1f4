"""Check the Swarm: its managers and nodes, and whether they can take the stack's services."""

from collections.abc import Iterable, Iterator, Mapping

from roas.checks.check import Finding, check, failed, listed, obstacles, passed, stack_check, swarm_check
from roas.checks.subject import Subject
from roas.errors import EngineError
from roas.messages.message import said
from roas.models.check import Severity
from roas.models.stack import ObstacleKind
from roas.models.swarm import REACHABLE, SwarmFacts, SwarmNode
from roas.stack.interface import ResolvedStack
from roas.stack.swarm.obstacles import find_unplaced

DOCKER_HUB = "docker.io"
# A report takes less than this to be written down.
TOLERATED_SECONDS = 2.0


@check("swarm_managers", Severity.CRITICAL)
async def swarm_managers(subject: Subject) -> list[Finding]:
    """Ask a manager about the managers; nothing to check where the stack runs on one machine."""
    try:
        facts = await subject.swarm() if subject.swarm is not None else None
    except EngineError as error:
        return [failed(error.message, error.hint)]
    return [] if facts is None else [*_judge_reach(facts), *_judge_number(facts)]


def _judge_reach(facts: SwarmFacts) -> Iterator[Finding]:
    managers, reached = len(facts.managers), facts.reachable_managers
    own = next((node.hostname for node in facts.managers if node.id == facts.own_node_id), "")
    leader = next((node.hostname for node in facts.managers if node.is_leader), "")
    if facts.spare_managers < 0 or not leader:
        yield failed(
            said("Of {managers} managers {reached} can be reached.", managers=managers, reached=reached),
            said("Bring managers back: more than half of them must reach each other."),
        )
    elif reached < managers:
        lost = [node.hostname for node in facts.managers if node.reachability != REACHABLE]
        yield failed(
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
        yield passed(text)


def _judge_number(facts: SwarmFacts) -> Iterator[Finding]:
    managers = len(facts.managers)
    if managers == 1:
        text = said("The Swarm has one manager: while it is away, nothing can be changed.")
        yield failed(text, severity=Severity.INFO)
    elif managers % 2 == 0:
        text = said("{managers} managers bear no more losses than {fewer} do.", managers=managers, fewer=managers - 1)
        yield failed(text, severity=Severity.WARNING)


@swarm_check("swarm_nodes", Severity.WARNING)
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
    return failed(text, remedy, Severity.INFO)


def _judge_versions(facts: SwarmFacts) -> Iterator[Finding]:
    versions: dict[str, list[str]] = {}
    for node in facts.nodes:
        if node.engine_version:
            versions.setdefault(node.engine_version, []).append(node.hostname)
    if len(versions) > 1:
        shown = [
            said("{version} on {nodes}", version=version, nodes=listed(nodes)) for version, nodes in versions.items()
        ]
        text = said("The engines are not of one version: {shown}.", shown=listed(shown))
        yield failed(text, severity=Severity.INFO)


@swarm_check("swarm_constraints", Severity.CRITICAL)
async def swarm_constraints(subject: Subject, facts: SwarmFacts) -> list[Finding]:
    """Compare what each service asks for with the nodes: Swarm would wait for a node for ever."""
    if subject.stack is None:
        return []
    unplaced = find_unplaced(subject.stack.model, facts.nodes)
    problems = [failed(obstacle.message, obstacle.remedy) for obstacle in unplaced]
    return problems or [passed(said("Every service has a node that takes it."))]


@stack_check("swarm_service_names", Severity.CRITICAL)
async def swarm_service_names(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Report what resolving the stack found on the Swarm: what is not of this stack is not written over."""
    if not subject.environment.on_swarm:
        return []
    free = passed(said("No service of another stack has the name of one of this stack."))
    return obstacles(stack, ObstacleKind.SERVICE_NAME) or [free]


@swarm_check("swarm_registry", Severity.INFO)
async def swarm_registry(subject: Subject, facts: SwarmFacts) -> list[Finding]:
    """Read from tasks which nodes have had images of each registry: no manager can ask a node to pull."""
    if subject.stack is None:
        return []
    images = {registry_of(service.image): service.image for service in subject.stack.definitions.values()}
    return [_judge_registry(registry, image, facts) for registry, image in sorted(images.items())]


def _judge_registry(registry: str, image: str, facts: SwarmFacts) -> Finding:
    names = {node.id: node.hostname for node in facts.nodes if node.takes_tasks}
    traces = [trace for trace in facts.traces if registry_of(trace.image) == registry]
    had = _hostnames(names, (trace.node_id for trace in traces if trace.has_image))
    failing = _hostnames(names, (trace.node_id for trace in traces if trace.lacks_image)) - had
    unknown = [name for name in names.values() if name not in had | failing]
    if failing:
        text = said("{nodes} could not pull from {registry}.", nodes=listed(sorted(failing)), registry=registry)
        remedy = said("Try it there: `docker pull {image}`.", image=image)
        return failed(text, remedy, Severity.WARNING)
    if unknown:
        text = said(
            "Whether {nodes} can pull from {registry} is not known: no task of an image from there has run on it.",
            nodes=listed(unknown),
            registry=registry,
        )
        return failed(text, said("Try it there: `docker pull {image}`.", image=image))
    return passed(said("All nodes have pulled from {registry}.", registry=registry))


def registry_of(image: str) -> str:
    """Return the registry of an image's reference."""
    first, _, rest = image.partition("/")
    is_host = bool(rest) and ("." in first or ":" in first or first == "localhost")
    return first if is_host else DOCKER_HUB


def _hostnames(names: Mapping[str, str], node_ids: Iterable[str]) -> set[str]:
    return {names[node_id] for node_id in node_ids if node_id in names}


@swarm_check("swarm_clocks", Severity.WARNING)
async def swarm_clocks(_subject: Subject, facts: SwarmFacts) -> list[Finding]:
    """Compare when nodes say that they reported with when the managers wrote that down.

    A report from the future is of a clock that is ahead. One that was written down late is of a clock that is behind,
    or was repeated after a while without a leader: that cannot be told apart.
    """
    agree: list[str] = []
    unknown: list[str] = []
    found: list[Finding] = []
    for node in facts.nodes:
        lag = _least_lag(node, facts)
        if lag is None or lag > TOLERATED_SECONDS:
            unknown.append(node.hostname)
        elif lag < -TOLERATED_SECONDS:
            text = said("The clock of {node} is {seconds} s ahead.", node=node.hostname, seconds=f"{-lag:.0f}")
            found.append(failed(text, said("Let NTP set the clocks of all nodes.")))
        else:
            agree.append(node.hostname)
    if agree:
        found.append(passed(said("The clocks of {nodes} agree with the managers'.", nodes=listed(agree))))
    if unknown:
        text = said("How the clocks of {nodes} are is not known: no task there has told.", nodes=listed(unknown))
        found.append(failed(text, said("Look there: `timedatectl`."), Severity.INFO))
    return found


def _least_lag(node: SwarmNode, facts: SwarmFacts) -> float | None:
    """Return the lag of the report that was written down the soonest."""
    own = (trace.lag_seconds for trace in facts.traces if trace.node_id == node.id)
    lags = [lag for lag in own if lag is not None]
    return min(lags, default=None)
