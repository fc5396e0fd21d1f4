"""`python -m campaigns.mutations [WORD…]`: apply each mutation in a worktree of its own, and run its tests there.

WORDs choose by name. `--tests-of REVISION` asks the tests of another commit, to compare what they caught. The exit code
is 1 where a mutation survived. It takes a minute or so for each that needs an engine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaigns.mutations.mutation import Mutation
from campaigns.mutations.mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
TESTING = ("tests", "testbed", "campaigns/crash", "campaigns/instrumented")
SECONDS = 900
PASSED, FAILED = 0, 1


def main() -> int:
    """Read the command line, try the mutations, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutations whose name holds one of these")
    parser.add_argument("--tests-of", metavar="REVISION", help="the commit whose tests are asked")
    arguments = parser.parse_args()
    chosen = [one for one in MUTATIONS if not arguments.words or any(word in one.name for word in arguments.words)]
    with worktree(arguments.tests_of) as folder:
        survived = [one.name for one in chosen if not is_caught(one, folder)]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} mutations were caught.")
    return 1 if survived else 0


@contextmanager
def worktree(tests_of: str | None) -> Iterator[Path]:
    """Check this commit out once more, with the tests of another one where one is named."""
    with tempfile.TemporaryDirectory(prefix="roas-mutations-") as parent:
        folder = Path(parent) / "tree"
        _git(ROOT, "worktree", "add", "--quiet", "--detach", str(folder))
        try:
            (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
            if tests_of is not None:
                _git(folder, "rm", "-r", "--quiet", *TESTING)
                _git(folder, "checkout", "--quiet", tests_of, "--", *TESTING)
            yield folder
        finally:
            _git(ROOT, "worktree", "remove", "--force", str(folder))


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def is_caught(mutation: Mutation, folder: Path) -> bool:
    """Return whether a test failed of it; a mutation that cannot be tried counts as not caught."""
    path = folder / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        print(f"CANNOT BE MADE  {mutation.name}: {mutation.file} has that {text.count(mutation.old)} times", flush=True)
        return False
    path.write_text(text.replace(mutation.old, mutation.new))
    begun = time.monotonic()
    try:
        code, said = _run(mutation, folder)
    finally:
        path.write_text(text)
    verdict = {PASSED: "SURVIVED", FAILED: "caught"}.get(code, f"no verdict ({code})")
    ended = (line.split(" ")[1] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR ")))
    by = next((test for test in ended if "::" in test), "")  # the log has lines that begin like that, too
    print(f"{verdict:9} {time.monotonic() - begun:5.0f} s  {mutation.name}  {by}", flush=True)
    if code not in {PASSED, FAILED}:
        print(said[-3000:], flush=True)
    return code == FAILED


def _as_there(test: str, folder: Path) -> str:
    """Return the path of a test in a tree that may be older than the kinds of tests."""
    kind = test.split("/")[1]
    return test if (folder / "tests" / kind).exists() else test.replace(f"{kind}/", "", 1)


def _run(mutation: Mutation, folder: Path) -> tuple[int, str]:
    named = [_as_there(one, folder) if one.startswith("tests/") else one for one in mutation.tests]
    existing = [one for one in named if not one.startswith("tests/") or (folder / one).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *existing]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return FAILED, "FAILED by its time"
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
