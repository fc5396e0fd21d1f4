"""Build the image, and check what it says of itself."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.release.errors import ReleaseError

REPOSITORY = "roas-bot"
VERSION_LABEL = "org.opencontainers.image.version"


def build_image(source: Path, version: str, options: Iterable[str] = ()) -> str:
    """Build the image and return its tag; `options` go to `docker build`. Raises ReleaseError."""
    tag = f"{REPOSITORY}:{version}"
    _docker("build", "--tag", tag, "--build-arg", f"VERSION={version}", *options, str(source))
    return tag


def faults(tag: str, version: str, unwanted: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with an image."""
    (described,) = json.loads(_docker("image", "inspect", tag))
    label = (described["Config"].get("Labels") or {}).get(VERSION_LABEL)
    if label != version:
        yield f"image: its label {VERSION_LABEL} is {label!r}, not {version}"
    printed = _docker("run", "--rm", "--network", "none", tag, "python", "-m", "roas", "--version").split()
    if printed[-1:] != [version]:
        yield f"image: `roas --version` prints {' '.join(printed)!r}, not {version}"
    told = json.dumps(described["Config"]) + _docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", tag)
    for text in unwanted:
        if text in told:
            yield f"image: its description holds {text!r}, which belongs to this machine"


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"`docker {arguments[0]}` failed:\n{done.stderr.strip()[-4000:]}")
    return done.stdout
