"""A version of the bot that does all as it should, but for one thing: it takes over and then does not listen."""

import io
import tarfile

import docker

UNRESPONSIVE_SECONDS = 6
# Python reads this at its start, before the bot.
CODE = f"""
import asyncio
from roas.state.leadership import Leadership

gain = Leadership.gain
Leadership.gain = lambda one: asyncio.get_running_loop().call_later({UNRESPONSIVE_SECONDS}, gain, one) and None
"""


def unresponsive_image(client: docker.DockerClient, good: str, tag: str) -> str:
    """Build it from a good version, under a tag, and return the image's id."""
    container = client.containers.create(good)
    try:
        container.put_archive("/opt/bot", _tar("sitecustomize.py", CODE))
        repository, _, version = tag.rpartition(":")
        return str(container.commit(repository, version).attrs["Id"])
    finally:
        container.remove(force=True)


def _tar(name: str, text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text.encode()), 0o644
        archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()
