"""What a model was judged for is started at once; whoever starts it once more looks where its binds lead by then."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from roas.errors import ComposePolicyError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.redaction import Redactor
from roas.stack import compose_stack
from roas.stack.comparison import ContainerDifference
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks

ENVIRONMENT = Environment("dev", "shop", Path(), ())


async def test_started_while_others_are_made_is_judged_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look at what was made may be older than the start: it is no reason to start it unseen again."""
    stacks = Stacks(state_dir=tmp_path, instance_id="BOT-TEST", policy_allow=(), redactor=Redactor())
    stack = stacks.of(ENVIRONMENT)
    made = (ContainerSnapshot("1", "web", "web", ContainerState.CREATED, HealthStatus.NONE, "i", "i", "h"),)

    async def nothing(*_: object) -> None:
        return None

    async def make(_model: object, _chosen: object) -> object:
        return made

    async def wanted(*_: object, **_options: object) -> dict[str, object]:
        return {}

    async def refuse(*_: object) -> None:
        raise ComposePolicyError("it leads elsewhere")

    monkeypatch.setattr(compose_stack, "start_container", nothing)
    monkeypatch.setattr(stack.releases, "check", nothing)
    monkeypatch.setattr(stack._creation, "create_missing", make)
    monkeypatch.setattr(stack, "load_model", nothing)
    monkeypatch.setattr(stack, "wanted_services", wanted)
    monkeypatch.setattr(stack.binds, "refuse", refuse)
    await stack.create_missing("a model")
    await stack.start(made[0].id)
    with pytest.raises(ComposePolicyError):
        await stack.start(made[0].id)
    await stacks.close()


@pytest.mark.parametrize(
    ("changed", "left"), [(("cpus",), ("cpus",)), (("restart",), ()), (("cpus", "restart"), ("cpus",))]
)
async def test_restart_that_the_bot_holds_is_no_difference(changed: tuple[str, ...], left: tuple[str, ...]) -> None:
    """What a path misleads is not started again by itself, by this bot's own doing."""
    web = ContainerSnapshot("1", "web", "web", ContainerState.RUNNING, HealthStatus.NONE, "i", "i", "h")

    async def changed_in_place(*_: object) -> dict[str, ContainerDifference]:
        return {"1": ContainerDifference(changed=changed)}

    async def misled(*_: object) -> dict[str, str]:
        return {"web": "leads elsewhere"}

    async def nothing(*_: object) -> dict[str, str]:
        return {}

    stack = SimpleNamespace(_differences=changed_in_place, load_model=nothing, binds=SimpleNamespace(find=misled))
    assert (await Stack.differences(stack, {}, "m", [web]))["1"].changed == left  # type: ignore[arg-type]
