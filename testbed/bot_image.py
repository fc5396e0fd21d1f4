"""Build the bot's own image as a person would, with what the build needs to reach a package index from here."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.engine import Engine
from testbed.images import ImageError
from testbed.python_base import python_base

ROOT = Path(__file__).resolve().parents[1]
BUILD_SECONDS = 600
INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def build_bot_image(
    engine: Engine, tag: str, *, version: str = "dev", with_docker: bool = True, source: Path = ROOT
) -> str:
    """Build the image under a tag and return its id; `with_docker` on a base that has Docker's command line already.

    `source` is the folder of the code, of which another release may be taken.
    """
    client = engine.client()
    try:
        base = python_base(client, with_docker=with_docker)
        with tempfile.TemporaryDirectory() as folder, _secrets(Path(folder)) as secrets:
            command = ["docker", "build", "--network", "host", "--tag", tag, *secrets]
            command += ["--build-arg", f"PYTHON_IMAGE={base}", "--build-arg", f"VERSION={version}", str(source)]
            done = subprocess.run(
                command,
                env={**os.environ, "DOCKER_HOST": engine.docker_host, "DOCKER_BUILDKIT": "1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=BUILD_SECONDS,
            )
        if done.returncode != 0:
            raise ImageError(f"the bot's image could not be built:\n{done.stderr[-4000:]}")
        image_id: str = client.images.get(tag).attrs["Id"]
        return image_id
    finally:
        client.close()


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
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    found: dict[str, str] = {}
    for line in said.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in INDEX_SETTINGS:
            found[name] = value.strip("'\"").replace("\\n", "\n    ")
    return found
