"""A folder in which script/test can run, with tools that find nothing wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def make_project(folder: Path) -> Path:
    (folder / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "test", folder / "script")
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("script/bootstrap", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/lint-imports"):
        executable(folder / name, "exit 0")
    executable(tools / "python", f'exec {sys.executable} "$@"')
    shutil.copytree(ROOT / "testbed", folder / "testbed", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests" / "__pycache__").mkdir(parents=True)  # else all tests are collected once before they run
    for name in ("__init__.py", "failed_list.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    return folder


def executable(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def run_fast_lane(project: Path, cache: Path, workers: int = 1) -> tuple[int, str, str]:
    """Run script/test --fast of a project; what is kept between clones is kept in `cache`.

    Each worker takes a while to start; with none, the process that collects the tests runs them.
    """
    done = subprocess.run(
        ["script/test", "--fast"],
        cwd=project,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTEST_WORKERS": str(workers)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    return done.returncode, done.stdout, done.stderr
