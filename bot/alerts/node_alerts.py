"""Raise alerts about the nodes of the Swarms that stacks run on: down, out of reach, drained; quorum in danger."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlerts
from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.models.swarm import ACTIVE, DRAIN, REACHABLE, SwarmFacts, SwarmNode
from roas.stack.stacks import Stacks

log = get_logger(__name__)
# How long those that answer wait for each other: they may be of one Swarm.
TOGETHER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Hold what is wrong: a key within the Swarm, how much it matters, and what is said."""

    key: str
    severity: Severity
    title: str
    summary: str


@dataclass(frozen=True, slots=True, order=True)
class _Left:
    """Name a service of which an earlier task may still run on a node, since the node was lost with it."""

    node: str
    environment: str
    service: str

    @property
    def shown(self) -> str:
        """Return how it is called among those of other environments."""
        return f"{self.environment}/{self.service}"


class NodeAlerts:
    """Compare the nodes of each Swarm with how they should be; each trouble is one alert, which ends with it."""

    def __init__(
        self,
        stacks: Stacks,
        alert_service: AlertService,
        environments: Mapping[str, Environment],
    ) -> None:
        self._stacks = stacks
        self._alert_service = alert_service
        self._environments = environments
        self._alerts: dict[str, OwnAlerts] = {}
        self._swarm_of: dict[str, str] = {}
        self._left: dict[str, frozenset[_Left]] = {}

    async def check(self) -> None:
        """Look at every Swarm once, however many environments are on it; who hangs holds up no other.

        Raises StateError.
        """
        hosts: dict[str | None, list[Environment]] = {}
        for environment in self._environments.values():
            if self._stacks.of(environment).needs_quorum:
                hosts.setdefault(environment.docker_host, []).append(environment)
        late = {asyncio.ensure_future(self._ask(of_host)) for of_host in hosts.values()}
        try:
            for seconds in (TOGETHER_SECONDS, None):
                if late:
                    answered, late = await asyncio.wait(late, timeout=seconds)
                    await self._decide_on(facts for item in answered if (facts := item.result()) is not None)
        finally:
            await end_tasks(*late)

    async def _ask(self, environments: Sequence[Environment]) -> SwarmFacts | None:
        """Ask the manager of one address, which environments share; None where it does not answer."""
        try:
            facts = await self._stacks.of(environments[0]).swarm()
        except RoasError as error:  # that nothing can be asked is an alert of each environment
            log.warning("nodes of the Swarm are not known", environment=environments[0].name, error=error.message)
            return None
        self._swarm_of |= {environment.name: "" if facts is None else facts.id for environment in environments}
        return facts

    async def _decide_on(self, found: Iterable[SwarmFacts]) -> None:
        """Decide on each Swarm once: it may be asked by several of its managers, of which one may not answer."""
        for facts in {swarm.id: swarm for swarm in found}.values():
            await self._decide(facts, self._on(facts))

    def _on(self, facts: SwarmFacts) -> list[Environment]:
        """Return the environments on a Swarm, as far as their managers have answered so far."""
        return [
            environment
            for environment in self._environments.values()
            if self._swarm_of.get(environment.name) == facts.id
        ]

    async def _decide(self, facts: SwarmFacts, environments: Sequence[Environment]) -> None:
        names, prefix = ", ".join(environment.name for environment in environments), f"swarm:{facts.id}:"
        alerts = self._alerts.setdefault(facts.id, OwnAlerts(self._alert_service, prefix))
        before = self._left.get(facts.id, frozenset())
        left = self._left[facts.id] = await self._find_left(facts, environments, before)
        endings = {f"{prefix}{key}": text for key, text in _ended(facts, before - left)}
        await alerts.report((_report(prefix, trouble, names) for trouble in troubles(facts, left)), endings)

    async def _find_left(
        self, facts: SwarmFacts, environments: Iterable[Environment], before: frozenset[_Left]
    ) -> frozenset[_Left]:
        """Return what may still run on nodes that are down; and on those that are back, until they say that it ended.

        While a service is updated, earlier tasks run for a moment on nodes that were never away: they are none.
        """
        down = {node.hostname for node in facts.nodes if node.is_down}
        if not down and not before:
            return frozenset()
        found: set[_Left] = set()
        for environment in environments:
            try:
                tasks = await self._stacks.of(environment).given_up_tasks()
            except RoasError as error:
                log.warning("tasks of the Swarm are not known", environment=environment.name, error=error.message)
                found.update(item for item in before if item.environment == environment.name)
            else:
                found.update(_Left(node, environment.name, name) for name, nodes in tasks.items() for node in nodes)
        return frozenset(item for item in found if item.node in down or item in before)


