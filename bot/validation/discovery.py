"""Find the checks that there are: one or more in each module of `checks/`."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from roas.validation import checks as package
from roas.validation.check import Check

# Imported now, with all that runs: later there may be files of another version in their place.
_MODULES: tuple[ModuleType, ...] = tuple(
    importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
)


def discover_checks() -> tuple[Check, ...]:
    """Return one check of every class that the modules in `checks/` define, sorted by name."""
    found = {check.name: check for module in _MODULES for check in _checks_of(module)}
    return tuple(found[name] for name in sorted(found))


def _checks_of(module: ModuleType) -> Iterator[Check]:
    for candidate in vars(module).values():
        if isinstance(candidate, type) and candidate.__module__ == module.__name__ and hasattr(candidate, "severity"):
            check = candidate()
            if isinstance(check, Check):
                yield check
