"""Judge the paths that a stack names: what it may bind, read and build from."""

import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.docker.engine import engine_address
from roas.stack.model.services import services_of
from roas.stack.policy.power import READS, Power
from roas.stack.sources.opening import is_there, resolve
from roas.stack.sources.withheld import REPOSITORY, Withheld

DOCKER_SOCKETS = (Path("/var/run/docker.sock"), Path("/run/docker.sock"))
MOST_LINKS = 40
# The folders in an option of a volume, such as `lowerdir=/a:/b,upperdir=/c`; those of NFS are another machine's.
DIRECTORIES = re.compile("dir=([^,]*)")
# Here sockets and processes are: who may only read such a place still talks to them, and reaches their files.
ACTING = (Path("/run"), Path("/proc"))
SOCKETS = frozenset({".sock", ".socket"})
# Of a read-only bind: what is mounted below it may be written all the same.
WRITABLE_BELOW = "writable"
# To read the time of the host is no power.
PUBLIC_FILES = frozenset({"/etc/localtime", "/etc/timezone"})


# A folder of the host, links resolved, and a service or a container that may write it.
Written = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class Places:
    """Hold the paths that a stack may use, and the `folders` of the host that its volumes are made of.

    `writable` names who may write a folder, each once. `bots` are the services which are the bot, from which nothing is
    kept.
    """

    folder: Path
    withheld: Withheld
    sockets: tuple[Path, ...]
    writable: Mapping[Path, Collection[str]]
    copies: Path | None = None
    bots: frozenset[str] = frozenset()
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Mapping[str, Any],
        environment: Environment,
        withheld: Withheld,
        written_by_others: Iterable[Written] = (),
        copies: Path | None = None,
        bots: frozenset[str] = frozenset(),
        held: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> "Places":
        """Read from a model what its containers may write, besides what existing containers already may.

        `copies` is where our own copies of its files are kept, which a stored model binds read-only; `held` are the
        options of its volumes that exist already.
        """
        folders = _folders(model, held)
        written = ((path, who) for path, who in _writable(model, folders) if who not in bots)
        writable: dict[Path, dict[str, None]] = {}
        for path, who in (*written, *written_by_others):
            writable.setdefault(path, {})[who] = None
        return cls(resolve(environment.folder), withheld, _sockets(environment), writable, copies, bots, folders)

    def judge_bind(
        self, who: str, source: str, does: str, *, name: str = "", read_only: bool = False
    ) -> Iterator[Power]:
        """Find what is wrong with a path that reaches a container: symbolic links count as where they lead.

        `who` says in words what has it, `name` what its entries are called, where that is another.
        """
        if read_only and (source in PUBLIC_FILES or self._is_copy(source)):
            return
        path = resolve(Path(source))
        if read_only and does == READS and _acts(path):
            does = said("binds")
        # The entries for these two say it all.
        is_named = path in self.sockets or self.withheld.owns(path)
        if not path.is_relative_to(self.folder) and not is_named:
            yield Power(
                said("{who} {does} {source}, outside the stack's folder", who=who, does=does, source=source),
                f"bind:{path}",
            )
        if any(socket.is_relative_to(path) for socket in self.sockets):
            yield Power(
                said("{who} {does} {source}, which gives it the engine's socket", who=who, does=does, source=source),
                f"docker_socket:{name or who}",
            )
        if not read_only and who not in self.bots and (repository := repository_at(path)) is not None:
            text = said(
                "{who} {does} {source}, and may write {repository}: what it writes there runs on the host by the next "
                "`git` command",
                who=who,
                does=does,
                source=source,
                repository=repository,
            )
            yield Power(text, f"replaceable:{repository}")
        # What is bound read-only is copied without what is withheld.
        yield from self.judge_withheld(who, source, does, name=name, with_what_is_in_it=not read_only)
        yield from self.judge_replaceable(who, source, does)

    def judge_withheld(
        self, who: str, source: str, does: str, *, name: str = "", with_what_is_in_it: bool = True
    ) -> Iterator[Power]:
        """Find a path that leads into what the bot or another environment has for itself, or that holds it."""
        path = resolve(Path(source))
        found = path if self.withheld.owns(path) else None
        if found is None and with_what_is_in_it:
            found = self.withheld.within(path)
        if found is not None:
            text = said(
                "{who} {does} {source}, which gives it {found}: the bot's own or another environment's",
                who=who,
                does=does,
                source=source,
                found=found,
            )
            yield Power(text, f"state_dir:{name or who}")

    def judge_read(self, who: str, source: Path, does: str) -> Iterator[Power]:
        """Find a file that is read at every deployment, and that a container could write or replace."""
        target = resolve(source)
        for folder in (target, *target.parents):
            for other in self.writable.get(folder, ()):
                yield Power(
                    said(
                        "{who} {does} {source}, which {other} may write",
                        who=who,
                        does=does,
                        source=source,
                        other=other,
                    ),
                    f"replaceable:{_plain(source)}",
                )
        yield from self.judge_replaceable(who, str(source), does)

    def judge_checkout(self, who: str, source: str, secret: str = "") -> Iterator[Power]:
        """Find a path of which whoever changes the stack's folder could make a link to anywhere, after it was judged.

        The engine looks a path up again whenever it starts the container, without asking anybody.
        """
        if source in PUBLIC_FILES or not is_replaceable(Path(source), self.folder):
            return
        text = said(
            "{who} binds {source}, of which a checkout of the stack's folder may make a link to anywhere",
            who=who,
            source=source,
        )
        if secret:
            text = said(
                "{name} has the secret {secret} from {source} itself, which a checkout may replace",
                name=who,
                secret=secret,
                source=source,
            )
        yield Power(text, f"replaceable:{_plain(Path(source))}")

    def judge_live(self, who: str, source: str, *, reads: bool) -> Iterator[Power]:
        """Find a path of the stack's folder that is bound from where it lies: it may become something else.

        What a container writes in a working copy a commit can make a submodule, whose settings the next `git status`
        reads on the host.
        """
        path = resolve(Path(source))
        if not path.is_relative_to(self.folder):
            return
        if reads:
            text = said("{name} {does} {source} from where it lies", name=who, does=said("reads"), source=source)
            yield Power(text, f"bind:{path}")
        elif repository_at(path) is None and any(is_there(folder / REPOSITORY) for folder in path.parents):
            text = said("{name} {does} {source}, in a working copy of git", name=who, does=said("binds"), source=source)
            yield Power(text, f"replaceable:{path}")

    def _is_copy(self, source: str) -> bool:
        return self.copies is not None and Path(source).parent == self.copies

    def judge_replaceable(self, who: str, source: str, does: str) -> Iterator[Power]:
        """Find a path of which a container could make a link to anywhere, after it was judged here."""
        folders = (folder for entry in visited(Path(source)) for folder in entry.parents)
        if (folder := next((folder for folder in folders if folder in self.writable), None)) is not None:
            text = said(
                "{who} {does} {source}, of which {other} may make a link to anywhere: it writes {path}",
                who=who,
                does=does,
                source=source,
                other=next(iter(self.writable[folder])),
                path=folder,
            )
            yield Power(text, f"replaceable:{_plain(Path(source))}")


