"""Write the page of the command line: from the commands' own signatures, whatever the version of typer."""

import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Union, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from roas.cli import COMMANDS, GROUPS, load
from tools.reference.markdown import code, plain, table

PROGRAM = "roas"
HEAD = """# The command line's options

`roas COMMAND --help` prints the same. [The command line](../command-line.md) says who carries out what is asked for,
what is printed, and how scripts read it.
"""
TYPES = {str: "TEXT", int: "INTEGER", float: "NUMBER"}
Declared = tuple[str, type, ArgumentInfo | OptionInfo, Any]


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_section((PROGRAM, *words), callback) for words, callback in commands())])


def commands() -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    """Yield the words of each command, without the program's name, and what it calls; groups come last."""
    for name in sorted(COMMANDS, key=GROUPS.__contains__):
        for command in load(name).registered_commands:
            if command.callback is not None:
                inner = command.name or command.callback.__name__
                yield (name, inner) if name in GROUPS else (name,), command.callback


def _section(path: Sequence[str], callback: Callable[..., Any]) -> str:
    declared = list(_declared(callback))
    arguments = [item for item in declared if isinstance(item[2], ArgumentInfo)]
    options = [item for item in declared if isinstance(item[2], OptionInfo)]
    usage = " ".join([*path, *(["[OPTIONS]"] if options else []), *map(_metavar, arguments)])
    rows = [(code(_metavar(argument)), "", "", plain(argument[2].help or "")) for argument in arguments]
    rows += [
        (_names(option), code(_value(option)), _default(option), plain(option[2].help or "")) for option in options
    ]
    body = table(("argument or option", "value", "default", "what it is"), rows) if rows else ""
    text = "\n\n".join(plain(part) for part in inspect.cleandoc(callback.__doc__ or "").split("\n\n"))
    return "\n".join([f"## {' '.join(path[1:])}\n", f"```text\n{usage}\n```\n", text, "", body])


def _declared(callback: Callable[..., Any]) -> Iterator[Declared]:
    """Yield name, type, declaration and default of each parameter that typer reads."""
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, *notes = get_args(parameter.annotation)
        info = next((note for note in notes if isinstance(note, ArgumentInfo | OptionInfo)), None)
        if info is not None and not info.hidden:
            yield name, _bare(kind), info, parameter.default


def _bare(kind: Any) -> type:
    """Return the type of one value: of `list[str] | None` it is `str`."""
    if get_origin(kind) in (Union, types.UnionType):
        return _bare(next(item for item in get_args(kind) if item is not types.NoneType))
    return _bare(get_args(kind)[0]) if get_origin(kind) in (list, tuple) else kind


def _metavar(one: Declared) -> str:
    return str(one[2].metavar or one[0].upper())


def _names(one: Declared) -> str:
    """Return the names of an option. In an annotation, typer takes the first of them for the default."""
    first = (one[2].default,) if str(one[2].default).startswith("-") else ()
    names = (*first, *(one[2].param_decls or ()))
    return " ".join(code(name) for name in names or (f"--{one[0].replace('_', '-')}",))


def _value(one: Declared) -> str:
    _, kind, info, _ = one
    if kind is bool:
        return ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " / ".join(str(member.value) for member in kind)
    bounds = f" {info.min:g} to {info.max:g}" if info.min is not None and info.max is not None else ""
    return str(info.metavar or TYPES.get(kind, kind.__name__.upper())) + bounds


def _default(one: Declared) -> str:
    return "" if one[3] in (None, "", False, inspect.Parameter.empty) else code(one[3])
