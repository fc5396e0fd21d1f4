"""Find out whether a check of a proxy's configuration could run what nobody has confirmed.

A file that is bound over the program or a library, Lua and modules that HAProxy is told to load: each would run for a
plan, with the secrets of the stack, and print them. So the container that is asked has what the one that runs has, but
for the configuration, what lies beside that, and secrets.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from roas.stack.model.live_files import haproxy_program
from roas.stack.model.services import MOUNTED_SECRETS

# What HAProxy runs, or loads, since its configuration says so; and what hides such a word from who looks for it.
PROGRAMS = (b"lua-", b"ssl-engine", b"ssl-provider", b"module-")
SPELLED = frozenset(b"\"'\\$")
BINARY = (b"\x7fELF", b"#!")
CADDY_FILES = frozenset({"--config", "-c"})
BESIDE = re.compile("haproxy|caddy")


def brings_a_program(
    argv: list[str], service: Mapping[str, Any], live: Mapping[Path, Path], running: Mapping[str, Any]
) -> bool:
    """Return whether a check could run what nobody has confirmed: by what is bound, or by what HAProxy is told.

    What the container that runs has not may be its configuration, what lies beside that, and secrets.
    """
    named, is_caddy = _configuration_files(argv), any("caddy" in part for part in argv[:2])
    targets = [PurePosixPath(target) for _, target in bound_by(service)]
    if not named or not all(any(file.is_relative_to(target) for target in targets) for file in named):
        return True
    beside = {file.parent for file in named if BESIDE.search(file.parent.name)}
    places = {*named, *beside, PurePosixPath(MOUNTED_SECRETS)}
    there = {
        str(mount["Destination"]): Path(mount["Source"]) for mount in running.get("Mounts") or () if "Source" in mount
    }
    for source, target in bound_by(service):
        copy = live.get(source, source)
        contents = [path.read_bytes() for path in _files(copy)]
        if not is_caddy and any(_runs_programs(content) for content in contents):
            return True
        if there.get(target) == source and (copy == source or _files_equal(copy, source)):
            continue
        is_placed = any(PurePosixPath(target).is_relative_to(place) for place in places)
        if not is_placed or any(content.startswith(BINARY) for content in contents):
            return True
    return False


def _configuration_files(argv: list[str]) -> list[PurePosixPath]:
    """Return the files that a proxy is told to read; none where that is not seen."""
    options_from = haproxy_program(argv)
    options, names = (argv, CADDY_FILES) if options_from is None else (argv[options_from:], {"-f"})
    files = [PurePosixPath(file) for option, file in pairwise(options) if option in names]
    return files if all(file.is_absolute() and ".." not in file.parts for file in files) and "--" not in options else []


def _runs_programs(content: bytes) -> bool:
    """Return whether a line of a configuration begins with what loads a program, or could in another spelling."""
    words = (line.split(None, 1)[0] for line in content.splitlines() if line.strip())
    return any(word.startswith(PROGRAMS) or not SPELLED.isdisjoint(word) for word in words if word[:1] != b"#")


def _files(copy: Path) -> Iterator[Path]:
    found = [copy] if copy.is_file() else copy.rglob("*")
    yield from (path for path in found if path.is_file() and not path.is_symlink())


def _files_equal(copy: Path, place: Path) -> bool:
    """Return whether what lies in the place of a file is what belongs there."""
    return place.is_file() and copy.read_bytes() == place.read_bytes()


def bound_by(service: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield what a service binds, and where."""
    for volume in service.get("volumes") or ():
        if volume.get("type") == "bind":
            yield Path(volume["source"]), posixpath.normpath(str(volume["target"]))
