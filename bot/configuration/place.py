"""Identify where a setting was set, and what is wrong with it there."""

from dataclasses import dataclass

# A setting, or a part of one, by the names of the model.
SettingPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Identify the place of a value: `name` is the variable or the key; `file` is empty for the environment itself."""

    name: str
    file: str = ""

    @property
    def source(self) -> str:
        """Return the file, or that it is a variable of the environment."""
        return self.file or "environment"


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


def variable(path: SettingPath) -> str:
    """Return the name of the variable that says a setting, such as `ENVIRONMENTS__DEV__FOLDER`."""
    return "__".join(str(part) for part in path).upper()


def dotted(path: SettingPath) -> str:
    """Return the name of a key in the file, such as `environments.dev.folder`."""
    return ".".join(str(part) for part in path)
