"""The checks of engine, Compose, disk, memory and ports judge what the probe saw."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from roas.checks.engine import compose_version, engine, jail, tested_versions
from roas.checks.machine import disk, memory, ports
from roas.checks.subject import Subject
from roas.models.check import CheckResult, CheckSeverity
from roas.models.facts import PublishedPort
from roas.models.stack import Obstacle, ObstacleKind

Make = Callable[..., Subject]


def stops(results: CheckResult | list[CheckResult]) -> list[str]:
    found = results if isinstance(results, list) else [results]
    return [result.message for result in found if not result.passed and result.severity is CheckSeverity.CRITICAL]


def warns(results: list[CheckResult]) -> list[str]:
    return [result.message for result in results if not result.passed and result.severity is CheckSeverity.WARNING]


async def test_unreachable_engine_stops_deployment(subject: Subject, probe: Any) -> None:
    probe.facts = None
    (result,) = await engine.run(subject)
    assert stops(result) == ["The engine at unix:///x does not answer."]
    assert result.remedy == "Start Docker."


async def test_engine_without_one_shot_stats_too_old(subject: Subject, probe: Any) -> None:
    probe.facts = replace(probe.facts, version="19.03", api_version="1.40")
    assert "`roas` needs 1.41" in stops(await engine.run(subject))[0]


async def test_start_interval_needs_newer_engine_if_used(with_services: Make, probe: Any) -> None:
    probe.facts = replace(probe.facts, api_version="1.43")
    plain = with_services({"web": {"healthcheck": {"interval": "5s"}}})
    eager = with_services({"web": {"healthcheck": {"start_interval": "1s"}}})
    assert stops(await engine.run(plain)) == []
    assert "`start_interval` needs 1.44" in stops(await engine.run(eager))[0]


@pytest.mark.parametrize(
    ("version", "good"), [("2.20.0", True), ("v2.26.1-4", True), ("5.0.0", True), ("2.19.1", False), ("dev", False)]
)
async def test_compose_2_20_or_newer_required(subject: Subject, probe: Any, version: str, good: bool) -> None:
    probe.compose = version
    assert (stops(await compose_version.run(subject)) == []) is good


@pytest.mark.parametrize(
    ("landlock", "words"), [(True, "by Landlock and seccomp"), (False, "in a container without network")]
)
async def test_jail_in_force_is_named(subject: Subject, probe: Any, landlock: bool, words: str) -> None:
    probe.landlock = landlock
    (result,) = await jail.run(subject)
    assert words in result.message
    assert result.passed


@pytest.mark.parametrize(("free", "outcome"), [(1 << 20, "stop"), (1 << 30, "warn"), (1 << 33, "pass"), (None, "pass")])
async def test_nearly_full_disk_stops_deployment(subject: Subject, probe: Any, free: int | None, outcome: str) -> None:
    probe.free = free
    results = await disk.run(subject)
    assert len(results) == 2
    assert bool(stops(results)) is (outcome == "stop")
    assert bool(warns(results)) is (outcome == "warn")


async def test_state_disk_measured_without_engine(subject: Subject, probe: Any) -> None:
    probe.facts = None
    assert len(await disk.run(subject)) == 1


async def test_low_memory_warns_or_stops(subject: Subject, probe: Any) -> None:
    probe.memory = 100 << 20
    assert warns(await memory.run(subject)) == ["100 MiB of memory are left."]
    probe.memory = 10 << 20
    assert stops(await memory.run(subject)) == ["10 MiB of memory are left."]


async def test_excess_memory_reservations_reported(with_services: Make) -> None:
    deploy = {"replicas": 3, "resources": {"reservations": {"memory": str(4 << 30)}}}
    subject = with_services({"web": {"deploy": deploy}})
    assert "reserve 12.0 GiB of memory; the engine has 8.0 GiB" in warns(await memory.run(subject))[0]
    on_swarm = replace(subject, has_nodes=True)
    assert warns(await memory.run(on_swarm)) == [], "each node has that much"


def publishing(published: str = "8080", host_ip: str = "127.0.0.1") -> dict[str, Any]:
    port = {"mode": "ingress", "host_ip": host_ip, "target": 80, "published": published, "protocol": "tcp"}
    return {"web": {"ports": [port]}}


async def test_port_of_other_project_named_with_holder(with_services: Make, probe: Any) -> None:
    probe.ports = (PublishedPort("::", 8080, "tcp", "other-web-1", "other"),)
    message = stops(await ports.run(with_services(publishing())))[0]
    assert message == "Port 127.0.0.1:8080/tcp of web is held by the container other-web-1 (other)."


async def test_port_of_own_project_is_free(with_services: Make, probe: Any) -> None:
    probe.ports = (PublishedPort("127.0.0.1", 8080, "tcp", "shop-dev-web-1", "shop-dev"),)
    probe.free_port = False
    assert stops(await ports.run(with_services(publishing()))) == []


async def test_port_of_other_process_reported(with_services: Make, probe: Any) -> None:
    probe.free_port = False
    assert "another process" in stops(await ports.run(with_services(publishing())))[0]


async def test_port_held_for_a_moment_is_free(with_services: Make, probe: Any) -> None:
    """A container of the stack that restarts again and again was not in the list, and then held its port."""
    answers = [False, True]

    async def port_is_free(*_: object) -> bool:
        return answers.pop(0)

    probe.port_is_free = port_is_free
    assert stops(await ports.run(with_services(publishing()))) == []
    assert answers == []


async def test_same_port_elsewhere_is_no_conflict(with_services: Make, probe: Any) -> None:
    """Another address or protocol makes it another port."""
    probe.ports = (PublishedPort("127.0.0.2", 8080, "tcp", "a"), PublishedPort("127.0.0.1", 8080, "udp", "b"))
    assert stops(await ports.run(with_services(publishing()))) == []


@pytest.mark.parametrize("published", ["", "0", "8000-8010"])
async def test_engine_chosen_ports_ignored(with_services: Make, probe: Any, published: str) -> None:
    probe.free_port = False
    assert stops(await ports.run(with_services(publishing(published)))) == []


@pytest.mark.parametrize(
    ("engine", "compose", "outside"),
    [
        ("26.1.5+dfsg1", "2.26.1-4", []),
        ("28.5.2", "v2.40.3", []),
        ("29.0.1", "2.40.3", ["Docker Engine"]),
        ("25.0.3", "5.0.0", ["Docker Engine", "Docker Compose"]),
        ("dev", "2.30", ["Docker Engine"]),
    ],
)
async def test_version_outside_tested_range_is_named(
    subject: Subject, probe: Any, engine: str, compose: str, outside: list[str]
) -> None:
    probe.facts, probe.compose = replace(probe.facts, version=engine), compose
    results = await tested_versions.run(subject)
    assert [result.message.split(" is ")[0] for result in results if not result.passed] == [
        f"{name} {engine if name == 'Docker Engine' else compose}" for name in outside
    ]
    assert stops(results) == []


async def test_ports_of_a_swarm_are_not_those_of_this_machine(with_services: Make, probe: Any) -> None:
    """Its tasks run on any node: what others hold is known of the Swarm, and found with the stack."""
    probe.ports = (PublishedPort("::", 8080, "tcp", "other-web-1", "other"),)
    probe.free_port = False
    subject = with_services(publishing())
    subject = replace(subject, has_nodes=True)
    assert stops(await ports.run(subject)) == []
    held = Obstacle(ObstacleKind.PORT, "Port 8080/tcp of web is held by the service proxy.", "Remove proxy.")
    assert subject.stack is not None
    found = replace(subject, stack=replace(subject.stack, obstacles=(held,)))
    assert stops(await ports.run(found)) == [held.message]
