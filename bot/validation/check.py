"""Define what a check is, and find the checks that there are."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Protocol, runtime_checkable

from bot.models.check import CheckResult, Severity
from bot.validation import checks as package
from bot.validation.subject import Subject


@runtime_checkable
class Check(Protocol):
    """Look at one thing; `severity` is how much it matters when the check itself hangs or breaks."""

    name: str
    severity: Severity

    async def run(self, subject: Subject) -> CheckResult | list[CheckResult]:
        """Say what was found; an exception counts as a failed check."""
        ...


def discover_checks() -> tuple[Check, ...]:
    """Return one check of every class that the modules in `checks/` define, sorted by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    found = {check.name: check for module in modules for check in _checks_of(module)}
    return tuple(found[name] for name in sorted(found))


def _checks_of(module: ModuleType) -> Iterator[Check]:
    for candidate in vars(module).values():
        if isinstance(candidate, type) and candidate.__module__ == module.__name__ and hasattr(candidate, "severity"):
            check = candidate()
            if isinstance(check, Check):
                yield check
