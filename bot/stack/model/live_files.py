"""Bind the files of a proxy from places that stay the same from release to release.

So a change of their content alone replaces no container: the proxy that runs reads them again. Which content belongs
there is in the release (`x-deploy.live`), and what was read is noted beside.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.model.services import LIVE, services_of
from roas.stack.sources.contents import SECRET_PREFIX

PREFIX, READ = "live-", ".read"
# What passes signals on to the program that it starts.
INITS = frozenset({"docker-init", "tini", "dumb-init"})
# What the images of HAProxy start it by: it becomes HAProxy, whatever options or program it is given.
ENTRYPOINT = "docker-entrypoint.sh"


def services_with_live_files(model: Mapping[str, Any], proxies: Iterable[ServiceProxy]) -> frozenset[str]:
    """Return the services that can read their files again: known by their image, also once nothing is behind them."""
    named = {proxy.service for proxy in proxies if proxy.kind is ProxyKind.HAPROXY}
    return frozenset(
        name
        for name, service in services_of(model).items()
        if (program := program_of(service) or ("haproxy" if name in named else ""))
        and (program != "haproxy" or _may_run_haproxy(service))
    )


def _may_run_haproxy(service: Mapping[str, Any]) -> bool:
    """Return whether nothing else than HAProxy is started, as far as the service says it: its image says the rest."""
    entrypoint, command = service.get("entrypoint"), service.get("command") or ()
    if entrypoint is None and not command:
        return True
    return haproxy_program([*([ENTRYPOINT] if entrypoint is None else entrypoint), *command]) is not None


def haproxy_program(argv: Sequence[str]) -> int | None:
    """Return where the options of HAProxy begin in what a container runs; None where another program runs.

    A script may write what HAProxy reads, and does so only when the container starts.
    """
    names = [PurePosixPath(word).name for word in argv]
    at = 0
    if names[:1] and names[0] in INITS:
        at = names.index("--") + 1 if "--" in names else 1
    if names[at : at + 1] == [ENTRYPOINT]:
        at += 1
        if len(argv) > at and argv[at].startswith("-"):
            return at
    return at + 1 if names[at : at + 1] == ["haproxy"] else None


def program_of(service: Mapping[str, Any]) -> str:
    """Return which proxy a service runs, by the name of its image; empty where that says nothing."""
    image = str(service.get("image") or "").rpartition("/")[2].partition(":")[0]
    return next((program for program in ("haproxy", "caddy") if program in image), "")


def with_live_files(model: Mapping[str, Any], names: Collection[str], owner: str, store: Path) -> dict[str, Any]:
    """Return a model whose proxies bind kept files at places that stay the same; the model says what belongs there.

    `owner` names the stack apart from all others that the bot has: two engines may have projects of one name.
    """
    services = dict(services_of(model))
    for name, service in services.items():
        live: dict[str, str] = {}
        volumes = []
        for volume in service.get("volumes") or ():
            kept = Path(str(volume.get("source") or ""))
            is_public = kept.parent == store and not kept.name.startswith(SECRET_PREFIX) and kept.is_file()
            if is_public and name in names:
                place = hashlib.sha256(f"{owner}\0{name}\0{volume['target']}".encode()).hexdigest()[:32]
                volume = {**volume, "source": str(store / f"{PREFIX}{place}")}
                live[volume["source"]] = str(kept)
            volumes.append(volume)
        if live:
            extension = {**(service.get("x-deploy") or {}), LIVE: live}
            services[name] = {**service, "volumes": volumes, "x-deploy": extension}
    return {**model, "services": services}


class LiveFiles:
    """Keep what the proxies of all environments read, below the folder of kept contents."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def is_unread(self, service: Mapping[str, Any]) -> bool:
        """Return whether a service is to read another content than it has; without a place, nothing binds it yet."""
        return any(place.exists() and _read(_mark(place)) != kept.name.encode() for place, kept in self.of(service))

    def note_all(self, services: Iterable[Mapping[str, Any]]) -> None:
        """Note that containers which were just made read what lies in their places."""
        for service in services:
            self.note_read(service)

    def note_read(self, service: Mapping[str, Any]) -> None:
        """Note that a service has read what lies in its places."""
        for place, kept in self.of(service):
            _mark(place).write_bytes(kept.name.encode())

    def put_all(self, services: Iterable[Mapping[str, Any]]) -> None:
        """Put the content of services' files in their places, for containers that are about to be made."""
        for service in services:
            self.put(service)

    def put(self, service: Mapping[str, Any]) -> None:
        """Put the content of a service's files in their places."""
        for place, kept in self.of(service):
            content = kept.read_bytes()
            if _read(place) == content:
                continue
            _mark(place).unlink(missing_ok=True)
            # The same file: a container has that bound, and not its name.
            with place.open("r+b" if place.exists() else "xb") as file:
                file.write(content)
                file.truncate()
            status = kept.stat()
            place.chmod(status.st_mode & 0o777)
            with suppress(PermissionError):  # only root may give a file away
                os.chown(place, status.st_uid, status.st_gid)

    def of(self, service: Mapping[str, Any]) -> Iterator[tuple[Path, Path]]:
        """Yield the places of a service's files, each with the kept content that belongs there."""
        live = (service.get("x-deploy") or {}).get(LIVE)
        for place, kept in live.items() if isinstance(live, Mapping) else ():
            if Path(place).parent == Path(kept).parent == self._store and Path(place).name.startswith(PREFIX):
                yield Path(place), Path(kept)


def _mark(place: Path) -> Path:
    return place.with_name(place.name + READ)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