def _ended(facts: SwarmFacts, gone: frozenset[_Left]) -> Iterator[tuple[str, str]]:
    """Yield of nodes that are back what became of the tasks that were left there."""
    for node in facts.nodes:
        if (services := _shown(gone, node)) and not node.is_down:
            yield (
                f"{node.id}:down",
                said("It is back, and what was left there has ended: {services}.", services=services),
            )


def _shown(left: Iterable[_Left], node: SwarmNode) -> str:
    return ", ".join(item.shown for item in sorted(left) if item.node == node.hostname)


def troubles(facts: SwarmFacts, left: frozenset[_Left] = frozenset()) -> Iterator[_Trouble]:
    """Yield what is wrong with the nodes of a Swarm; of each node, the worst. `left` may still run as it was before."""
    for node in facts.nodes:
        if (found := _of_node(node, _shown(left, node))) is not None:
            yield found
    managers, reached = len(facts.managers), facts.reachable_managers
    if reached < managers and facts.spare_managers <= 0:
        yield _Trouble(
            "quorum",
            Severity.HIGH,
            said("the Swarm's quorum is in danger"),
            said(
                "{reached} of {managers} {managers|manager|managers} can be reached: "
                "if one more is lost, nothing can be written.",
                managers=managers,
                reached=reached,
            ),
        )


def _of_node(node: SwarmNode, left: str) -> _Trouble | None:
    name, key = node.hostname, node.id
    if node.is_down:
        summary = said("{role}: {message}. Swarm starts its tasks elsewhere.", role=_role(node), message=_why(node))
        if left:
            still = said(
                "Until it is back, these may still run there, and answer, as they were: {services}.", services=left
            )
            summary = joined(" ", (summary, still))
        return _Trouble(f"{key}:down", Severity.HIGH, said("the Swarm's node {node} is down", node=name), summary)
    if left:
        title = said("the Swarm's node {node} is back, and still runs what was replaced", node=name)
        text = said("It has not said yet that it ended there: {services}.", services=left)
        return _Trouble(f"{key}:left", Severity.WARNING, title, text)
    if node.is_manager and node.reachability != REACHABLE:
        title = said("the Swarm's manager {node} cannot be reached", node=name)
        text = said("The other managers do not reach it ({state}).", state=node.reachability)
        return _Trouble(f"{key}:unreachable", Severity.HIGH, title, text)
    if node.availability == DRAIN:
        title = said("the Swarm's node {node} is drained", node=name)
        text = said("Its availability is {availability}.", availability=node.availability)
        return _Trouble(f"{key}:drained", Severity.WARNING, title, text)
    if node.availability != ACTIVE:
        title = said("the Swarm's node {node} takes no new tasks", node=name)
        text = said("Its availability is {availability}.", availability=node.availability)
        return _Trouble(f"{key}:paused", Severity.INFO, title, text)
    return None


def _role(node: SwarmNode) -> str:
    address = node.address or node.id
    return said("Manager {address}", address=address) if node.is_manager else said("Worker {address}", address=address)


def _why(node: SwarmNode) -> str:
    return node.message or node.state


def _report(prefix: str, trouble: _Trouble, environments: str) -> AlertReport:
    summary = said("{summary} On this Swarm: {environments}.", summary=trouble.summary, environments=environments)
    return AlertReport(f"{prefix}{trouble.key}", AlertSource.INTEGRATION, trouble.severity, trouble.title, summary)
