"""Build two good versions of the instrumented bot, one that never starts, and one that becomes unhealthy."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import BinaryIO

import docker

from campaigns.instrumented.unhealthy import ILL
from testbed.bot_image import ROOT, build_bot_image
from testbed.cache import cached, recipe_hash
from testbed.engine import Engine
from testbed.home_stack import IMAGE
from testbed.sample import sample_image

CAMPAIGNS = Path(__file__).resolve().parents[1]
PLACE = "/opt/bot"
GOOD = ("v1", "v2")
BAD = "bad"
STORE = "store"
DOCKER_SECONDS = 300
CODE = """FROM {packages}
RUN rm -rf /opt/bot/roas
COPY bot /opt/bot/roas
COPY cogs /opt/bot/roas/cogs
RUN python -m compileall -q /opt/bot
"""
INSTRUMENTED = ["python", "-m", "campaigns.instrumented"]
COMMANDS = {
    **dict.fromkeys(GOOD, INSTRUMENTED),
    ILL: [*INSTRUMENTED, ILL],
    BAD: ["/bin/sh", "-c", "echo 'cannot go on' >&2; exit 3"],
}


def make_images(engine: Engine, client: docker.DockerClient) -> None:
    """Take the bot's packages from the cache, add today's code, and build every version of it and of the store."""
    tag = f"{IMAGE}:packages"
    packages = cached(f"bot-packages-{_recipe()}.tar", lambda out: _build_packages(engine, tag, out))
    with packages.open("rb") as tar:
        _docker(engine, "load", "--quiet", stdin=tar)
    base = f"{IMAGE}:base"
    _docker(engine, "build", "--tag", base, "--file", "-", str(ROOT), given=CODE.format(packages=tag).encode())
    for version, command in COMMANDS.items():
        container = client.containers.create(base, entrypoint=["/bin/true"])
        try:
            container.put_archive(PLACE, _instruments())
            changes = [
                'ENTRYPOINT ["entrypoint"]',
                f"CMD {json.dumps(command)}",
                f"LABEL org.opencontainers.image.version={version}",
            ]
            container.commit(IMAGE, version, changes=changes)
        finally:
            container.remove(force=True)
        sample_image(client, f"{STORE}:{version}", version=version)


def _recipe() -> str:
    """Hash what the image is made of, without the code."""
    files = [ROOT / "Dockerfile", ROOT / "requirements.lock", *sorted((ROOT / "script").glob("container-*"))]
    return recipe_hash(*(path.read_text() for path in files))


def _build_packages(engine: Engine, tag: str, out: Path) -> None:
    build_bot_image(engine, tag, version="campaign")
    _docker(engine, "save", "--output", str(out), tag)


def _docker(engine: Engine, *arguments: str, stdin: BinaryIO | None = None, given: bytes | None = None) -> None:
    subprocess.run(
        ["docker", *arguments],
        env={**os.environ, "DOCKER_HOST": engine.docker_host, "DOCKER_BUILDKIT": "1"},
        stdin=stdin,
        input=given,
        capture_output=True,
        check=True,
        timeout=DOCKER_SECONDS,
    )


def _instruments() -> bytes:
    files = [CAMPAIGNS / "__init__.py", *sorted((CAMPAIGNS / "instrumented").glob("*.py"))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            info = tarfile.TarInfo(str(path.relative_to(CAMPAIGNS.parent)))
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
