"""Turn files that a release keeps by content into Swarm's configs and secrets: immutable, named by their content."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roas.engine.labels import STACK
from roas.engine.sources.contents import SECRET_PREFIX
from roas.engine.swarm.names import content_name

Json = dict[str, Any]
SECRETS, CONFIGS = "secrets", "configs"
MOUNTED_SECRETS = "/run/secrets/"
# What a compose file binds read-only may be a script; a secret is as Swarm makes it.
MODES = {SECRETS: 0o444, CONFIGS: 0o555}


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Name a file of a release, what Swarm calls it, and where a task has it."""

    source: Path
    target: str
    name: str

    @property
    def kind(self) -> str:
        """Return whether Swarm keeps it among its secrets: encrypted, and on the nodes that need it only."""
        return SECRETS if self.source.name.startswith(SECRET_PREFIX) else CONFIGS

    def spec(self, project: str) -> Json:
        """Return what Swarm is given of it; it reads the file. Raises OSError."""
        data = base64.b64encode(self.source.read_bytes()).decode()
        return {"Name": self.name, "Labels": {STACK: project}, "Data": data}

    def reference(self, ids: Mapping[str, str]) -> Json:
        """Return how a task's spec mentions it; `ids` are Swarm's, by name."""
        kind = "Secret" if self.kind == SECRETS else "Config"
        file = {"Name": self.target.removeprefix(MOUNTED_SECRETS), "UID": "0", "GID": "0", "Mode": MODES[self.kind]}
        return {"File": file, f"{kind}ID": ids.get(self.name, ""), f"{kind}Name": self.name}


def kept_files(project: str, service: Mapping[str, Any]) -> tuple[KeptFile, ...]:
    """Return the files that a service binds from the content store; any other bind is refused long before."""
    return tuple(sorted(_found(project, service), key=lambda one: one.target))


def _found(project: str, service: Mapping[str, Any]) -> Iterator[KeptFile]:
    for volume in service.get("volumes") or ():
        if volume["type"] == "bind":
            source, target = Path(volume["source"]), str(volume["target"])
            digest = source.name.removeprefix(SECRET_PREFIX)
            yield KeptFile(source, target, content_name(project, Path(target).name, digest))
