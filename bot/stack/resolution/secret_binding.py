"""Bind the files of `secrets` from copies of ours: what was planned is what a container has, however it is started."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.stack.model.services import services_of
from roas.stack.resolution.content_binding import EXTERNAL_HINT, judged_path, live_binds, missing_source
from roas.stack.resolution.environment_values import MOUNTED_SECRETS
from roas.stack.sources.contents import ContentStore, TooLargeError
from roas.stack.sources.withheld import NOTHING_WITHHELD, Withheld


class SecretBinder:
    """Bind the secrets of one stack's services by content.

    Two kinds stay as Compose binds them, from where they lie: what `live_binds` names, since the host renews it, and
    what the bot's user may not read. The policy judges these.
    """

    def __init__(
        self,
        store: ContentStore,
        folder: Path,
        may_bind: Callable[[Path], bool],
        *,
        write: bool,
        withheld: Callable[[str], Withheld] = lambda _service: NOTHING_WITHHELD,
    ) -> None:
        self._store = store
        self._folder = folder.resolve()
        self._may_bind = may_bind
        self._write = write
        self._withheld = withheld

    def bind(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model with its secrets bound by content. Raises ComposeFileError for what is no plain file."""
        bound: dict[str, Any] = copy.deepcopy(dict(model))
        for name, service in services_of(bound).items():
            if not service.get("secrets"):
                continue
            live = live_binds(name, service, model, self._folder)
            kept: list[dict[str, Any]] = []
            volumes: list[dict[str, Any]] = []
            for entry in service["secrets"]:
                volume = self._volume(name, entry, model, live)
                kept += [entry] if volume is None else []
                volumes += [volume] if volume is not None else []
            fields = {key: value for key, value in service.items() if key != "secrets"}
            fields |= {"secrets": kept} if kept else {}
            bound["services"][name] = {**fields, "volumes": [*(service.get("volumes") or ()), *volumes]}
        return bound

    def _volume(
        self, service: str, entry: Mapping[str, Any], model: Mapping[str, Any], live: frozenset[Path]
    ) -> dict[str, Any] | None:
        """Return the bind of a secret's copy, or None where it stays as it is."""
        name = str(entry["source"])
        definition = (model.get("secrets") or {}).get(name) or {}
        if "file" not in definition:
            raise ComposeFileError(
                said("The secret {name} of {service} has no file.", name=name, service=service), hint=EXTERNAL_HINT
            )
        source = Path(str(definition["file"]))
        resolved = judged_path(source, self._folder, self._may_bind)
        if resolved in live:
            return None
        place = self._place(service, name, source, resolved)
        return None if place is None else bound_secret(place, str(entry.get("target") or name))

    def _place(self, service: str, name: str, source: Path, resolved: Path) -> Path | None:
        try:
            return self._store.place_secret(
                resolved, beneath=self._folder, write=self._write, withheld=self._withheld(service)
            )
        except PermissionError:
            return None
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing_source(
                service, said("takes the {kind} {key} from", kind="secret", key=name), source
            ) from error
        except TooLargeError as error:
            raise ComposeFileError(said("{source} is too large for a secret.", source=source)) from error
        except OSError as error:
            raise ComposeFileError(
                said("{path} cannot be read: {strerror}.", path=source, strerror=error.strerror),
                hint=said("Check its permissions, and that nobody replaces it meanwhile."),
            ) from error


def bound_secret(place: Path, target: str) -> dict[str, Any]:
    """Return the bind of a kept secret, where Compose would mount it."""
    return {
        "type": "bind",
        "source": str(place),
        "target": str(MOUNTED_SECRETS / PurePosixPath(target)),
        "read_only": True,
        "bind": {"create_host_path": False},
    }
