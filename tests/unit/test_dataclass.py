"""Dataclasses of ours behave as those of the standard library, and compile nothing while they are imported."""

import ast
import contextlib
import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import roas
from roas.dataclass import compile_ahead, dataclass
from tests.unit.sources import all_nodes, tree_of

ROOT = Path(__file__).resolve().parents[2]
DECORATORS = {"ours": dataclass, "standard": dataclasses.dataclass}


@dataclass(frozen=True, slots=True)
class Point:
    """Can be pickled, as it is found by its name."""

    x: int
    y: int = 0


class Place(Point):
    """Is no dataclass itself."""


@pytest.fixture(params=DECORATORS)
def decorate(request):
    return DECORATORS[request.param]


@pytest.fixture
def kinds(decorate):
    """Every kind of field, of which some are inherited."""

    @decorate(frozen=True, slots=True, kw_only=True)
    class Base:
        name: str
        tags: list[str] = field(default_factory=list)

    @decorate(frozen=True, slots=True, kw_only=True)
    class Kinds(Base):
        count: int
        limit: int = 3
        secret: str = field(default="", repr=False)
        note: str = field(default="", compare=False)
        fixed: int = field(default=7, init=False)
        made: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

        def __post_init__(self) -> None:
            self.made["count"] = self.count

    return Kinds


def test_fields_set_by_name_default_and_factory(kinds):
    one, other = kinds(name="a", count=1), kinds(name="a", count=1)
    assert dataclasses.asdict(one) == {
        "name": "a", "tags": [], "count": 1, "limit": 3, "secret": "", "note": "", "fixed": 7, "made": {"count": 1}
    }  # fmt: skip
    assert one.tags is not other.tags
    assert kinds(name="a", count=1, tags=["x"], limit=4).tags == ["x"]


def test_shown_without_what_is_not_to_be_shown(kinds):
    shown = repr(kinds(name="a", count=1, secret="s"))
    assert shown == f"{kinds.__qualname__}(name='a', tags=[], count=1, limit=3, note='', fixed=7)"


def test_shown_once_where_it_contains_itself(decorate):
    @decorate(slots=True)
    class Chain:
        next: Any = None

    chain = Chain()
    chain.next = chain
    assert repr(chain).endswith("Chain(next=...)")


def test_equal_by_what_is_compared(kinds):
    assert kinds(name="a", count=1, note="x") == kinds(name="a", count=1, note="y")
    assert kinds(name="a", count=1) != kinds(name="a", count=2)
    assert kinds(name="a", count=1) != "a"


def test_equal_only_to_own_class(decorate):
    @decorate(frozen=True, slots=True)
    class Left:
        x: int

    @decorate(frozen=True, slots=True)
    class Right(Left):
        pass

    assert Left(1) != Right(1)
    assert Left(1) == Left(1)
    assert {Left(1): "a", Left(2): "b"}[Left(1)] == "a"


def test_without_fields(decorate):
    @decorate(frozen=True, slots=True)
    class Nothing:
        pass

    assert (repr(Nothing()).endswith("Nothing()"), Nothing() == Nothing(), len({Nothing(), Nothing()})) == (
        True, True, 1,
    )  # fmt: skip


def test_frozen_refuses_changes(kinds):
    one = kinds(name="a", count=1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'count'"):
        one.count = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'count'"):
        del one.count
    assert dataclasses.replace(one, count=2, tags=[]).made == {"count": 2}


def test_not_frozen_changes_and_has_no_hash(decorate):
    @decorate(slots=True)
    class Open:
        count: int = 0

    one = Open()
    one.count += 1
    assert one == Open(1)
    with pytest.raises(TypeError, match="unhashable type"):
        hash(one)
    with pytest.raises(AttributeError):
        one.counted = 1


def test_methods_of_the_class_itself_stay(decorate):
    @decorate(frozen=True, slots=True)
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

    assert repr(Own(1)) == "own"


@pytest.mark.parametrize("given", [{}, {"name": "a"}, {"name": "a", "count": 1, "wrong": 1}, {"fixed": 1}])
def test_wrong_arguments_are_named(kinds, given):
    with pytest.raises(TypeError, match=r"Kinds\.__init__\(\) (missing|got an unexpected keyword argument)"):
        kinds(**given)


def test_by_position_in_order(decorate):
    @decorate(frozen=True, slots=True)
    class Ordered:
        first: int
        second: int = 2

    match Ordered(1):
        case Ordered(first, second):
            assert (first, second) == (1, 2)
    with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments"):
        Ordered(1, 2, 3)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301
def test_copied_and_pickled(copied):
    assert copied(Point(1, 2)) == Point(1, 2)


def test_subclass_without_decorator_is_made_as_its_base():
    assert (Place(1), Place(2).y) == (Place(1, 0), 0)


def test_read_and_written_as_json(decorate):
    @decorate(frozen=True, slots=True)
    class Stored:
        name: str
        labels: Mapping[str, str] = field(default_factory=dict)

    kept = TypeAdapter(Stored)
    read = kept.validate_json('{"name": "a"}')
    assert (read, kept.dump_json(read)) == (Stored("a"), b'{"name":"a","labels":{}}')


def test_compiled_when_first_made():
    @dataclass(frozen=True, slots=True)
    class Late:
        x: int

    before = Late.__init__
    Late(1)
    after = Late.__init__
    Late(2)
    assert before is not after
    assert Late.__init__ is after


def test_compiled_ahead_for_who_names_the_package():
    @dataclass(frozen=True, slots=True)
    class Late:
        x: int = 3

    before = Late.__init__
    compile_ahead(("roas.nowhere",))
    assert Late.__init__ is before
    compile_ahead((__name__,))
    after = Late.__init__
    assert (Late(1).x, Late().x) == (1, 3)
    assert before is not after
    assert Late.__init__ is after


def test_every_dataclass_of_the_package_is_one_of_these():
    standard = [
        path.name
        for folder in ("bot", "cogs")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "dataclass.py"
        for node in all_nodes(tree_of(path))
        if isinstance(node, ast.ImportFrom)
        and node.module == "dataclasses"
        and "dataclass" in {alias.name for alias in node.names}
    ]
    assert standard == []


def _all_dataclasses() -> list[type]:
    names = [found.name for found in pkgutil.walk_packages(roas.__path__, "roas.") if "__main__" not in found.name]
    return [
        kind
        for module in map(importlib.import_module, names)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind)
    ]


def _standard(kind: type) -> type:
    taken = ("default", "default_factory", "init", "kw_only")
    described = [
        (one.name, Any, field(**{name: getattr(one, name) for name in taken})) for one in dataclasses.fields(kind)
    ]
    return dataclasses.make_dataclass(kind.__name__, described)


def _parameters(kind: type) -> list[tuple[str, Any, bool]]:
    return [(one.name, one.kind, one.default is one.empty) for one in inspect.signature(kind).parameters.values()]


def test_each_of_the_package_takes_what_the_standard_one_takes():
    found = _all_dataclasses()
    for kind in found:
        with contextlib.suppress(TypeError):
            kind(wrong_on_purpose=True)  # now it is compiled
    different = [kind for kind in found if _parameters(kind) != _parameters(_standard(kind))]
    assert (different, len(found) > 200) == ([], True)
