"""A plan says how large a backup will be, also the first one, and where the disk would not hold it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.models.stack import BackupRule
from tests.unit.deploy.data.fake_data import RULE, WithData
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy

BY_VOLUMES = BackupRule((), (), 2, volumes=("shop_data", "shop_wal"), helper="store")
NOBODY_KNOWS = "The data of store is backed up first. Nobody knows yet how large it is."
TOO_LARGE = "The disk of the backups has 10 B left, and about 12 B is needed"


@pytest.fixture
def engine() -> WithData:
    return WithData({"store": service("store"), "web": service("web", "store")})


async def told(orchestrator: DeploymentOrchestrator, engine: WithData, rule: BackupRule) -> str:
    engine.stack["store"] = replace(engine.stack["store"], backup=rule)
    return "\n".join((await orchestrator.plan(deploy("v2"))).data)


@pytest.mark.parametrize(
    ("rule", "sizes", "says"),
    [
        (RULE, {}, NOBODY_KNOWS),
        (BY_VOLUMES, {}, NOBODY_KNOWS),
        (BY_VOLUMES, {"shop_data": 4}, NOBODY_KNOWS),
        (BY_VOLUMES, {"shop_data": 4, "shop_wal": 0}, "is backed up first: its volumes hold 4 B."),
        (BY_VOLUMES, {"shop_data": 4, "shop_wal": 6}, "is backed up first: its volumes hold 10 B."),
        (BY_VOLUMES, {"shop_data": 5, "shop_wal": 7}, TOO_LARGE),
    ],
)
async def test_first_backup_is_as_large_as_what_it_copies(orchestrator, engine, rule, sizes, says):
    await orchestrator.run(deploy("v1"))
    engine.data.sizes = sizes
    text = await told(orchestrator, engine, rule)
    assert says in text
    assert ("is needed" in text) == (says == TOO_LARGE)


@pytest.mark.parametrize("jobs", [(), ("migrate",)])
async def test_next_backup_is_as_large_as_the_last(orchestrator, engine, jobs):
    """Volumes are not measured for it; it needs its room before a job, too."""
    engine.stack["migrate"] = service("migrate", "store", one_shot=True)
    rule = replace(RULE, before_deploy=not jobs, before_jobs=jobs)
    await orchestrator.run(deploy("v1"))
    engine.stack["store"] = replace(engine.stack["store"], backup=rule)
    await orchestrator.run(deploy("v2"))
    when = "before migrate runs." if jobs else "first: 4 B in"
    text = "\n".join((await orchestrator.plan(deploy("v3"))).data)
    assert f"The data of store is backed up {when}" in text
    assert "is needed" not in text
    engine.data.files = SimpleNamespace(free_bytes=lambda: 3)
    text = "\n".join((await orchestrator.plan(deploy("v3"))).data)
    assert "has 3 B left, and about 4 B is needed" in text
