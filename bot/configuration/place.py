"""Identify where a setting was set, and what is wrong with it there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Identify the place of a value: `name` is the variable or the key; `file` is empty for the environment itself."""

    name: str
    file: str = ""
    line: int | None = None

    @property
    def source(self) -> str:
        """Return the file and line, or that it is a variable of the environment."""
        return f"{self.file}:{self.line}" if self.line is not None else self.file or "environment"


@dataclass(frozen=True, slots=True)
class Fault:
    """Name one wrong setting."""

    place: Place
    message: str

    def __str__(self) -> str:
        """Write it on one line, the way compilers do."""
        where = f"{self.place.source}: " if self.place.file else ""
        name = f"{self.place.name}: " if self.place.name else ""
        return f"{where}{name}{self.message}"


def variable(path: tuple[str | int, ...]) -> str:
    """Return the name of the variable that says a setting, such as `ENVIRONMENTS__DEV__FOLDER`."""
    return "__".join(str(part) for part in path).upper()


def dotted(path: tuple[str | int, ...]) -> str:
    """Return the name of a key in the file, such as `environments.dev.folder`."""
    return ".".join(str(part) for part in path)
