"""What a service is to be goes by the container whose namespace it shares, as that is now."""

from types import SimpleNamespace

import pytest

from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.stack.updating.service_update import ServiceUpdate, wanted_service

MODEL = {"services": {"shared": {}, "plain": {}, "sidecar": {"network_mode": "service:shared"}}}


class Watch:
    """Show the container that was replaced, until somebody looks."""

    containers = (SimpleNamespace(service="plain", config_hash="old"),)

    async def refresh(self) -> None:
        self.containers = (SimpleNamespace(service="plain", config_hash="new"),)


class Stack:
    """Hash each service by the containers that are there, as Compose does."""

    async def load_model(self, _model_hash):
        return MODEL

    async def wanted_services(self, model, containers, *, as_it_is):
        assert as_it_is
        seen = containers[0].config_hash if containers else "none"
        return {name: WantedService(ServiceDefinition(name, "app:v1", "d"), seen) for name in model["services"]}


@pytest.mark.parametrize(("service", "seen"), [("sidecar", "new"), ("plain", "old")])
async def test_hash_goes_by_who_is_there_now(service: str, seen: str) -> None:
    update = ServiceUpdate("m", ServiceDefinition(service, "app:v1", "d"), None)
    wanted = await wanted_service(Stack(), Watch(), update)
    assert wanted.config_hash == seen


async def test_hash_of_what_is_made_anew_is_not_that_of_its_containers() -> None:
    update = ServiceUpdate("m", ServiceDefinition("plain", "app:v1", "d"), None, recreate=True)
    wanted = await wanted_service(Stack(), Watch(), update)
    assert wanted.config_hash == "none"
