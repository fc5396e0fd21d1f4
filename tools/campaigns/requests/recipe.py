"""Stacks with a proxy in front, as the documentation has them; the proxy is asked by its own socket."""

import csv
import io
import re
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "zero-downtime.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
PUBLISHED = '"127.0.0.1:8080:8080"'


def recipe(proxy: str) -> dict[str, str]:
    """Return the files of the page's stack with a proxy, by name."""
    (section,) = (part for part in PAGE.read_text().split("\n## ") if part.startswith(f"With {proxy}\n"))
    return dict(BLOCK.findall(section))


def write_recipe(folder: Path, proxy: str, port: int, **changes: str) -> None:
    """Write the page's stack into a folder, published at another port; `changes` are other texts for those in it."""
    folder.mkdir(exist_ok=True)
    for name, text in recipe(proxy).items():
        for before, after in {PUBLISHED: f'"127.0.0.1:{port}:8080"', **changes}.items():
            text = text.replace(before, after)
        (folder / name).write_text(text)


class AdminSocket:
    """Ask HAProxy as an operator does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_open(self) -> bool:
        """Return whether the proxy listens there."""
        with socket.socket(socket.AF_UNIX) as asked:
            return asked.connect_ex(str(self._path)) == 0

    def ask(self, command: str) -> str:
        """Return the answer to a command."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._path))
            asked.sendall(f"{command}\n".encode())
            parts = []
            while part := asked.recv(65536):
                parts.append(part)
        return b"".join(parts).decode()

    def states(self, backend: str = "web") -> dict[str, tuple[str, str]]:
        """Return the address and the status of each server that has one."""
        text = self.ask(f"show stat {backend} 4 -1").removeprefix("# ")
        rows = list(csv.DictReader(io.StringIO(text)))
        return {row["svname"]: (row["addr"], row["status"]) for row in rows if row["addr"]}

    def set_aside(self) -> list[str]:
        """Return the servers that somebody put into `drain` or `maint`."""
        lines = [line.split() for line in self.ask("show servers state").splitlines()]
        return [f"{line[1]}/{line[3]}" for line in lines if len(line) > 6 and line[0].isdigit() and int(line[6]) & 0x09]
