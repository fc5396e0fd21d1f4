"""Good versions of the bot, and some that are bad in one way each, made in a moment: only how they start differs."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

import docker

SICK = "/tmp/sick"
# A whole bot, well and connected, which makes nothing of the journal once it has come up.
BLIND = """
import sqlite3, sys
from roas.cli import run_command_line
from roas.http.server import HttpServer
from roas.state.journal.journal import Journal
start = HttpServer.start
def refuse(*arguments):
    raise sqlite3.DatabaseError("file is not a database")
async def start_and_go_blind(server):
    await start(server)
    Journal._transact = refuse
HttpServer.start = start_and_go_blind
sys.exit(run_command_line([]))
"""
# A bot of a time before there were hotfixes.
EARLIER = """
import sys
from roas.cli import run_command_line
from roas.cogs.deployment import DeploymentCog
commands = DeploymentCog.__cog_app_commands__
DeploymentCog.__cog_app_commands__ = [one for one in commands if one.name != "hotfix"]
sys.exit(run_command_line([]))
"""
# A bot that is stopped between its fence check and its engine call, when it removes the one that it took over from.
STALLS = """
import os, signal, sys
from roas.cli import run_command_line
from roas.stack.updating.deployment_manager import DeploymentManager
remove = DeploymentManager.remove_containers
async def stop_and_remove(*arguments):
    os.kill(os.getpid(), signal.SIGSTOP)
    await remove(*arguments)
DeploymentManager.remove_containers = stop_and_remove
sys.exit(run_command_line([]))
"""
CHECK = f"""#!/bin/sh
[ ! -e {SICK} ] || {{ echo "I feel sick"; exit 1; }}
exec healthcheck.real
"""
BOT = "exec /usr/local/bin/entrypoint roas"
STARTS = {
    "v1": BOT,
    "v2": BOT,
    "exits": 'echo "bad bot: cannot go on" >&2; exit 3',
    "deaf": f"DISCORD_GATEWAY_URL=ws://127.0.0.1:9 {BOT}",
    "blind": "exec /usr/local/bin/entrypoint python /usr/local/bin/blind.py",
    "earlier": "exec /usr/local/bin/entrypoint python /usr/local/bin/earlier.py",
    "stalls": "exec /usr/local/bin/entrypoint python /usr/local/bin/stalls.py",
}


def make_versions(client: docker.DockerClient, base: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Make a version under each tag that starts in its own way, and return the images' ids by tag."""
    container = client.containers.create(base, entrypoint=["/bin/true"])
    try:
        real = container.get_archive("/usr/local/bin/healthcheck")[0]
        container.put_archive("/usr/local/bin", _files(b"".join(real)))
        return {tag: _commit(container, tag, start) for tag, start in tags.items()}
    finally:
        container.remove(force=True)


def _commit(container: Any, tag: str, start: str) -> str:
    repository, _, version = tag.partition(":")
    entry = json.dumps(["/bin/sh", "-c", STARTS[start]])
    image = container.commit(repository, version, changes=[f"ENTRYPOINT {entry}", "CMD []"])
    return str(image.attrs["Id"])


def _files(real: bytes) -> bytes:
    """Put a health check that can be made to fail in front of the real one, and the programs beside it."""
    with tarfile.open(fileobj=io.BytesIO(real)) as archive:
        member = archive.extractfile("healthcheck")
        assert member is not None
        content = member.read()
    buffer = io.BytesIO()
    written = {
        "healthcheck": CHECK,
        "blind.py": BLIND,
        "earlier.py": EARLIER,
        "stalls.py": STALLS,
    }
    files = {"healthcheck.real": content, **{name: text.encode() for name, text in written.items()}}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
