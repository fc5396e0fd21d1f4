"""Each of many hosts holds the models of its own releases, though all have one project and one store."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.models.release import Release, ReleaseState
from roas.stack.model.store import ModelStore
from roas.stack.releases import stack_releases
from roas.stack.releases.stack_releases import StackReleases

WHOLE = Environment("prod", "shop", Path("/shop"), ())


async def at_once(work: Any) -> Any:
    return work()


@pytest.fixture
def of_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what keeps the releases of a host, whose engine has no tags."""

    async def nothing(*_arguments: object) -> frozenset[int]:
        return frozenset()

    monkeypatch.setattr(stack_releases, "tagged_numbers", nothing)
    monkeypatch.setattr(stack_releases, "untag_images", nothing)
    parts: Any = SimpleNamespace(models=ModelStore(tmp_path, lambda _model: None), stored=at_once)

    def of(name: str) -> StackReleases:
        environment = replace(WHOLE, name=f"prod@{name}", part_of="prod") if name else WHOLE
        engine = SimpleNamespace(environment=environment, project=environment.project, local=at_once)
        return StackReleases(cast("Any", engine), parts)

    return of


async def test_release_of_one_host_is_none_of_another(of_host):
    """The numbers of hosts differ: with one name for all, each seemed to have those of the others."""
    a, b = of_host("a"), of_host("b")
    model = await a.save_model({"services": {"web": {"image": "web:v2"}}})
    release = Release("prod@a", 2, "v2", ReleaseState.SUCCEEDED, (), model, datetime.now(UTC), DORA)
    await a._hold_model(release)
    assert await a.held() == {2}
    assert await b.held() == frozenset()
    await b._hold_model(replace(release, environment="prod@b"))
    await a.unprotect(release)
    assert await a.held() == frozenset()
    assert await b.held() == {2}
    assert await b._parts.stored(lambda: b._models.load(model)), "the other host needs it yet"


async def test_environment_on_one_host_holds_as_before(of_host):
    """What the release before has held is found."""
    alone = of_host("")
    model = await alone.save_model({"services": {}})
    alone._models.add_reference(model, "shop-r7")
    assert await alone.held() == {7}


DORA = Actor(ActorKind.DISCORD, "1", "dora")
