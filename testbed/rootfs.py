"""Build the root file system of a small image: a static busybox, programs with the libraries they need, and files."""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

APPLETS = (
    *(
        "[",
        "basename",
        "cat",
        "chmod",
        "cp",
        "cut",
        "date",
        "dirname",
        "echo",
        "env",
        "expr",
        "false",
        "find",
        "grep",
        "head",
    ),
    *("hostname", "httpd", "id", "kill", "ln", "ls", "mkdir", "mv", "nc", "nslookup", "ping", "printf", "ps", "pwd"),
    *("rm", "sed", "sh", "sleep", "sort", "stat", "sync", "tail", "tar", "test", "touch", "tr", "true", "uname"),
    *("wc", "wget", "which"),
)


@dataclass(frozen=True)
class File:
    """A file of an image."""

    content: bytes
    mode: int = 0o644


@dataclass
class Rootfs:
    """A root file system, gathered in memory and written as a tar."""

    files: dict[str, File] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add_folder(self, path: str, uid: int, gid: int) -> None:
        """Add a folder with an owner; a new volume that is mounted there gets the same owner."""
        self.owners[path.strip("/")] = (uid, gid)

    def add(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self.files[path.lstrip("/")] = File(content.encode() if isinstance(content, str) else content, mode)

    def add_busybox(self, busybox: Path) -> None:
        """Add a static busybox and links for its applets."""
        self.add("bin/busybox", busybox.read_bytes(), 0o755)
        self.links |= {f"bin/{applet}": "busybox" for applet in APPLETS}

    def add_program(self, name: str) -> None:
        """Add a program of this machine, under /usr/bin, and every library that it loads."""
        found = shutil.which(name)
        if found is None:
            raise FileNotFoundError(f"{name} is not installed: run script/bootstrap --test")
        self.add(f"usr/bin/{name}", Path(found).read_bytes(), 0o755)
        for library in libraries_of(Path(found)):
            self.add(str(library), library.read_bytes(), 0o755)

    def tar(self) -> bytes:
        """Return the file system as a tar; the same content gives the same bytes."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
            named = {*self.owners, "tmp", "etc"}
            for folder in sorted(named | _parents([*self.files, *self.links, *named])):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                entry.uid, entry.gid = self.owners.get(folder, (0, 0))
                archive.addfile(entry)
            for path, file in sorted(self.files.items()):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(file.content), file.mode
                archive.addfile(entry, io.BytesIO(file.content))
            for path, target in sorted(self.links.items()):
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                archive.addfile(entry)
        return out.getvalue()


def libraries_of(program: Path) -> list[Path]:
    """Return the libraries that a program loads, its loader among them."""
    output = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False, timeout=30).stdout
    return [Path(match) for match in re.findall(r"(/\S+) \(0x", output)]


def is_static(program: Path) -> bool:
    """Return whether a program runs in an empty root."""
    return not libraries_of(program)


def changes(settings: Mapping[str, str | Iterable[str]]) -> list[str]:
    """Return the Dockerfile instructions that give an imported image its settings."""
    lines: list[str] = []
    for instruction, values in settings.items():
        lines += [f"{instruction} {value}" for value in ([values] if isinstance(values, str) else values)]
    return lines


def _parents(paths: Iterable[str]) -> set[str]:
    return {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}
