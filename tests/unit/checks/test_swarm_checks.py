"""What is said of a Swarm before anything is deployed to it."""

from dataclasses import replace
from typing import Any

import pytest

from roas.checks.swarm import swarm_constraints, swarm_managers, swarm_nodes
from roas.errors import EngineUnavailableError
from roas.models.check import CheckResult, CheckSeverity
from roas.models.stack import Obstacle, ObstacleKind, ServiceDefinition
from roas.models.swarm import SwarmFacts, SwarmNode
from roas.stack.interface import ResolvedStack

M1 = SwarmNode("n1", "node1", reachability="reachable", is_leader=True, engine_version="26.1.5", labels={"disk": "ssd"})
M2 = SwarmNode("n2", "node2", reachability="reachable", engine_version="26.1.5")
M3 = SwarmNode("n3", "node3", reachability="reachable", engine_version="28.5.2")
IMAGE = "registry:5000/shop:v1"


async def results(check: Any, subject: Any, *nodes: SwarmNode, web: dict[str, Any] | None = None) -> list[CheckResult]:
    """Run a check where these nodes are, and `web` is the stack's only service."""
    stack = ResolvedStack(subject.environment, "v1", {"services": {"web": web or {}}}, {"web": definition()})

    async def swarm() -> SwarmFacts:
        return SwarmFacts("c1", "n1", nodes)

    return list(await check.run(replace(subject, stack=stack, swarm=swarm)))


def definition() -> ServiceDefinition:
    return ServiceDefinition("web", IMAGE, "hash")


def said(found: list[CheckResult]) -> list[tuple[bool, str]]:
    return [(check_result.passed, check_result.message) for check_result in found]


async def test_one_machine_has_nothing_to_check(subject: Any) -> None:
    checks = (
        swarm_managers,
        swarm_nodes,
        swarm_constraints,
    )
    assert [await check.run(subject) for check in checks] == [[]] * 3


async def test_managers(subject: Any) -> None:
    check = swarm_managers
    assert said(await results(check, subject, M1, M2, M3)) == [(True, "3 of 3 managers can be reached.")]
    (lost,) = await results(check, subject, M1, M2, replace(M3, reachability="unreachable"))
    assert (lost.severity, lost.message) == (CheckSeverity.WARNING, "The managers do not reach node3.")
    assert lost.remedy == "Bring them back, or remove them: `docker node demote NODE`."
    demoted = await results(check, subject, M1, M2, replace(M3, reachability="", is_leader=False))
    assert "The managers do not reach node3." not in {result.message for result in demoted}
    assert [item[1] for item in said(await results(check, subject, M1, M2))][1:] == [
        "The Swarm has 2 managers; use 3, 5 or 7."
    ]
    (_, alone) = await results(check, subject, M1)
    assert (alone.severity, alone.passed) == (CheckSeverity.INFO, False)
    gone = replace(M2, reachability="unreachable")
    (quorum, _) = await results(check, subject, M1, gone)
    assert (quorum.severity, quorum.message) == (CheckSeverity.CRITICAL, "1 of 2 managers can be reached.")


async def test_manager_that_does_not_answer(subject: Any) -> None:
    async def swarm() -> SwarmFacts:
        raise EngineUnavailableError("The Swarm has no leader.", hint="More than half of the managers must be up.")

    (found,) = await swarm_managers.run(replace(subject, swarm=swarm))
    assert (found.passed, found.message) == (False, "The Swarm has no leader.")


async def test_nodes_and_their_engines(subject: Any) -> None:
    drained, down = replace(M2, availability="drain"), replace(M3, state="down")
    found = await results(swarm_nodes, subject, M1, drained, down)
    assert said(found) == [
        (True, "node1 (manager): ready, active, Docker Engine 26.1.5."),
        (False, "node2 (manager): ready, drain, Docker Engine 26.1.5."),
        (False, "node3 (manager): down, active, Docker Engine 28.5.2."),
        (False, "The engines are not of one version: 26.1.5 (node1, node2) and 28.5.2 (node3)."),
    ]
    assert [alert.severity for alert in found[1:]] == [CheckSeverity.INFO, CheckSeverity.WARNING, CheckSeverity.INFO]
    remedies = (
        "It takes tasks again by `docker node update --availability active node2`.",
        "Start it, or remove it: `docker node rm node3`.",
    )
    assert tuple(result.remedy for result in found[1:3]) == remedies
    for nodes in ((M1, M2), (M1, M2, replace(M3, engine_version="26.1.5"))):  # removed, or started
        assert all(result.passed for result in await results(swarm_nodes, subject, *nodes))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((), ""),
        ((Obstacle(ObstacleKind.PLACEMENT, "No node satisfies it.", "Add one."),), "No node satisfies it."),
    ],
)
async def test_constraints(subject: Any, found: tuple[Obstacle, ...], words: str) -> None:
    stack = ResolvedStack(subject.environment, "v1", {}, {"web": definition()}, obstacles=found)
    assert await swarm_constraints.run(replace(subject, stack=stack)) == [], "on one machine nothing is placed"
    (result,) = await swarm_constraints.run(replace(subject, has_nodes=True, stack=stack))
    assert result.message == words