def only_reads(volume: Mapping[str, Any]) -> bool:
    """Return whether a mount of a service only reads, also what is mounted below it."""
    return volume.get("read_only") is True and (volume.get("bind") or {}).get("recursive") != WRITABLE_BELOW


def _acts(path: Path) -> bool:
    """Return whether a resolved path is a socket, or where such are, or the processes of the machine."""
    if path.suffix in SOCKETS or any(path.is_relative_to(place) for place in ACTING):
        return True
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:  # nothing that can be looked at from here
        return False


def repository_at(path: Path) -> Path | None:
    """Return the repository's own folder that a path holds or lies in."""
    if REPOSITORY in path.parts:
        return Path(*path.parts[: path.parts.index(REPOSITORY) + 1])
    return path / REPOSITORY if is_there(path / REPOSITORY) else None


def is_replaceable(source: Path, writable: Path) -> bool:
    """Return whether a user who can write in a folder can redirect a path; the folder itself is out of reach."""
    return any(place != writable and place.is_relative_to(writable) for place in visited(source))


def visited(source: Path) -> Iterator[Path]:
    """Walk over every entry that is looked up on the way to where a path leads, links followed."""
    pending = list(reversed(source.absolute().parts[1:]))
    here = Path("/")
    links = 0
    while pending and links <= MOST_LINKS:
        part = pending.pop()
        if part in {"..", "."}:
            here = here.parent if part == ".." else here
            continue
        entry = here / part
        yield entry
        target = _link(entry)
        if target is not None:
            links += 1
            here = Path("/") if target.is_absolute() else here
            pending += [step for step in reversed(target.parts) if step != "/"]
        else:
            here = entry


def _plain(source: Path) -> Path:
    """Name a path so that it can be compared: with a `..` in it, only where it leads says where it is."""
    return resolve(source) if ".." in source.parts else source.absolute()


def _link(entry: Path) -> Path | None:
    try:
        return entry.readlink()
    except OSError:  # no link, or nothing that can be looked at from here
        return None


def _writable(model: Mapping[str, Any], folders: Mapping[str, tuple[str, ...]]) -> Iterator[Written]:
    for name, service in services_of(model).items():
        for volume in service.get("volumes") or ():
            source = str(volume.get("source") or "")
            paths = (source,) if volume.get("type") == "bind" else folders.get(source, ())
            if not only_reads(volume):
                yield from ((resolve(Path(path)), name) for path in paths if path.startswith("/"))


def _folders(model: Mapping[str, Any], held: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the folders of the host that volumes are made of, by what the model says and by what they are already."""
    found: dict[str, tuple[str, ...]] = {}
    for name, definition in (model.get("volumes") or {}).items():
        options = (*((definition or {}).get("driver_opts") or {}).values(), *held.get(name, {}).values())
        texts = [str(option or "") for option in options]
        texts += [part for text in texts for parts in DIRECTORIES.findall(text) for part in parts.split(":")]
        found[name] = tuple(text for text in texts if text.startswith("/"))
    return found


def _sockets(environment: Environment) -> tuple[Path, ...]:
    address = engine_address(environment)
    own = (Path("/" + address.partition("://")[2].lstrip("/")),) if "unix://" in address else ()
    return tuple({path for socket in (*DOCKER_SOCKETS, *own) for path in (socket, resolve(socket))})
