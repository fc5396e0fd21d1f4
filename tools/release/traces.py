"""Find in what is released the traces of the machine that made it: its paths, and where its packages come from."""

import os
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX")
HOST = re.compile(r"https?://(?:[^/@\s'\"]+@)?([^/:\s'\"]+)")
PUBLIC = {"pypi.org", "files.pythonhosted.org", "test.pypi.org"}
SHORTEST = 6  # a shorter path, such as `/app` or `/root`, may stand anywhere for good reasons


def traces(root: Path, environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the texts that nothing released may hold."""
    paths = {str(root), str(Path.home()), sys.prefix, tempfile.gettempdir() + "/roas-release"}
    names = {socket.gethostname()} - {"localhost"}
    return {path for path in paths | names | _index_hosts(environ) if len(path) >= SHORTEST}


def found_in(path: Path, unwanted: Iterable[str]) -> Iterator[str]:
    """Yield what is found in an archive's files or names, or in a plain file."""
    wanted = [(item, item.encode()) for item in unwanted]
    for name, content in _files(path):
        for text, raw in wanted:
            if raw in content or text in name:
                yield f"{path.name}: {name} holds {text!r}, which belongs to this machine"


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(path) as packed:
            for member in packed:
                stream = packed.extractfile(member) if member.isfile() else None
                yield member.name, stream.read() if stream is not None else member.linkname.encode()
    else:
        yield path.name, path.read_bytes()


def _index_hosts(environ: Mapping[str, str]) -> set[str]:
    """Return the hosts that packages come from here, as pip and uv are told."""
    told = " ".join(environ.get(name, "") for name in INDEX_VARIABLES)
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    return set(HOST.findall(f"{told} {pip}")) - PUBLIC
