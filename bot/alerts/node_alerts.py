"""Raise alerts about the nodes of the Swarms that stacks run on: down, out of reach, drained; quorum in danger."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlerts
from roas.concurrency import end_tasks
from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import said
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
        self._swarm_of: dict[str | None, str] = {}

    async def check(self) -> None:
        """Look at every Swarm once, however many environments are on it; who hangs holds up no other.

        Raises StateError.
        """
        hosts: dict[str | None, list[Environment]] = {}
        for environment in self._environments.values():
            if environment.on_swarm:
                hosts.setdefault(environment.docker_host, []).append(environment)
        late = {asyncio.ensure_future(self._ask(of_host[0])) for of_host in hosts.values()}
        try:
            for seconds in (TOGETHER_SECONDS, None):
                if late:
                    answered, late = await asyncio.wait(late, timeout=seconds)
                    await self._decide_on(facts for item in answered if (facts := item.result()) is not None)
        finally:
            await end_tasks(*late)

    async def _ask(self, environment: Environment) -> SwarmFacts | None:
        try:
            facts = await self._stacks.of(environment).swarm()
        except RoasError as error:  # that nothing can be asked is an alert of each environment
            log.warning("nodes of the Swarm are not known", environment=environment.name, error=error.message)
            return None
        self._swarm_of[environment.docker_host] = "" if facts is None else facts.id
        return facts

    async def _decide_on(self, found: Iterable[SwarmFacts]) -> None:
        """Decide on each Swarm once: it may be asked by several of its managers, of which one may not answer."""
        for facts in {swarm.id: swarm for swarm in found}.values():
            await self._decide(facts, self._on(facts))

    def _on(self, facts: SwarmFacts) -> list[str]:
        """Return the names of the environments on a Swarm, as far as their managers have answered so far."""
        return [
            environment.name
            for environment in self._environments.values()
            if environment.on_swarm and self._swarm_of.get(environment.docker_host) == facts.id
        ]

    async def _decide(self, facts: SwarmFacts, environments: Iterable[str]) -> None:
        names, prefix = ", ".join(environments), f"swarm:{facts.id}:"
        alerts = self._alerts.setdefault(facts.id, OwnAlerts(self._alert_service, prefix))
        await alerts.report(_report(prefix, trouble, names) for trouble in troubles(facts))


def troubles(facts: SwarmFacts) -> Iterator[_Trouble]:
    """Yield what is wrong with the nodes of a Swarm; of each node, the worst."""
    for node in facts.nodes:
        if (found := _of_node(node)) is not None:
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


def _of_node(node: SwarmNode) -> _Trouble | None:
    name, key = node.hostname, node.id
    if node.is_down:
        summary = said("{role}: {message}. Swarm starts its tasks elsewhere.", role=_role(node), message=_why(node))
        return _Trouble(f"{key}:down", Severity.HIGH, said("the Swarm's node {node} is down", node=name), summary)
    if node.is_manager and node.reachability != REACHABLE:
        title = said("the Swarm's manager {node} cannot be reached", node=name)
        text = said("The other managers do not reach it ({state}).", state=node.reachability)
        return _Trouble(f"{key}:unreachable", Severity.HIGH, title, text)
    if node.availability == DRAIN:
        title = said("the Swarm's node {node} is drained", node=name)
        text = said("Swarm starts its tasks elsewhere, until it is active again.")
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
