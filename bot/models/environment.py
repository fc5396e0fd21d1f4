"""Describe an environment: one Compose project, its files, its variables and its engine."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from roas.models.windows import Windows

# A server without TLS: on this machine, on a private network, or a name of Docker's own. Digits and letters are named
# one by one: `\d` and `\w` are those of all scripts, of which a setting's pattern takes up to a megabyte.
NEAR = re.compile(
    r"http://(localhost|(127\.[0-9]+|10\.[0-9]+|192\.168|172\.(1[6-9]|2[0-9]|3[01]))\.[0-9]+\.[0-9]+"
    r"|[A-Za-z0-9_-]*[A-Za-z_][A-Za-z0-9_-]*)(:[0-9]+)?/\S*"
)
ON_SSH = r"ssh://[^\s-][^\s]*|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.-]*:[^\s]+"
REPOSITORY_ADDRESS = rf"^(https://[^\s@]+|{ON_SSH}|{NEAR.pattern})$"
# Of an engine's host: no password, which would be shown wherever the address is.
ENGINE_ON_SSH = r"ssh://([^@/:\s]+@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\s\[\]]+)(:[0-9]{1,5})?(/\S*)?"
# What both the SDK and Compose take. A relative path would be another one for each of them, and the kernel takes no
# longer one.
ENGINE_ADDRESS = rf"^(unix:///.{{1,106}}|tcp://.+|{ENGINE_ON_SSH})$"
# What git, ssh and the bot read alike: nothing in it can be taken for another host.
PLAIN_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?|ssh)://|(?=\w[\w.-]*@))(?P<login>(?:\w[\w.-]*@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*))"
    r"(?(scheme)(?::(?P<port>\d{1,5}))?(?=/)|:)(?P<path>[\w./~+%-]+)",
    re.ASCII,
)
PORTS = {"https": "443", "http": "80", "ssh": "22"}


class PolicyLevel(StrEnum):
    """Say who is asked about what a stack may have; see `roas.stack.policy.compose_policy`.

    `default` is how it was before `ask`: what no entry names is refused.
    """

    STRICT = "strict"
    ASK = "ask"
    DEFAULT = "default"
    TRUSTED = "trusted"


class EngineKind(StrEnum):
    """Say what runs a stack: Compose on one machine, or Docker Swarm."""

    COMPOSE = "compose"
    SWARM = "swarm"


class DriftAction(StrEnum):
    """Say what becomes of what a hand changed: an alert that asks, or the release is restored."""

    ALERT = "alert"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Address:
    """Hold the parts of a repository's address; `login` is the host, with the user where it names one."""

    scheme: str
    host: str
    port: str
    login: str
    path: str

    @property
    def server(self) -> tuple[str, str, str]:
        """Return what answers there."""
        return self.scheme, self.host, self.port


def read_address(url: str) -> Address | None:
    """Return the parts of an address; None where programs might read it differently."""
    found = PLAIN_ADDRESS.fullmatch(url)
    if found is None or re.match(REPOSITORY_ADDRESS, url) is None:
        return None
    scheme = found["scheme"] or "ssh"
    return Address(scheme, found["host"].lower(), found["port"] or PORTS[scheme], found["login"], found["path"])


@dataclass(frozen=True, slots=True)
class Repository:
    """Say which repository an environment's files come from; `path` is their folder in it.

    `signers_file` names whose signatures a commit needs, as `ssh-keygen` reads it. `submodules` are fetched from its
    own host where that is true, else from the hosts that it names.
    """

    url: str
    ref: str = "main"
    path: str = ""
    key_file: Path | None = None
    known_hosts_file: Path | None = None
    token_file: Path | None = None
    signers_file: Path | None = None
    submodules: bool | tuple[str, ...] = False
    lfs: bool = False

    @property
    def is_near(self) -> bool:
        """Return whether its server is on this machine or its networks, where it may do without TLS."""
        return NEAR.match(self.url) is not None

    @property
    def shown(self) -> str:
        """Return its address without what could be a password."""
        return re.sub(r"//[^/@]*@", "//", self.url)

    def beside(self, address: str) -> str:
        """Return where a submodule is: an address that begins with `./` or `../` leads on from the repository's."""
        if not address.startswith(("./", "../")):
            return address
        base = self.url.rstrip("/")
        while address.startswith(("./", "../")):
            step, _slash, address = address.partition("/")
            if step == "..":
                cut = max(base.rfind("/"), base.rfind(":"))
                base = base[: cut + (base[cut] == ":")]
        return f"{base}{address}" if base.endswith(":") else f"{base}/{address}"

    def is_of_server(self, url: str) -> bool:
        """Return whether an address is on the server of the repository."""
        there, here = read_address(url), read_address(self.url)
        return there is not None and here is not None and there.server == here.server

    def may_fetch(self, url: str) -> bool:
        """Return whether a submodule may come from an address: of the repository's server, or of a host that is named.

        Elsewhere than on the repository's server it takes HTTPS or SSH.
        """
        if not self.submodules or (there := read_address(url)) is None:
            return False
        here = read_address(self.url)
        hosts = self.submodules if isinstance(self.submodules, tuple) else (here.host if here is not None else "",)
        name = there.host if there.port == PORTS[there.scheme] else f"{there.host}:{there.port}"
        return self.is_of_server(url) or (there.scheme != "http" and name in hosts)


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Say which images of an environment have to be signed, and by whom: one of the keys or identities is enough.

    An identity is an issuer and a pattern of its subject. With a `builder`, SLSA provenance by it is asked for, of the
    repository `source` where that is given.
    """

    images: tuple[str, ...] = ("*",)
    key_files: tuple[Path, ...] = ()
    identities: tuple[tuple[str, str], ...] = ()
    builder: str | None = None
    source: str | None = None
    trusted_root_file: Path | None = None
    transparency_log: bool = True


@dataclass(frozen=True, slots=True)
class ResticRepository:
    """Say where backups are sent, and with which password; the variables of its store are in a file of their own."""

    address: str
    password_file: Path
    variables_file: Path | None = None

    @property
    def shown(self) -> str:
        """Return its address without what could be a password."""
        return re.sub(r"//[^/@]*@", "//", self.address)


@dataclass(frozen=True, slots=True)
class SshAccess:
    """Say which key a host accepts, and which file has its own; what is not said is as `ssh` has it."""

    key_file: Path | None = None
    known_hosts_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Waves:
    """Say how the hosts of an environment are moved: so many at a time (0: all), and which share of them may fail."""

    parallelism: int = 1
    delay_seconds: float = 0.0
    max_failure_ratio: float = 0.0

    def of(self, hosts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return hosts in the waves in which they are moved."""
        size = self.parallelism or max(len(hosts), 1)
        return tuple(tuple(hosts[begin : begin + size]) for begin in range(0, len(hosts), size))

    def are_too_many(self, failed: int, hosts: int) -> bool:
        """Return whether more of the hosts have failed than may; all of them never may."""
        return failed > self.max_failure_ratio * hosts or failed == hosts


