"""Build two good versions of the instrumented bot, and bad ones: one never starts, one becomes unhealthy.

That of the release before is as it was shipped.
"""

import io
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker

from testbed.bot_image import bot_image, build_bot_image
from testbed.engine import Engine
from testbed.home_stack import IMAGE
from testbed.release_before import unpack_release_before
from testbed.sample import sample_image
from tools.campaigns.instrumented.unhealthy import ILL

CAMPAIGNS = Path(__file__).resolve().parents[1]
PLACE = "/opt/bot"
GOOD = ("v1", "v2")
BAD = "bad"
BEFORE = "before"
STORE = "store"
INSTRUMENTED = ["python", "-m", "tools.campaigns.instrumented"]
COMMANDS = {
    **dict.fromkeys(GOOD, INSTRUMENTED),
    ILL: [*INSTRUMENTED, ILL],
    BAD: ["/bin/sh", "-c", "echo 'cannot go on' >&2; exit 3"],
}


def make_images(
    engine: Engine, client: docker.DockerClient, commands: Mapping[str, Sequence[str] | None] = COMMANDS
) -> None:
    """Make the bot as it is today, every version of it, and of the store; without a command it is as it ships."""
    base = f"{IMAGE}:base"
    bot_image(engine, base, version="campaign")
    for version, command in commands.items():
        _commit(client, base, f"{IMAGE}:{version}", command)
        sample_image(client, f"{STORE}:{version}", version=version)


def add_instruments(client: docker.DockerClient, tag: str, command: Sequence[str]) -> None:
    """Let the bot's image of a tag be an instrumented one that runs another command."""
    _commit(client, tag, tag, command)


def make_release_before(engine: Engine, client: docker.DockerClient) -> None:
    """Make the bot of the release before by its own Dockerfile. Raises ReleaseBeforeMissingError."""
    with tempfile.TemporaryDirectory(prefix="roas-before-") as folder:
        build_bot_image(engine, f"{IMAGE}:{BEFORE}", version=BEFORE, source=unpack_release_before(Path(folder)))
    sample_image(client, f"{STORE}:{BEFORE}", version=BEFORE)


def _commit(client: docker.DockerClient, base: str, tag: str, command: Sequence[str] | None) -> None:
    """Make an image of the bot's that runs a command with its instruments; without one it is as it ships."""
    shipped = client.images.get(base).attrs["Config"]
    repository, _, version = tag.rpartition(":")
    container = client.containers.create(base, entrypoint=["/bin/true"])
    try:
        if command is not None:
            container.put_archive(PLACE, _instruments())
        changes = [
            f"ENTRYPOINT {json.dumps(shipped['Entrypoint'])}",
            f"CMD {json.dumps([*(shipped['Cmd'] if command is None else command)])}",
            f"LABEL org.opencontainers.image.version={version}",
        ]
        container.commit(repository, version, changes=changes)
    finally:
        container.remove(force=True)


def _instruments() -> bytes:
    instruments = sorted((CAMPAIGNS / "instrumented").glob("*.py"))
    files = [CAMPAIGNS.parent / "__init__.py", CAMPAIGNS / "__init__.py", *instruments]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            info = tarfile.TarInfo(str(path.relative_to(CAMPAIGNS.parents[1])))
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
