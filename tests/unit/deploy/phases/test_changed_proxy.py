"""A proxy that a deployment changed has to serve what is behind it before the deployment has succeeded."""

from collections.abc import Collection
from typing import Any

import pytest

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import ComposeFileError, ProxyError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome, ServiceStep
from roas.models.stack import ServiceProxy
from roas.stack.proxy.proxied_service import ProxiedService, ProxyReport
from tests.unit.deploy.fake_engine import FakeEngine
from tests.unit.deploy.played_parts import service

DORA = Actor(ActorKind.DISCORD, "1", "dora")


class SilentProxy(ProxiedService):
    """Run, and answer nobody once it is `silent`."""

    def __init__(self) -> None:
        self.silent = False
        self.required: list[frozenset[str]] = []

    async def require(self, containers: Collection[str], report: ProxyReport) -> None:
        self.required.append(frozenset(containers))
        await report("a look")
        if self.silent:
            raise ProxyError("haproxy sends web nothing: The proxy does not answer.", service="web")


@pytest.fixture
def proxy(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> SilentProxy:
    proxy = SilentProxy()
    engine.stack = {"haproxy": service("haproxy"), "web": service("web", proxy=ServiceProxy("haproxy"))}
    monkeypatch.setattr(engine, "in_front_of", lambda *_: proxy, raising=False)
    return proxy


def deploy(version: str, *services: str) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version, services=services)


async def test_proxy_alone_has_to_serve(orchestrator: DeploymentOrchestrator, engine: FakeEngine, proxy: Any) -> None:
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    web = frozenset(one.id for one in engine.running.values() if one.service == "web")
    proxy.required.clear()
    assert (await orchestrator.run(deploy("v2", "haproxy"))).outcome is Outcome.SUCCEEDED
    assert proxy.required == [web]
    proxy.silent = True
    ended = await orchestrator.run(deploy("v3", "haproxy"))
    assert ended.outcome is Outcome.ROLLED_BACK
    assert ended.problem.key == "proxy"
    assert engine.versions() == {"haproxy": "haproxy:v2", "web": "web:v1"}


async def test_new_proxy_is_checked_once_its_image_is_here(
    orchestrator: DeploymentOrchestrator, engine: FakeEngine, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan cannot know; preparation does, before anything is touched."""
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    resolve, checked = engine.resolve, list[tuple[str, str]]()

    async def behind_proxy(version: str | None, **how: Any) -> Any:
        resolved = await resolve(version, **how)
        resolved.model["services"]["web"]["x-deploy"] = {"proxy": "haproxy"}
        return resolved

    async def check(_model: Any, name: str, image: str) -> None:
        checked.append((name, image))
        raise ComposeFileError(f"{name} refuses its new configuration", service=name)

    monkeypatch.setattr(engine, "resolve", behind_proxy)
    monkeypatch.setattr(engine, "check", check)
    plan = await orchestrator.plan(deploy("v2", "haproxy"))
    assert [item.service for item in plan.changed] == ["haproxy"]
    assert not checked
    ended = await orchestrator.run(deploy("v2", "haproxy"))
    assert (ended.outcome, ended.touched) == (Outcome.FAILED, False)
    assert ended.problem.message == "haproxy refuses its new configuration"
    assert checked == [("haproxy", "sha256:haproxy:v2")]
    assert engine.versions() == {"haproxy": "haproxy:v1", "web": "web:v1"}


async def test_proxy_that_stays_is_not_asked(orchestrator: DeploymentOrchestrator, proxy: Any) -> None:
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    proxy.required.clear()
    proxy.silent = True
    assert (await orchestrator.run(deploy("v2", "web"))).outcome is Outcome.SUCCEEDED
    assert not proxy.required


async def test_proxy_without_containers_is_not_asked(
    orchestrator: DeploymentOrchestrator, engine: FakeEngine, proxy: Any
) -> None:
    """Nobody comes through it, as the file says."""
    assert (await orchestrator.run(deploy("v1"))).outcome is Outcome.SUCCEEDED
    engine.stack["haproxy"] = service("haproxy", replicas=0)
    proxy.required.clear()
    proxy.silent = True
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.SUCCEEDED
    assert not proxy.required


async def test_rollback_is_told_and_does_not_fail(orchestrator: DeploymentOrchestrator, proxy: Any) -> None:
    for version in ("v1", "v2"):
        assert (await orchestrator.run(deploy(version))).outcome is Outcome.SUCCEEDED
    proxy.silent = True
    ended = await orchestrator.run(DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA))
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert any("haproxy sends web nothing" in warning for warning in ended.warnings), ended.warnings
    assert ServiceStep.WAITING not in {one.step for one in ended.services}
