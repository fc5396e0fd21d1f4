"""Fetch the engine and Compose of Debian's unstable suite, to be used beside the installed ones.

`python -m testbed.unstable_engine` prints a folder: `bin` in it goes first on PATH, `config` is for DOCKER_CONFIG,
where Docker's command line finds the newer plugins.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.cache import cached, recipe_hash

FOLDER_VARIABLE = "TESTBED_ENGINE_FOLDER"
IMAGE_STORE_VARIABLE = "TESTBED_IMAGE_STORE"
SUITE = "sid"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.pgp"
PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "runc")
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/libexec/docker")
PLUGIN_FOLDER = "usr/libexec/docker/cli-plugins"
FETCH_SECONDS = 300
INDEX = ("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages")


class UnstableEngineError(RuntimeError):
    """The packages cannot be had; the message says why."""


def unstable_engine() -> Path:
    """Return the folder with the newer programs; fetch them first where they are not here."""
    return cached(f"engine-{SUITE}-{recipe_hash(SUITE, *PACKAGES)}", _fetch)


def chosen_folder() -> Path | None:
    """Return the folder of the engine that this run of the tests has chosen, or None for the installed one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def _fetch(out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        (state / "lists" / "partial").mkdir(parents=True)
        (state / "archives" / "partial").mkdir(parents=True)
        (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n")
        options = (
            f"Dir::Etc::SourceList={state}/sources.list",
            "Dir::Etc::SourceParts=/dev/null",
            f"Dir::State::Lists={state}/lists",
            f"Dir::Cache={state}",
            # The sandbox user of apt cannot enter a temporary folder of ours.
            "APT::Sandbox::User=root",
        )
        apt = ["apt-get", "-qq", *(part for option in options for part in ("-o", option))]
        _run([*apt, "update"], state)
        _run([*apt, "download", *PACKAGES], state)
        (out / "root").mkdir(parents=True)
        for package in sorted(state.glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(out / "root")], state)
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


def _mirror() -> str:
    """Return the mirror that this machine gets Debian from."""
    if shutil.which("apt-get") is None:
        raise UnstableEngineError("this machine has no apt, by which the newer engine comes")
    for line in _run(list(INDEX), Path("/")).splitlines():
        if match := re.fullmatch(r"Debian (https?://\S+)", line.strip()):
            return match[1]
    raise UnstableEngineError("apt names no mirror of Debian on this machine")


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    if done.returncode != 0:
        raise UnstableEngineError(f"{' '.join(command[:2])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{unstable_engine()}\n")
    except UnstableEngineError as error:
        sys.exit(f"The engine of Debian's unstable suite cannot be fetched: {error}")
