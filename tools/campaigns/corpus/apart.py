"""Run in namespaces of one's own: what stacks bind and publish is made there, and nothing of it on the machine.

Stacks bind `/var/run/docker.sock` and `/mnt/media`, and publish port 80. Docker makes each missing folder, and a port
may be held by somebody else.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.network import RUN_FOLDER

MARK = "ROAS_CORPUS_APART"
# The folders that stacks reach into; in them, what is new lies in memory.
OVERLAID = ("/etc", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/usr", "/var/lib")
OUR_RUN = Path("/run")
SOCKET = OUR_RUN / "docker.sock"


def go_apart() -> None:
    """Become a process with mounts and a network of its own, unless this is one already."""
    if os.environ.get(MARK) == "1":
        _prepare()
        return
    os.environ[MARK] = "1"
    command = ["unshare", "--mount", "--net", "--propagation", "private"]
    os.execvp(command[0], [*command, sys.executable, "-m", "tools.campaigns.corpus", *sys.argv[1:]])  # noqa: S606


def _prepare() -> None:
    """Give the namespaces what programs look for: a loopback, a `/run`, folders that may be written."""
    os.environ.pop(MARK)
    _run("ip", "link", "set", "lo", "up")
    _run("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
    # A bind of `/` with propagation is only taken from a mount that has some.
    _run("mount", "--make-rshared", "/")
    RUN_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whoever has a slot must be known to all: an engine that is left over, and only that, is ended by it.
    with tempfile.TemporaryDirectory(prefix="roas-slots-") as slots:
        _run("mount", "--bind", str(RUN_FOLDER), slots)
        known = RUN_FOLDER.stat().st_ino
        _run("mount", "-t", "tmpfs", "corpus", str(OUR_RUN))
        RUN_FOLDER.mkdir(mode=0o700)
        _run("mount", "--bind", slots, str(RUN_FOLDER))
        _run("umount", slots)
    if RUN_FOLDER.stat().st_ino != known:
        raise RuntimeError(f"{RUN_FOLDER} is not the one that everybody has")
    for number, folder in enumerate(OVERLAID):
        own = OUR_RUN / "corpus" / str(number)
        (own / "upper").mkdir(parents=True)
        (own / "work").mkdir()
        options = f"lowerdir={folder},upperdir={own}/upper,workdir={own}/work"
        _run("mount", "-t", "overlay", "corpus", "-o", options, folder)


def show_socket(docker_host: str) -> None:
    """Show an engine where everybody looks for it."""
    SOCKET.touch()
    _run("mount", "--bind", docker_host.removeprefix("unix://"), str(SOCKET))


def hide_socket() -> None:
    """Show no engine there any more: one that starts again makes another socket."""
    subprocess.run(["umount", str(SOCKET)], check=False, timeout=30, capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)
