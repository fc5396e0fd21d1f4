"""The leader makes ready what nobody replaces: also while a deployment waits for a person."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.recovery.upkeep import LeftDrains

NAMES = ("dev", "staging", "prod")


class Scene:
    """Let three environments run one model, whose service may have a proxy, and note what is asked and settled."""

    def __init__(self, lock: object = None, proxy: object = None, *, in_canary: bool = False) -> None:
        self._in_canary = in_canary
        self.reads: list[str] = []
        self.settled: list[str] = []
        self._lock = lock
        releases = SimpleNamespace(applied_model=self._applied)
        deployments = SimpleNamespace(get=self._paused)
        state = SimpleNamespace(releases=releases, locks=SimpleNamespace(get=self._lock_of), deployments=deployments)
        engine = SimpleNamespace(
            load_model=self._load_model,
            definitions=lambda _model: {"web": SimpleNamespace(name="web", proxy=proxy)},
            of=lambda environment: environment,
        )
        behind = SimpleNamespace(settle_idle=self._settle_idle)
        self.drains = LeftDrains(*(cast("Any", part) for part in (engine, state, behind)))

    async def check(self) -> None:
        """Look at all of them."""
        for name in NAMES:
            await self.drains.check(cast("Any", SimpleNamespace(name=name)))

    async def _applied(self, _name: str) -> str:
        self.reads.append("applied")
        return "model"

    async def _lock_of(self, name: str) -> object:
        self.reads.append(f"lock of {name}")
        return self._lock

    async def _paused(self, _deployment_id: str) -> object:
        asked, in_canary = ("other", {"web"}) if self._in_canary else ("web", set())
        return SimpleNamespace(pauses=(SimpleNamespace(service=asked),), in_canary=frozenset(in_canary))

    async def _load_model(self, _model_hash: str) -> object:
        return {}

    async def _settle_idle(self, environment: Any, definitions: Any) -> None:
        self.settled += [environment.name for _ in definitions]


@pytest.mark.parametrize(
    ("lock", "in_canary", "looked"),
    [
        (None, False, NAMES),
        (SimpleNamespace(is_partial=True, deployment_id="D"), False, ()),  # it waits because of that very service
        (SimpleNamespace(is_partial=True, deployment_id="D"), True, ()),  # of another one, and this has its weights
        (SimpleNamespace(is_partial=False), False, ()),
    ],
)
async def test_only_what_changes_at_this_moment_is_left_alone(
    lock: object, in_canary: bool, looked: tuple[str, ...]
) -> None:
    scene = Scene(lock, proxy="proxy", in_canary=in_canary)
    await scene.check()
    assert scene.settled == [*looked]


async def test_without_a_proxy_no_lock_is_read() -> None:
    scene = Scene()
    for _ in range(3):
        await scene.check()
    assert (scene.reads, scene.settled) == (["applied"] * 9, [])
