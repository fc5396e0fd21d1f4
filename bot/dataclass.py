"""Give classes what `dataclasses.dataclass` gives them, without compiling their methods while they are imported.

Python compiles four to six methods for each dataclass, anew in each process: of our 250 that took a quarter of the time
until a bot had started. Here `__init__` is compiled when the first object is made, and all classes share the others.
To type checkers this is `dataclasses.dataclass` itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from dataclasses import dataclass as _with_fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

UNSET = object()


def _dataclass(*, frozen: bool = False, slots: bool = False, kw_only: bool = False) -> Callable[[type], type]:
    """Make a dataclass of a class, as `dataclasses.dataclass` does with these arguments."""

    def made(plain: type) -> type:
        own = plain.__dict__
        cls: type = _with_fields(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(plain)
        given = _FROZEN if frozen else _SHARED
        for name, method in given.items():
            if name not in own:
                setattr(cls, name, method)
        compared = [one.name for one in fields(cls) if one.compare]
        setattr(cls, COMPARED, attrgetter(*compared) if compared else type)
        cls.__init__ = _compiled_when_called(cls, frozen)  # type: ignore[misc]
        return cls

    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass


COMPARED = "__compared__"


def _compiled_when_called(cls: type, frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
        cls.__init__ = compiled = _compiled(cls, frozen)  # type: ignore[misc]
        compiled(self, *arguments, **named)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


def _compiled(cls: type, frozen: bool) -> Callable[..., None]:
    """Compile the `__init__` of a class."""
    known: dict[str, Any] = {"UNSET": UNSET, "set_field": object.__setattr__}
    body = list(_assignments(fields(cls), frozen, known))
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    source = f"def __init__({', '.join(_parameters(fields(cls)))}):\n " + "\n ".join(body or ["pass"])
    exec(source, known)  # noqa: S102 - made of names of fields, as dataclasses does it
    compiled: Callable[..., None] = known["__init__"]
    compiled.__qualname__ = f"{cls.__qualname__}.__init__"
    compiled.__module__ = cls.__module__
    return compiled


def _parameters(described: tuple[Field[Any], ...]) -> Iterator[str]:
    yield "self"
    for keyword_only in (False, True):
        taken = [one for one in described if one.init and bool(one.kw_only) is keyword_only]
        if keyword_only and taken:
            yield "*"
        for one in taken:
            if one.default_factory is not MISSING:
                yield f"{one.name}=UNSET"
            else:
                yield one.name if one.default is MISSING else f"{one.name}=default_{one.name}"


def _assignments(described: tuple[Field[Any], ...], frozen: bool, known: dict[str, Any]) -> Iterator[str]:
    for one in described:
        value = one.name
        if one.default_factory is not MISSING:
            known[f"make_{one.name}"] = one.default_factory
            made = f"make_{one.name}()"
            value = f"{made} if {one.name} is UNSET else {one.name}" if one.init else made
        elif one.default is not MISSING:
            known[f"default_{one.name}"] = one.default
            value = one.name if one.init else f"default_{one.name}"
        elif not one.init:
            continue
        yield f"set_field(self, {one.name!r}, {value})" if frozen else f"self.{one.name} = {value}"


@recursive_repr()
def _represented(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def _is_equal(self: Any, other: Any) -> Any:
    if other is self:
        return True
    if other.__class__ is not self.__class__:
        return NotImplemented
    compared = self.__compared__
    return compared(self) == compared(other)


def _hashed(self: Any) -> int:
    return hash(self.__compared__(self))


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


_SHARED: dict[str, Any] = {"__repr__": _represented, "__eq__": _is_equal, "__hash__": None}
_FROZEN: dict[str, Any] = {
    "__repr__": _represented,
    "__eq__": _is_equal,
    "__hash__": _hashed,
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
