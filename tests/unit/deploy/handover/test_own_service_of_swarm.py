"""On a Swarm the bot's own service is one of many, and the last that a deployment brings to a release."""

import pytest

from roas.models.deployment import Outcome
from roas.models.environment import EngineKind, Environment
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy
from tests.unit.deploy.swarming import Swarming


@pytest.fixture
def engine() -> Swarming:
    return Swarming({"bot": service("bot"), "store": service("store"), "web": service("web")})


@pytest.fixture
def environment(tmp_path) -> Environment:
    return Environment("dev", "shop-dev", tmp_path, (), observation_seconds=1.0, engine=EngineKind.SWARM)


@pytest.mark.parametrize("own", ["bot", "store", "web"])
async def test_bot_comes_last(orchestrator, engine, own):
    engine.own = frozenset({own})
    ended = await orchestrator.run(deploy())
    assert ended.outcome is Outcome.SUCCEEDED
    assert [subject for name, subject in engine.calls if name == "create"][-1] == own
