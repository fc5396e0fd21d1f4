"""The clean environments, each made once in a run however many workers it has."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.packaging.environments import CleanEnvironment, Kind, make_environment, make_wheel

EnvironmentOf = Callable[[Kind], CleanEnvironment]


@pytest.fixture(scope="session")
def environment_of(tmp_path_factory: pytest.TempPathFactory) -> EnvironmentOf:
    """Return what makes the environment of a kind, or finds it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "clean environments"
    folder.mkdir(exist_ok=True)

    def environment_of(kind: Kind) -> CleanEnvironment:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _environment(kind, folder)

    return environment_of


def _environment(kind: Kind, folder: Path) -> CleanEnvironment:
    done = folder / f"{kind} done"
    if not done.exists():
        make_environment(kind, _wheel(folder), folder / str(kind))
        done.touch()
    return CleanEnvironment(folder / str(kind), _wheel(folder))


def _wheel(folder: Path) -> Path:
    if not (found := list((folder / "build" / "wheel").glob("*.whl"))):
        found = [make_wheel(folder / "build")]
    return found[0]
