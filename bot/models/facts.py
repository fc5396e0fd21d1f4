"""Describe what was found out about the world around the bot: the engine, its own container, Discord."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Record what an engine says of itself; `data_root` is a path on the engine's machine."""

    version: str
    api_version: str
    data_root: str
    memory_bytes: int = 0
    processors: int = 0
    security_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """Identify the container that holds a port of the engine's machine; `project` is empty for one outside Compose."""

    host_ip: str
    port: int
    protocol: str
    container: str
    project: str = ""


@dataclass(frozen=True, slots=True)
class FoundProject:
    """Describe a Compose project of an engine: its folders by label, and the names of what it consists of.

    `files` and `env_files` are those that its newest container was created from.
    """

    name: str
    folders: frozenset[str] = frozenset()
    files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    services: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mount:
    """Describe a mount of a container; for a bind, `source` is a path on the engine's machine."""

    source: str
    destination: str
    writable: bool
    kind: str = "bind"


@dataclass(frozen=True, slots=True)
class BotPlace:
    """Hold where a container's bot keeps its state, and at which addresses of which networks it answers.

    The source of a named volume is its name. Of its variables only the names are kept: one of the values is the token.
    """

    state_dir: str
    mounts: tuple[Mount, ...] = ()
    port: int = 0
    addresses: tuple[tuple[str, str], ...] = ()
    variables: frozenset[str] = frozenset()

    @property
    def state_source(self) -> str:
        """Return where its state is kept on the engine's machine; empty where that is in no mount."""
        return self.source_of(self.state_dir)

    def source_of(self, folder: str) -> str:
        """Return the path on the engine's machine of a container's folder; empty where it is in no mount."""
        path = PurePosixPath(folder)
        above = [mount for mount in self.mounts if path.is_relative_to(mount.destination)]
        if not above:
            return ""
        lowest = max(above, key=lambda mount: len(mount.destination))
        return str(PurePosixPath(lowest.source) / path.relative_to(lowest.destination))


@dataclass(frozen=True, slots=True)
class OwnContainer:
    """Record the container that this process runs in; `config_hash` says of which release it is."""

    id: str
    name: str
    project: str = ""
    service: str = ""
    mounts: tuple[Mount, ...] = ()
    config_hash: str = ""


@dataclass(frozen=True, slots=True)
class DiscordFacts:
    """Record what Discord says of the token, the guild and the channel.

    `unreachable` holds the reason where Discord did not answer; then nothing else is known. `missing_permissions` are
    Discord's names of what the bot needs in the channel and does not have; None where they could not be read. Where an
    environment has a channel of its own, `ops` says the same of the ops channel. `unknown_roles` are those of the
    settings that the guild does not have, `unnotified_roles` those that are mentioned and whose members hear nothing
    of it.
    """

    unreachable: str = ""
    token_accepted: bool = False
    bot_name: str = ""
    guild_found: bool = False
    channel_found: bool = False
    channel_name: str = ""
    channel_takes_messages: bool = True
    missing_permissions: tuple[str, ...] | None = None
    ops: "DiscordFacts | None" = None
    unknown_roles: tuple[str, ...] = ()
    unnotified_roles: tuple[str, ...] = ()
