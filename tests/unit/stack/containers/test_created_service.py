"""What was made together with others is only started; what is not quite so gets its own call."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.stack.comparison import WantedService
from roas.stack.containers.joint_creation import created_service

WEB = WantedService(ServiceDefinition("web", "web:v1", "d", ()), "h", "i")
NEW = ContainerSnapshot("c1", "shop-web-1", "web", ContainerState.CREATED, HealthStatus.NONE, "i", "web:v1", "h")


def test_all_new_and_as_wanted_is_made() -> None:
    made = created_service(WEB, [NEW], {"c1"})
    assert made is not None
    assert made.containers == ("c1",)


@pytest.mark.parametrize(
    "fields",
    [
        {"config_hash": "another"},
        {"image_id": "another"},
        {"id": "c0"},  # it was there before
        {"name": "0123456789ab_shop-web-1"},
        {"state": ContainerState.RUNNING, "started_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_anything_else_is_not(fields: dict[str, Any]) -> None:
    assert created_service(WEB, [replace(NEW, **fields)], {"c1"}) is None


def test_too_few_or_too_many_are_not() -> None:
    two = WantedService(ServiceDefinition("web", "web:v1", "d", (), replicas=2), "h", "i")
    second = replace(NEW, id="c2", name="shop-web-2", number=2)
    assert created_service(two, [NEW], {"c1"}) is None
    assert created_service(WEB, [NEW, second], {"c1", "c2"}) is None
    assert created_service(WEB, [], {"c1"}) is None
