"""What a model was judged for is started at once; whoever starts it once more looks where its binds lead by then."""

from pathlib import Path

import pytest

from roas.engine import compose_engine
from roas.engine.compose_engine import ComposeEngine
from roas.errors import ComposePolicyError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.redaction import Redactor

ENVIRONMENT = Environment("dev", "shop", Path(), ())


async def test_started_while_others_are_made_is_judged_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look at what was made may be older than the start: it is no reason to start it unseen again."""
    engine = ComposeEngine(state_dir=tmp_path, instance_id="BOT-TEST", policy_allow=(), redactor=Redactor())
    made = (ContainerSnapshot("1", "web", "web", ContainerState.CREATED, HealthStatus.NONE, "i", "i", "h"),)

    async def nothing(*_: object) -> None:
        return None

    async def make(_environment: object, _model: object, _chosen: object, created: compose_engine.Created) -> object:
        created(made)
        await engine.start(ENVIRONMENT, made[0].id)
        return made

    async def refuse(*_: object) -> None:
        raise ComposePolicyError("it leads elsewhere")

    monkeypatch.setattr(compose_engine, "start_container", nothing)
    monkeypatch.setattr(engine, "check_release", nothing)
    monkeypatch.setattr(engine._joint_creator, "create_missing", make)
    monkeypatch.setattr(engine._misled, "refuse", refuse)
    await engine.create_missing(ENVIRONMENT, "a model")
    with pytest.raises(ComposePolicyError):
        await engine.start(ENVIRONMENT, made[0].id)
    await engine.close()
