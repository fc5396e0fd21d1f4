"""A base image with Python and Docker's command line: a registry's where one answers, else of Debian's packages."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import docker

from testbed.cache import cached, recipe_hash
from testbed.images import ImageError, has_image, import_image, pull_if_reachable
from testbed.unstable_engine import chosen_folder

REGISTRY_IMAGE = "python:3.13-slim-trixie"
LOCAL_IMAGE = "roas-testbed/python"
SUITE = "trixie"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
DOCKER_PACKAGES = ("docker-cli", "docker-compose", "git", "openssh-client", "restic")
OPTIONS = ("--variant=minbase", "--format=tar", "--dpkgopt=path-exclude=/usr/share/doc/*")
MAKE_SECONDS = 600


def python_base(client: docker.DockerClient, *, with_docker: bool = True) -> str:
    """Return the tag of a Python base image that this engine has now; a registry's is always without Docker's."""
    newer = chosen_folder() if with_docker else None
    packages = (*PACKAGES, *DOCKER_PACKAGES) if with_docker and newer is None else PACKAGES
    options = (*OPTIONS, *_copies(newer)) if newer else OPTIONS
    recipe = recipe_hash(SUITE, *packages, *options)
    tag = f"{LOCAL_IMAGE}:{recipe}"
    if has_image(client, tag):
        return tag
    if newer is None and (has_image(client, REGISTRY_IMAGE) or pull_if_reachable(client, REGISTRY_IMAGE)):
        return REGISTRY_IMAGE
    tar = cached(f"python-{recipe}.tar", lambda out: make_root(packages, options, out))
    import_image(client, tar, tag, CMD='["python3"]', ENV="LANG=C.UTF-8")
    return tag


def _copies(newer: Path) -> tuple[str, ...]:
    """Copy the chosen programs into the base, so that the bot in its container uses the engine's own command line."""
    programs = newer / "root" / "usr"
    pairs = (("bin/docker", "/usr/bin"), ("libexec/docker/cli-plugins", "/usr/libexec/docker"))
    made = "--customize-hook=mkdir -p $1/usr/libexec/docker"
    links = "--customize-hook=ln -sf ../libexec/docker/cli-plugins/docker-compose $1/usr/bin/docker-compose"
    return (made, *(f"--customize-hook=copy-in {programs / source} {target}" for source, target in pairs), links)


def make_root(packages: Sequence[str], options: Sequence[str], out: Path) -> None:
    """Make the root file system of Debian's packages, as a tar archive. Raises ImageError."""
    if shutil.which("mmdebstrap") is None:
        raise ImageError("no registry answers, and mmdebstrap is not installed: run script/bootstrap --demo")
    command = ["mmdebstrap", *options, f"--include={','.join(packages)}", SUITE, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAKE_SECONDS)
    if done.returncode != 0:
        raise ImageError(f"no image could be made of Debian's packages:\n{done.stderr[-2000:]}")