OF_HOST = "@"


def whole_of(name: str) -> str:
    """Return the environment that a name is of: that of `prod@a.example.org` is `prod`, any other is its own."""
    return name.partition(OF_HOST)[0]


@dataclass(frozen=True, slots=True)
class Environment:
    """Define where an environment's stack is and how it is deployed.

    `ignored_files` are those that `docker compose` in its folder would take besides, `files_outside` compose files
    elsewhere that the stack's own `.env` names. `project_is_given` is whether somebody named the project, instead of a
    convention. `version_variables` are the stack's own variables that get the version that is deployed. `one_shots` are
    services that end, of which the compose file does not say so. `observation_seconds` is how long a service is watched
    after it was changed; None leaves that to its kind.
    `siblings` are the projects of other environments in the same folder: who changes one of them changes all.
    `repository` is where its files come from, if they do not just lie in its folder.
    `signatures` is who has to have signed its images.
    `withheld` are files and folders that its stack never sees: the bot's own, and what only other environments name;
    `shared` are files that it names and that another one has for itself.
    `windows` are when it may be deployed to. With `restores_drift`, what a hand changed is undone without being asked.
    It takes only what was healthy for as long as `soak` in the environment that it `requires`. Backups of its data are
    sent by `restic`. An engine on another host is reached by `ssh`. `managers` are other addresses of its Swarm than
    `docker_host`, and `swarm_id` says which Swarm it is. One on many `hosts` has no engine of its own: each of these is
    an environment that is `part_of` it, and they are moved in `waves`.
    """

    name: str
    project: str
    folder: Path
    compose_files: tuple[Path, ...]
    env_files: tuple[Path, ...] = ()
    docker_host: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    needs_approval: bool = False
    critical_services: frozenset[str] = frozenset()
    observation_seconds: float | None = None
    is_home: bool = False
    ignored_files: tuple[Path, ...] = ()
    files_outside: tuple[Path, ...] = ()
    project_is_given: bool = False
    version_variables: tuple[str, ...] = ()
    one_shots: frozenset[str] = frozenset()
    policy: PolicyLevel = PolicyLevel.ASK
    allowed: tuple[str, ...] = ()
    siblings: frozenset[str] = frozenset()
    withheld: frozenset[Path] = frozenset()
    shared: frozenset[Path] = frozenset()
    engine: EngineKind = EngineKind.COMPOSE
    repository: Repository | None = None
    signatures: SignaturePolicy | None = None
    windows: Windows = field(default_factory=Windows)
    restores_drift: bool = False
    requires: str = ""
    soak: timedelta = timedelta(0)
    restic: ResticRepository | None = None
    ssh: SshAccess = field(default_factory=SshAccess)
    managers: tuple[str, ...] = ()
    swarm_id: str = ""
    part_of: str = ""
    hosts: tuple["Environment", ...] = ()
    waves: Waves = field(default_factory=Waves)

    @property
    def by_host(self) -> tuple["Environment", ...]:
        """Return what has an engine: its hosts, or itself."""
        return self.hosts or (self,)

    @property
    def with_hosts(self) -> tuple["Environment", ...]:
        """Return itself and its hosts."""
        return (self, *self.hosts)

    @property
    def host(self) -> str:
        """Return the name of its host; empty where it is no part of another environment."""
        return self.name.partition(OF_HOST)[2]

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return its compose files after the first, as they are named in its folder."""
        return tuple(os.path.relpath(path, self.folder) for path in self.compose_files[1:])

    @property
    def on_swarm(self) -> bool:
        """Return whether its stack runs on a Swarm."""
        return self.engine is EngineKind.SWARM
