"""What a stack asks for beyond its own containers: who, which power, and over what.

`docs/explanation/powers.md` has the table for people.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roas.messages.message import Message, visible
from roas.stack.images.lookup import repository_of
from roas.stack.model.service_keys import SERVICE_KEYS
from roas.stack.model.services import services_of, written_fields

# What has any of these can do on the machine what root can.
ROOT = frozenset(key for key, known in SERVICE_KEYS.items() if known.is_root) | {
    *("docker_socket", "replaceable", "mount", "volume", "key")
}
# A key of which nobody here knows what it does.
UNKNOWN = "key"
# What of a backup says which program has a service's data.
BACKUP = ("command", "restore", "volume", "helper")
# What may be said of a volume, and so be a power of all that mount it.
OF_VOLUMES = frozenset({"volume", UNKNOWN})
# How a power is called where that is not the key of the compose file. After a secret that is called `password`, what
# does not read as a sentence would be hidden.
WORDS = {
    UNKNOWN: "",
    "bind": "path",
    "docker_socket": "docker-socket",
    "external_config": "others config",
    "external_network": "others-network",
    "external_secret": "others secret",
    "external_volume": "others-volume",
    "ports": "port",
    "replaceable": "writes",
}
WITH_PATHS = frozenset(
    {"bind", "replaceable", "external_config", "external_network", "external_secret", "external_volume"}
)
# Of a message: who asks, and by which verb. The rest of its fields says for what.
SUBJECTS = ("who", "name", "service")
BESIDE = frozenset({*SUBJECTS, "does", "text"})
READS, BINDS = "reads", "binds"
GONE_FROM_RELEASES = frozenset({"build", "container_name", "ulimits", "isolation", "replaceable"})
# So many that whoever writes both finds no two programs of one hash.
MARK, DIGITS = "#", 40
PROGRAM = re.compile(rf"{MARK}[0-9a-f]{{{DIGITS}}}\Z")
# What of a `build` says which program an image has, but for the content of files.
BUILT_OF = ("context", "dockerfile", "dockerfile_inline", "target", "additional_contexts")


@dataclass(frozen=True, slots=True)
class Power:
    """Say in words what is asked for, and which entry of the settings gives it; empty if none does.

    Where nobody `is_asked_for` it, only the settings give it. Where the text has hashes of values, `values` says them.
    """

    text: str
    entry: str
    is_asked_for: bool = True
    values: str = ""

    @property
    def kind(self) -> str:
        """Return the kind of the power, as the settings call it."""
        return self.entry.partition(":")[0]

    @property
    def service(self) -> str:
        """Return who asks for it."""
        fields: Mapping[str, Any] = self.text.fields if isinstance(self.text, Message) else {}
        of_entry = self.entry.partition(":")[2]
        return str(next((fields[key] for key in SUBJECTS if key in fields), of_entry))

    @property
    def name(self) -> str:
        """Return `web: port 443`: what is typed to grant it, with each character of it."""
        return self._called()

    @property
    def reading(self) -> str:
        """Return what a plan shows: the name, with values in place of their hashes."""
        return self._called(self.values)

    def _called(self, values: str = "") -> str:
        fields: Mapping[str, Any] = self.text.fields if isinstance(self.text, Message) else {}
        does = str(fields.get("does", ""))
        words = [READS if self.kind == "bind" and does == READS else WORDS.get(self.kind, self.kind)]
        if self.kind == "external_volume" and does == READS:
            words.insert(0, READS)
        if self.kind in WITH_PATHS:
            words.append(self.entry.partition(":")[2])
        else:
            found = [values] if values else [str(value) for key, value in fields.items() if key not in BESIDE]
            words += [text.removeprefix(self.kind).lstrip(": ") for text in found]
        text = visible(f"{self.service}: {' '.join(filter(None, words))}").replace(MARK, r"\u{23}")
        return text.replace("  ", r" \u{20}")

    @property
    def is_root(self) -> bool:
        """Return whether it is as good as root on the machine."""
        writes = isinstance(self.text, Message) and str(self.text.fields.get("does")) == BINDS
        return self.kind in ROOT or (self.kind == "bind" and writes)


def identities(powers: Iterable[Power], model: Mapping[str, Any]) -> dict[str, str]:
    """Return what each power of a model is known by: its name, and for root what acts with it; and how it reads."""
    holders = Holders(services_of(model))
    found: dict[str, str] = {}
    for power in powers:
        marks = (f"{MARK}{program}" for program in holders.programs(power)) if power.is_root else ("",)
        name = power.name
        found.update(dict.fromkeys((f"{name}{mark}" for mark in marks), power.reading if power.values else name))
    return found


class Holders:
    """Find the services that have powers, and what these run, which is hashed once however many powers they have."""

    def __init__(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        self._services = services
        self._mounting: dict[str, set[str]] = {}
        self._hashes: dict[str, str] = {}
        for name, service in services.items():
            sources = {str(volume.get("source") or "") for volume in service.get("volumes") or ()}
            for key in {name, *sources}:
                self._mounting.setdefault(key, set()).add(name)

    def of(self, power: Power) -> tuple[str, ...]:
        """Return who has a power: who asks for it, or of a volume whoever mounts it, or copies it."""
        if power.kind not in OF_VOLUMES:
            return (power.service,) if power.service in self._services else ()
        mounting = self._mounting.get(power.service, set())
        helping = {str(_backup(self._services[name]).get("helper")) for name in mounting} & self._services.keys()
        return tuple(sorted(mounting | helping))

    def programs(self, power: Power) -> Iterator[str]:
        """Return a hash of each program that acts with a power."""
        names = self.of(power)
        if power.kind in OF_VOLUMES and names and names != (power.service,):
            yield from (_hash([name, self._program(name)]) for name in names)
        else:
            yield self._program(power.service)

    def _program(self, name: str) -> str:
        if name not in self._hashes:
            self._hashes[name] = _program(self._services.get(name) or {})
        return self._hashes[name]


def recorded(powers: Iterable[Power], model: Mapping[str, Any]) -> list[str]:
    """Return what is known of powers that the model of a release does not show any more."""
    built = {name for name, service in services_of(model).items() if service.get("build")}
    return sorted(
        identities(
            (
                power
                for power in powers
                if power.kind in GONE_FROM_RELEASES
                or power.service.startswith("the ")
                or (power.is_root and power.service in built)
            ),
            model,
        )
    )


def root_first(identity: str) -> tuple[bool, str]:
    """Order identities so that what is as good as root is read first, however many others there are."""
    return PROGRAM.search(identity) is None, identity


def named(identity: str) -> str:
    """Return the name in an identity."""
    return PROGRAM.sub("", identity)


def _program(service: Mapping[str, Any]) -> str:
    """Return a hash of what a service's containers run, as whom, and where they can write."""
    image = str(written_fields(service).get("image", service.get("image")) or "")
    mounts = sorted(
        (
            str(volume.get("type")),
            str(volume.get("target")),
            # Which copy of ours it is, each release says; what else is read there, another service may have written.
            "" if volume.get("read_only") and volume.get("type") == "bind" else str(volume.get("source")),
        )
        for volume in service.get("volumes") or ()
    )
    covered = [service.get(key) for key in ("command", "entrypoint", "user", "working_dir", "post_start", "pre_stop")]
    covered.append((service.get("healthcheck") or {}).get("test"))
    # By a variable, an interpreter is told of another program. Of what they hold, a version changes each time.
    covered.append(sorted(service.get("environment") or ()))
    if build := service.get("build"):
        covered += [build.get(key) for key in BUILT_OF]
    if backup := _backup(service):  # its commands run beside the program
        covered.append({key: backup[key] for key in BACKUP if key in backup})
    return _hash([repository_of(image), mounts, covered])


def _backup(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a service's data is backed up, as it is written."""
    extension = service.get("x-deploy")
    written = extension.get("backup") if isinstance(extension, Mapping) else None
    return written if isinstance(written, Mapping) else {}


def _hash(covered: object) -> str:
    return hashlib.sha256(json.dumps(covered, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]
