"""Build the bot's own image, as a person would or with packages of the cache, and reach a package index from here."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from testbed.cache import cached, recipe_hash
from testbed.engine import Engine
from testbed.images import ImageError, has_image, import_image
from testbed.python_base import LOCAL_IMAGE, python_base

ROOT = Path(__file__).resolve().parents[1]
PACKAGES_IMAGE = "roas-testbed/packages"
BUILD_SECONDS = 600
INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def build_bot_image(
    engine: Engine, tag: str, *, version: str = "dev", source: Path = ROOT, with_docker: bool = True
) -> str:
    """Build the image under a tag and return its id; `source` is the code's folder, maybe of another release.

    `with_docker` chooses a base that has Docker's command line; on another, it comes by apt.
    """
    client = engine.client()
    try:
        base = python_base(client, with_docker=with_docker)
        with tempfile.TemporaryDirectory() as folder, _secrets(Path(folder)) as secrets:
            _build(engine, base, "--tag", tag, "--build-arg", f"VERSION={version}", *secrets, source=source)
        return _image_id(client, tag)
    finally:
        client.close()


def bot_image(engine: Engine, tag: str, *, version: str = "dev") -> str:
    """Build today's code on packages of the cache: a machine installs them once for all its engines."""
    client = engine.client()
    try:
        base = python_base(client)
        packages = f"{PACKAGES_IMAGE}:{_packages_recipe(client, base)}"
        if not has_image(client, packages):
            name = packages.rpartition("/")[2].replace(":", "-")
            import_image(client, cached(f"{name}.tar", lambda out: _install(engine, client, base, out)), packages)
        stage = f"packages=docker-image://docker.io/{packages}"
        given = ["--build-arg", f"VERSION={version}", "--build-context", stage]
        _build(engine, base, "--tag", tag, *given)
        return _image_id(client, tag)
    finally:
        client.close()


def _build(engine: Engine, base: str, *options: str, source: Path = ROOT) -> None:
    done = subprocess.run(
        ["docker", "build", "--network", "host", "--build-arg", f"PYTHON_IMAGE={base}", *options, str(source)],
        env={**os.environ, "DOCKER_HOST": engine.docker_host, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if done.returncode != 0:
        raise ImageError(f"the bot's image could not be built:\n{done.stderr[-4000:]}")


def _image_id(client: docker.DockerClient, tag: str) -> str:
    image_id: str = client.images.get(tag).attrs["Id"]
    return image_id


def packages_recipe(client: docker.DockerClient) -> str:
    """Hash the Dockerfile, the locked packages, and the base that images are built on here."""
    return _packages_recipe(client, python_base(client))


def _packages_recipe(client: docker.DockerClient, base: str) -> str:
    """Hash all that the stage `packages` is made of; a registry's base goes by its digest, which may move."""
    made_of = base if base.startswith(LOCAL_IMAGE) else _image_id(client, base)
    return recipe_hash(made_of, *((ROOT / name).read_text() for name in ("Dockerfile", "requirements.lock")))


def _install(engine: Engine, client: docker.DockerClient, base: str, out: Path) -> None:
    """Run the stage `packages` of the Dockerfile, and write the folder that it makes into a tar."""
    tag = f"{PACKAGES_IMAGE}:made"
    with tempfile.TemporaryDirectory() as folder, _secrets(Path(folder)) as secrets:
        _build(engine, base, "--target", "packages", "--tag", tag, *secrets)
    container = client.containers.create(tag, ["true"])
    try:
        with out.open("wb") as file:
            file.writelines(container.get_archive("/opt")[0])
    finally:
        container.remove(force=True)
        client.images.remove(tag, force=True)


@contextmanager
def _secrets(folder: Path) -> Iterator[list[str]]:
    """Provide this machine's certificates and package index to the build, as secrets that do not stay in the image."""
    arguments: list[str] = []
    certificates = Path(os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or AUTHORITIES)
    if certificates.is_file():
        arguments += ["--secret", f"id=ca,src={certificates}"]
    if settings := _pip_settings():
        path = folder / "pip.conf"
        path.touch(mode=0o600)
        path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        arguments += ["--secret", f"id=pip,src={path}"]
    yield arguments


def _pip_settings() -> dict[str, str]:
    output = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=120
    ).stdout
    found: dict[str, str] = {}
    for line in output.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in INDEX_SETTINGS:
            found[name] = value.strip("'\"").replace("\\n", "\n    ")
    return found
