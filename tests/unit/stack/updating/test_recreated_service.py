"""A recovery that makes containers again leaves those alone that serve: it must be no outage itself."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness
from roas.stack.service_comparison import WantedService
from roas.stack.updating import deployment_manager as manager
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.stack.updating.service_update import ServiceUpdate

WELL = ContainerSnapshot("well", "web-1", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web", "h")
ILL = replace(WELL, id="ill", health=HealthStatus.UNHEALTHY)
ENDED = replace(WELL, id="ended", state=ContainerState.EXITED)
OTHER = replace(WELL, id="other", config_hash="another")
HOLDING = replace(ILL, id="holding", unnamed_volumes=True)


@pytest.mark.parametrize(
    ("there", "removed", "recreates"),
    [
        ((WELL,), [], False),
        ((WELL, ILL), ["ill"], False),
        ((WELL, ENDED), ["ended"], False),
        ((WELL, OTHER), ["other"], False),
        ((ILL, ENDED), [], True),
        ((WELL, replace(WELL, id="well too")), [], True),
        ((WELL, HOLDING), [], True),
        ((), [], True),
    ],
    ids=["one is missing", "one is ill", "one has ended", "another", "none serves", "all serve", "volumes", "none"],
)
async def test_only_what_does_not_serve_is_made_again(
    monkeypatch: pytest.MonkeyPatch, there: tuple[ContainerSnapshot, ...], removed: list[str], recreates: bool
) -> None:
    definition = ServiceDefinition("web", "web", "", replicas=2)
    gone, ended, updates = list[str](), list[str](), list[ServiceUpdate]()

    async def wanted(*_: object) -> WantedService:
        return WantedService(definition, WELL.config_hash)

    async def apply(_self: object, _stack: object, _watch: object, update: ServiceUpdate) -> Readiness:
        updates.append(update)
        return Readiness.HEALTHY

    async def remove(container_id: str) -> None:
        gone.append(container_id)

    async def inspect(_: object) -> None:
        """See nothing."""

    monkeypatch.setattr(manager, "wanted_service", wanted)
    monkeypatch.setattr(DeploymentManager, "apply_service", apply)
    stack = SimpleNamespace(environment=SimpleNamespace(name="dev"), replaces_by_itself=False, remove=remove)
    watch = SimpleNamespace(of_service=lambda _: there, inspect=inspect)
    update = ServiceUpdate("model", definition, cast("Any", None), recreate=True)
    made = DeploymentManager()
    await made.recreate_service(cast("Any", stack), cast("Any", watch), update, ended.append)
    assert gone == removed
    assert ended == (removed if not recreates else [container.id for container in there])
    assert [update.recreate for update in updates] == [recreates]
