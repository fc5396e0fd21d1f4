"""Give classes what `dataclasses.dataclass` gives them, without compiling their methods while they are imported.

Python compiles four to six methods for each dataclass, anew in each process: of our 250 that took a quarter of the time
until a bot had started. Here `__init__` is compiled when the first object is made, and all classes share the others.
To type checkers this is `dataclasses.dataclass` itself.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, MISSING, Field, FrozenInstanceError, InitVar, field, fields
from dataclasses import dataclass as _with_fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, ClassVar, get_origin

UNSET = object()
# Of which `__init__` is not compiled yet, and whether they are frozen.
_NOT_COMPILED: dict[type, bool] = {}


def _dataclass(*, frozen: bool = False, slots: bool = False, kw_only: bool = False) -> Callable[[type], type]:
    """Make a dataclass of a class, as `dataclasses.dataclass` does with these arguments."""
    given = _FROZEN if frozen else _SHARED

    def made(plain: type) -> type:
        own = inspect.get_annotations(plain)
        if slots and not any(map(_is_special, own.values())):
            cls = _with_slots(plain, own, given, kw_only)
        else:
            cls = _with_fields(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(plain)
            for name, method in {**given, COMPARED: _compared(fields(cls))}.items():
                if name not in plain.__dict__:
                    setattr(cls, name, method)
        cls.__init__ = _compiled_when_called(cls, frozen)  # type: ignore[misc]
        return cls

    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass


COMPARED = "__compared__"
FIELDS = "__dataclass_fields__"
# What belongs to the class that is replaced by one with slots.
OF_THE_PLAIN_CLASS = ("__dict__", "__weakref__")
SPECIAL = ("ClassVar", "InitVar", "KW_ONLY")


def _is_special(kind: object) -> bool:
    """Return whether it takes the standard library to tell what is meant."""
    if isinstance(kind, str):
        return any(word in kind for word in SPECIAL)
    return kind is KW_ONLY or kind is ClassVar or isinstance(kind, InitVar)


def _with_slots(plain: type, own: Mapping[str, Any], given: Mapping[str, Any], kw_only: bool) -> type:
    """Make the class anew with slots, its methods and the description of its fields at once."""
    described = _inherited(plain)
    described |= {name: _described(plain, name, kind, kw_only) for name, kind in own.items()}
    real = tuple(one for one in described.values() if one._field_type is _IS_FIELD)  # type: ignore[attr-defined]
    left_out = {*OF_THE_PLAIN_CLASS, *(one.name for one in real)}
    body = {
        **given,
        COMPARED: _compared(real),
        "__match_args__": tuple(one.name for one in real if one.init and not one.kw_only),
        **_OF_STANDARD,
        **{name: value for name, value in plain.__dict__.items() if name not in left_out},
        FIELDS: described,
        "__slots__": _slots(plain, real),
    }
    cls: type = type(plain)(plain.__name__, plain.__bases__, body)
    cls.__qualname__ = plain.__qualname__
    return cls


def _inherited(plain: type) -> dict[str, Field[Any]]:
    found: dict[str, Field[Any]] = {}
    for base in reversed(plain.__mro__):
        found |= base.__dict__.get(FIELDS, {})
    return found


def _described(plain: type, name: str, kind: object, kw_only: bool) -> Field[Any]:
    """Describe one field, as the standard library does."""
    given = plain.__dict__.get(name, MISSING)
    one: Any = given if isinstance(given, Field) else field(default=given)
    one.name, one.type = name, kind
    one._field_type = _IS_NONE if get_origin(kind) is ClassVar else _IS_FIELD
    if one.kw_only is MISSING:
        one.kw_only = kw_only
    if type(one.default).__hash__ is None:
        raise ValueError(f"mutable default {type(one.default)} for field {name} is not allowed: use default_factory")
    described: Field[Any] = one
    return described


def _slots(plain: type, real: tuple[Field[Any], ...]) -> tuple[str, ...]:
    inherited = {name for base in plain.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
    return tuple(one.name for one in real if one.name not in inherited)


def _compared(described: tuple[Field[Any], ...]) -> Callable[[Any], Any]:
    compared = [one.name for one in described if one.compare]
    return attrgetter(*compared) if compared else type


def compile_ahead(packages: tuple[str, ...]) -> None:
    """Compile `__init__` of the classes of packages before the first object is made: who makes it may be in a hurry."""
    for cls, frozen in tuple(_NOT_COMPILED.items()):
        if cls.__module__.startswith(packages):
            cls.__init__ = _compiled(cls, frozen)  # type: ignore[misc]
            _NOT_COMPILED.pop(cls, None)


def _compiled_when_called(cls: type, frozen: bool) -> Callable[..., None]:
    _NOT_COMPILED[cls] = frozen

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
        cls.__init__ = compiled = _compiled(cls, frozen)  # type: ignore[misc]
        _NOT_COMPILED.pop(cls, None)
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


def _standard() -> type:
    """Return a class that shows how the standard library marks what is a field, what is none, and their class."""

    class Example:
        is_field: int
        is_none: ClassVar[int] = 0

    return _with_fields(init=False, repr=False, eq=False, slots=True)(Example)


_IS_FIELD, _IS_NONE = (one._field_type for one in getattr(_standard(), FIELDS).values())
_OF_STANDARD = {
    name: getattr(_standard(), name) for name in ("__dataclass_params__", "__replace__") if hasattr(_standard(), name)
}
