"""What a plan has just found out of a stack is what its checks look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from roas.checks.subject import EnvironmentSurvey
from roas.configuration.settings import Settings
from roas.models.environment import Environment
from roas.models.stack import WantedImage
from roas.stack.interface import ResolvedStack
from tests.unit.checks.conftest import StubProbe
from tests.unit.one_stack import OneStack

DEV = Environment("dev", "shop", Path(), ())


class Store(OneStack):
    """Count what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def probe(self) -> StubProbe:
        return StubProbe()

    def in_front_of(self, *_: object) -> None:
        raise AssertionError

    async def resolve(self, version: str | None, *, write_contents: bool) -> ResolvedStack:
        self.asked.append("resolve")
        return ResolvedStack(self.environment, version or "", {}, {})

    async def look_up(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        self.asked.append(f"image of {', '.join(services)}")
        return {name: WantedImage(name, digest="asked") for name in services}


def survey(store: Store) -> EnvironmentSurvey:
    return EnvironmentSurvey(Settings(_env_file=None), cast("Any", store))


async def test_what_was_found_is_not_asked_again() -> None:
    store = Store()
    stack = ResolvedStack(DEV, "v1", {}, {}, wanted={"web": WantedImage("web:v1", digest="agreed to")})
    subject = await survey(store)(DEV, "v1", None, stack)
    assert subject.stack is stack
    assert subject.look_up_image is not None
    assert (await subject.look_up_image("web")).digest == "agreed to"
    assert store.asked == []
    assert (await subject.look_up_image("store")).digest == "asked", "one that is kept as it is was not looked up"


async def test_files_and_registries_are_asked_else() -> None:
    store = Store()
    subject = await survey(store)(DEV, "v1", None)
    assert subject.look_up_image is not None
    await subject.look_up_image("web")
    assert store.asked == ["resolve", "image of web"]


@pytest.mark.parametrize("has_nodes", [True, False])
async def test_engine_with_nodes_is_told_by_its_stack(has_nodes: bool) -> None:
    store = Store()
    store.replaces_by_itself = has_nodes
    assert (await survey(store)(DEV, "v1", None)).has_nodes is has_nodes
