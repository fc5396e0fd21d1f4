"""The leader makes ready what nobody replaces: also while a deployment waits for a person."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.recovery.left_drains import LeftDrains


@pytest.mark.parametrize(
    ("lock", "looked"), [(None, 1), (SimpleNamespace(paused=True), 1), (SimpleNamespace(paused=False), 0)]
)
async def test_only_what_changes_at_this_moment_is_left_alone(lock: object, looked: int) -> None:
    settled: list[object] = []

    async def answer(value: object) -> object:
        return value

    async def settle_idle(environment: object, definitions: object) -> None:
        settled.append(environment)

    engine = SimpleNamespace(load_model=lambda model: answer({}), definitions=lambda model: {})
    state = SimpleNamespace(
        releases=SimpleNamespace(
            applied_model=lambda name: answer("model"), released=lambda: answer(frozenset({"dev"}))
        ),
        locks=SimpleNamespace(get=lambda name: answer(lock)),
    )
    behind = SimpleNamespace(settle_idle=settle_idle)
    dev = cast("Any", SimpleNamespace(name="dev"))
    await LeftDrains(cast("Any", engine), cast("Any", state), cast("Any", behind), {"dev": dev}).look()
    assert len(settled) == looked
