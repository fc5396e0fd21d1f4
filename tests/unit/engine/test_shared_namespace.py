"""What a service is to be goes by the container whose namespace it shares, as that is now."""

from types import SimpleNamespace

import pytest

from roas.engine.comparison import WantedService
from roas.engine.manager import DeploymentManager
from roas.models.stack import ServiceDefinition

MODEL = {"services": {"shared": {}, "plain": {}, "sidecar": {"network_mode": "service:shared"}}}


class Watch:
    """Show the container that was replaced, until somebody looks."""

    containers = ("old",)

    async def refresh(self) -> None:
        self.containers = ("new",)


class Engine:
    """Hash each service by the containers that are there, as Compose does."""

    async def load_model(self, _model_hash):
        return MODEL

    async def wanted_services(self, _environment, model, containers, *, as_it_is):
        assert as_it_is
        return {name: WantedService(ServiceDefinition(name, "app:v1", "d"), *containers) for name in model["services"]}


@pytest.mark.parametrize(("service", "seen"), [("sidecar", "new"), ("plain", "old")])
async def test_hash_goes_by_who_is_there_now(service: str, seen: str) -> None:
    manager = DeploymentManager(Engine(), SimpleNamespace())
    wanted = await manager._wanted(SimpleNamespace(), "m", ServiceDefinition(service, "app:v1", "d"), Watch())
    assert wanted.config_hash == seen
