"""Bind a model's configuration files and secrets from the content store instead of from the working copy."""

import copy
import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from roas.errors import ComposeFileError, unreadable_file
from roas.messages.message import said
from roas.stack.model.services import MOUNTED_SECRETS, services_of
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.opening import is_there, not_regular, resolve
from roas.stack.sources.trees import TooLargeError
from roas.stack.sources.withheld import NOTHING_WITHHELD, Withheld

EXTERNAL_HINT = said(
    "External ones are Swarm's, and Compose cannot use them: name a `file:`, or a variable by `environment:`."
)


class ContentBinder:
    """Bind `configs`, `secrets`, and read-only files and folders of one stack from the content store.

    What a container writes to and what lies outside the stack's folder is data and stays where it is, and so does the
    whole folder of a service from which nothing is `withheld`. The files of `proxies` are kept for a plan, too: they
    are checked for it. `instead` names the content that files have in a release that is promoted, by their path in the
    stack's folder; `bound` names what was bound. A folder with `private` files, of this environment alone, is neither.
    Secrets and configs that are external stay as they are written where the stack is `on_swarm`.
    """

    def __init__(
        self,
        store: ContentStore,
        folder: Path,
        may_bind: Callable[[Path], bool],
        *,
        write: bool,
        proxies: frozenset[str] = frozenset(),
        withheld: Callable[[str], Withheld] = lambda _service: NOTHING_WITHHELD,
        instead: Mapping[str, str] = MappingProxyType({}),
        private: Collection[Path] = (),
        on_swarm: bool = False,
    ) -> None:
        self._store = store
        self._private = private
        self._instead = instead
        self._given = folder.absolute()
        self._folder = folder.resolve()
        self._may_bind = may_bind
        self._write = write
        self._proxies = proxies
        self._withheld = withheld
        self._on_swarm = on_swarm
        self._written_to: tuple[Path, ...] = ()
        self._live: frozenset[Path] = frozenset()
        self.warnings: list[str] = []
        self.bound: dict[str, str] = {}

    def bind_secrets(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model with its secrets bound by content. Raises ComposeFileError for what is no plain file.

        Two kinds stay as Compose binds them, from where they lie: what `live_binds` names, since the host renews it,
        and what the bot's user may not read. The policy judges these. So do those that a Swarm has itself.
        """
        bound: dict[str, Any] = copy.deepcopy(dict(model))
        known = {name: definition or {} for name, definition in (bound.get("secrets") or {}).items()}
        for name, service in services_of(bound).items():
            if not service.get("secrets"):
                continue
            live = live_binds(name, service, model, self._folder)
            kept, volumes = [], list(service.get("volumes") or ())
            # Those of variables first, as it always was: the order counts for what a container is recreated.
            for entry in sorted(service["secrets"], key=lambda entry: "content" not in known.get(entry["source"], {})):
                key = str(entry["source"])
                place = self._secret(name, key, known.get(key, {}), live)
                if place is None:
                    kept.append(entry)
                else:
                    volumes.append(bound_secret(place, str(entry.get("target") or key)))
            fields = {field: value for field, value in service.items() if field != "secrets"}
            fields |= {"secrets": kept} if kept else {}
            bound["services"][name] = {**fields, "volumes": volumes}
        if known:
            bound["secrets"] = {key: item for key, item in bound["secrets"].items() if "content" not in (item or {})}
        return bound

    def bind(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model with its configuration bound by content. Raises ComposeFileError for a missing source."""
        bound: dict[str, Any] = copy.deepcopy(dict(model))
        services = services_of(bound)
        configs = (bound.get("configs") or {}).items()
        external = {key: definition for key, definition in configs if self._is_external(definition or {})}
        self._written_to = tuple(
            resolve(Path(volume["source"]))
            for service in services.values()
            for volume in service.get("volumes") or ()
            if volume.get("type") == "bind" and not volume.get("read_only")
        )
        for name, service in services.items():
            self._live = live_binds(name, service, model, self._folder)
            volumes = [self._volume(name, volume) for volume in service.get("volumes") or ()]
            entries = service.get("configs") or ()
            kept = [entry for entry in entries if entry["source"] in external]
            volumes += [self._config(name, entry, model) for entry in entries if entry not in kept]
            fields = {key: value for key, value in service.items() if key != "configs"}
            fields |= {"configs": kept} if kept else {}
            bound["services"][name] = {**fields, "volumes": volumes} if volumes else fields
        bound.pop("configs", None)
        return bound | ({"configs": external} if external else {})

    def _is_external(self, definition: Mapping[str, Any]) -> bool:
        """Return whether a secret or config is the engine's own, which only a Swarm has."""
        return self._on_swarm and bool(definition.get("external"))

    def _volume(self, service: str, volume: dict[str, Any]) -> dict[str, Any]:
        if volume.get("type") != "bind":
            return volume
        source = Path(volume["source"])
        if source.is_relative_to(self._store.folder):  # kept already; what a stack itself names there is refused before
            return volume
        if not self._is_named_within(source):  # the host's own: the policy has judged it, and it stays where it is
            return volume
        if volume.get("read_only") and is_there(source):
            resolved = judged_path(source, self._folder, self._may_bind)
        else:  # data, or a folder that Compose creates: judged before, and again before a container is created
            resolved = resolve(source)
        if not resolved.is_relative_to(self._folder):
            # A checkout could lead the link elsewhere, and the engine would follow it whenever it starts a container.
            return {**volume, "source": str(resolved)}
        if not volume.get("read_only") or not is_there(source):
            return volume
        if self._is_data(service, resolved) or resolved in self._live:
            return volume
        kept = self._keep(service, source, resolved)
        return volume if kept is None else {**volume, "source": str(kept), "bind": _bind_options(volume)}

    def _config(self, service: str, entry: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
        name = str(entry["source"])
        target = PurePosixPath("/") / str(entry.get("target") or name)
        return _kept_bind(self._config_content(service, name, (model.get("configs") or {}).get(name) or {}), target)

    def _config_content(self, service: str, name: str, config: Mapping[str, Any]) -> Path:
        if (text := config.get("content")) is not None:
            return self._store.place_text(str(text), write=self._write)
        if "file" not in config:
            raise _no_file(service, "configs", name)
        source = Path(config["file"])
        if not is_there(source):
            raise missing_source(service, said("takes the {kind} {key} from", kind="config", key=name), source)
        if not _can_be_kept(source):  # a plan reads nothing of it, and would not notice
            raise not_regular(source, source.stat().st_mode)
        return self._keep(service, source, judged_path(source, self._folder, self._may_bind)) or source

    def _secret(self, service: str, name: str, definition: Mapping[str, Any], live: frozenset[Path]) -> Path | None:
        """Return where a secret is kept, or None where it stays as it is."""
        if self._is_external(definition):
            return None
        if (text := definition.get("content")) is not None:
            return self._store.place_text(str(text), write=self._write)
        if "file" not in definition:
            raise _no_file(service, "secrets", name)
        source = Path(str(definition["file"]))
        resolved = judged_path(source, self._folder, self._may_bind)
        if resolved in live:
            return None
        try:
            return self._store.place_secret(
                resolved, beneath=self._folder, write=self._write, withheld=self._withheld(service)
            )
        except PermissionError:
            return None
        except (FileNotFoundError, NotADirectoryError) as error:
            does = said("takes the {kind} {key} from", kind="secret", key=name)
            raise missing_source(service, does, source) from error
        except OSError as error:
            raise unreadable_file(source, error) from error

    def _is_named_within(self, source: Path) -> bool:
        """Return whether a path is written as one of the stack's folder, wherever a link leads it."""
        written = Path(os.path.normpath(source))
        return any(written.is_relative_to(folder) for folder in (self._folder, self._given))

    def _keep(self, service: str, source: Path, resolved: Path) -> Path | None:
        name, withheld = name_in(source, self._given, self._folder), self._withheld(service)
        # A folder in which there is something of one environment alone is each one's own.
        is_shared = withheld.within(resolved) is None
        is_shared = is_shared and not any(path.is_relative_to(resolved) for path in self._private)
        try:
            if is_shared and name in self._instead:
                withheld.refuse(resolved)
                place = self._store.place_kept(self._instead[name])
            else:
                write = self._write or service in self._proxies
                place = self._store.place(resolved, beneath=self._folder, write=write, withheld=withheld)
        except TooLargeError:
            self.warnings.append(
                said(
                    "{source} of {service} is too large to be kept with a release: it is bound from "
                    "where it lies, and a rollback does not bring its old content back.",
                    source=source,
                    service=service,
                )
            )
            return None
        except OSError as error:
            raise unreadable_file(source, error) from error
        if is_shared:
            self.bound[name] = place.name
        return place

    def _is_data(self, service: str, source: Path) -> bool:
        if not source.is_relative_to(self._folder) or not _can_be_kept(source):
            return True
        holds_state = source == self._folder or self._store.folder.resolve().is_relative_to(source)
        if holds_state and self._withheld(service) is NOTHING_WITHHELD:
            return True
        return any(other.is_relative_to(source) or source.is_relative_to(other) for other in self._written_to)


def bound_secret(place: Path, target: str) -> dict[str, Any]:
    """Return the bind of a kept secret, where Compose would mount it."""
    return _kept_bind(place, PurePosixPath(MOUNTED_SECRETS) / target)


def _kept_bind(place: Path, target: PurePosixPath) -> dict[str, Any]:
    return {
        "type": "bind",
        "source": str(place),
        "target": str(target),
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def name_in(path: Path, *folders: Path) -> str:
    """Return a path as it is named in the first of some folders that it lies in; as it is where it lies elsewhere."""
    written = Path(os.path.normpath(path))
    folder = next((folder for folder in folders if written.is_relative_to(folder)), None)
    return str(written if folder is None else written.relative_to(folder))


def _can_be_kept(source: Path) -> bool:
    """Return whether a path is a file or a folder; of what the bot may not look at, its reader says so."""
    try:
        mode = source.stat().st_mode
    except PermissionError:
        return True
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def judged_path(source: Path, folder: Path, may_bind: Callable[[Path], bool]) -> Path:
    """Return where a path leads, once: it was judged, and may have become a link since. Raises ComposeFileError."""
    resolved = resolve(source)
    if not resolved.is_relative_to(folder) and not may_bind(resolved):
        raise ComposeFileError(said("{path} leads out of the stack's folder.", path=source))
    return resolved


def live_binds(name: str, service: Mapping[str, Any], model: Mapping[str, Any], folder: Path) -> frozenset[Path]:
    """Return what a service binds from where it lies, since the host renews it. Raises ComposeFileError."""
    named = (service.get("x-deploy") or {}).get("live_binds") or []
    if not named:
        return frozenset()
    if not isinstance(named, list) or not all(isinstance(path, str) for path in named):
        raise ComposeFileError(
            said("`live_binds` of {name} is not a list of paths.", name=name),
            service=name,
        )
    bound = {resolve(Path(volume["source"])) for volume in service.get("volumes") or () if volume.get("type") == "bind"}
    secrets = ((model.get("secrets") or {}).get(secret.get("source")) or {} for secret in service.get("secrets") or ())
    bound |= {resolve(Path(str(secret["file"]))) for secret in secrets if secret.get("file")}
    live = frozenset(resolve(folder / path) for path in named)
    if unknown := sorted(str(path) for path in live - bound):
        raise ComposeFileError(
            said(
                "`live_binds` of {name} names what it does not bind: {unknown}.", name=name, unknown=", ".join(unknown)
            ),
            hint=said("Name sources of its `volumes`, or files of its `secrets`, as they are written there."),
            service=name,
        )
    return live


def _no_file(service: str, kind: str, name: str) -> ComposeFileError:
    """Create the error for a secret or a config whose content nothing says."""
    text = said("`{place}` of {service} has no file.", place=f"{kind}.{name}", service=service)
    return ComposeFileError(text, hint=EXTERNAL_HINT)


def _bind_options(volume: Mapping[str, Any]) -> dict[str, Any]:
    return {**(volume.get("bind") or {}), "create_host_path": False}


def missing_source(service: str, does: str, source: Path) -> ComposeFileError:
    """Return the error that says which service needs what does not exist."""
    return ComposeFileError(
        said("{service} {does} {source}, which does not exist.", service=service, does=does, source=source),
        service=service,
    )
