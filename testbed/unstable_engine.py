"""Fetch the engine and Compose of Debian's unstable suite, to be used beside the installed ones.

`python -m testbed.unstable_engine` prints a folder: `bin` in it goes first on PATH, `config` is for DOCKER_CONFIG,
where Docker's command line finds the newer plugins.
"""

import os
import sys
from pathlib import Path

from testbed.cache import cached, recipe_hash
from testbed.debian_packages import UNSTABLE, PackageError, unpack

FOLDER_VARIABLE = "TESTBED_ENGINE_FOLDER"
IMAGE_STORE_VARIABLE = "TESTBED_IMAGE_STORE"
PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "runc")
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/libexec/docker")
PLUGIN_FOLDER = "usr/libexec/docker/cli-plugins"


def unstable_engine() -> Path:
    """Return the folder with the newer programs; fetch them first where they are not here."""
    return cached(f"engine-{UNSTABLE}-{recipe_hash(UNSTABLE, *PACKAGES)}", _fetch)


def chosen_folder() -> Path | None:
    """Return the folder of the engine that this run of the tests has chosen, or None for the installed one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def _fetch(out: Path) -> None:
    unpack(out / "root", PACKAGES, UNSTABLE)
    _link(out)


def _link(out: Path) -> None:
    """Link what was unpacked; by relative paths, since the folder gets its name last."""
    for folder in PROGRAM_FOLDERS:
        for program in sorted((out / "root" / folder).iterdir()):
            if program.is_file():
                _place(out / "bin" / program.name, program)
    for plugin in sorted((out / "root" / PLUGIN_FOLDER).iterdir()):
        _place(out / "config" / "cli-plugins" / plugin.name, plugin)


def _place(link: Path, program: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(program, link.parent))


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{unstable_engine()}\n")
    except PackageError as error:
        sys.exit(f"The engine of Debian's unstable suite cannot be fetched: {error}")
