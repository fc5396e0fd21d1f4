"""The code of the release before, out of the repository's own history."""

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The commit that landed last.
RELEASE_BEFORE = "f06f210e"


class ReleaseBeforeMissingError(RuntimeError):
    """The repository's history does not reach back to the release before; the message says what to do."""


def unpack_release_before(folder: Path) -> Path:
    """Write the whole tree of the release before into a folder, and return it. Raises ReleaseBeforeMissingError."""
    command = ["git", "archive", "--format=tar", RELEASE_BEFORE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        raise ReleaseBeforeMissingError(
            f"commit {RELEASE_BEFORE} is not in this clone; get the whole history (git fetch --unshallow):"
            f" {done.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
