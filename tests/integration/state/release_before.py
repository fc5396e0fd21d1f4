"""Run `two_releases.py` by the code of this release or of the one before it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.inherited import chosen_programs

SECONDS = 90
PROGRAM = Path(__file__).with_name("two_releases.py")


def run_release(code: Path, what: str, folder: Path, *more: str) -> Any:
    """Do something to a state folder by the code that lies in another folder, and return what it prints."""
    done = subprocess.run(
        command_of(what, folder, *more),
        cwd=code,
        env=environment_of(code),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def command_of(what: str, folder: Path, *more: str) -> list[str]:
    """Return what does something to a state folder."""
    return [sys.executable, str(PROGRAM), what, str(folder), *more]


def environment_of(code: Path) -> dict[str, str]:
    """Return the variables with which a release's code is found, and nothing of another one's."""
    return {**chosen_programs(), "PYTHONPATH": str(code)}
