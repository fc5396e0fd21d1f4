"""What has run out while a check asks fails no deployment: it passes by itself, and is waited for."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

from roas.checks.validator import CHECKS, EnvironmentValidator
from roas.models.check import CheckSeverity
from roas.models.environment import EngineKind
from roas.shortages import shortage
from tests.unit.checks.conftest import StubProbe


async def run_out(*_: object, **__: object) -> Any:
    """Be refused by the system."""
    raise shortage("open files", "Too many open files")


class Starved(StubProbe):
    """Answer nothing for which a file or a thread is needed."""


for name, method in vars(StubProbe).items():
    if inspect.iscoroutinefunction(method):
        setattr(Starved, name, run_out)


@pytest.mark.parametrize("kind", EngineKind)
async def test_check_that_is_refused_fails_nothing(with_services, kind: EngineKind) -> None:
    subject = with_services(
        {"web": {"image": "web:1", "ports": [{"target": 80, "published": "80", "protocol": "tcp"}]}}
    )
    environment = replace(subject.environment, engine=kind)
    starved = replace(
        subject,
        environment=environment,
        stack=replace(subject.stack, environment=environment),
        has_nodes=kind is EngineKind.SWARM,
        engine=Starved(),
        swarm=run_out if kind is EngineKind.SWARM else None,
        look_up_image=run_out,
        ping_redis=run_out,
        discord_facts=run_out,
        unusable_targets=run_out,
    )
    survey: Any = None
    report = await EnvironmentValidator(CHECKS, survey).examine(starved)
    refused = [result for result in report.results if not result.passed and result.severity is CheckSeverity.CRITICAL]
    assert {"engine"} | ({"swarm_managers"} if kind is EngineKind.SWARM else set()) <= {one.check for one in refused}
    assert [result.check for result in refused if not result.passing] == []
