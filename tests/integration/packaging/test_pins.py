"""The locks hold what pyproject.toml allows: the newest of every dependency, and the lowest."""

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.integration.packaging.environments import ARRANGED, PYTHONS, ROOT, Pins


def for_python(requirement: Requirement, python: str) -> bool:
    """Tell whether a requirement counts for a version of Python on Linux."""
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.7"}
    return requirement.marker is None or requirement.marker.evaluate(dict(environment))


def dependencies(python: str) -> list[Requirement]:
    found = [Requirement(line) for line in ARRANGED["dependencies"]]
    return [item for item in found if for_python(item, python)]


def pinned(lock: str, python: str) -> dict[str, Version]:
    """Return the versions that a lock has for a version of Python."""
    lines = [line.removesuffix("\\") for line in (ROOT / lock).read_text().splitlines() if "==" in line]
    pins = [Requirement(line) for line in lines if not line.lstrip().startswith("#")]
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin in pins
        if for_python(pin, python)
    }


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", [*Pins, "requirements-dev.lock"])
def test_lock_is_within_the_ranges(lock: str, python: str):
    pins = pinned(lock, python)
    outside = [
        str(dependency)
        for dependency in dependencies(python)
        if pins[canonicalize_name(dependency.name)] not in dependency.specifier
    ]
    assert outside == []


@pytest.mark.parametrize("python", PYTHONS)
def test_lowest_lock_has_the_minimums(python: str):
    """What is said to work is what is tried, with whatever else is the newest."""
    lowest: dict[str, Version] = {}
    for dependency in dependencies(python):
        name = canonicalize_name(dependency.name)
        (minimum,) = [Version(part.version) for part in dependency.specifier if part.operator == ">="]
        lowest[name] = max(minimum, lowest.get(name, minimum))
    pins = pinned(Pins.LOWEST, python)
    assert {name: pins[name] for name in lowest} == lowest
