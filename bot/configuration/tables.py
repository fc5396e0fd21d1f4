"""Describe what `roas.toml` says in tables of its own: of an environment, of a source of versions, of who is told."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from roas.models.candidate import SourceAction, SourceKind, SourceMode
from roas.models.environment import ENGINE_ADDRESS, REPOSITORY_ADDRESS, DriftAction, EngineKind, PolicyLevel
from roas.models.windows import read_dates, read_window
from roas.redaction import credentials_in

PROJECT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
COMPOSE = EngineKind.COMPOSE
OBSERVATION = (
    "How long each service is watched before a deployment counts as a success, unless its `monitor` is longer. "
    "Unset, that is 30 s without a health check, 10 s if critical, else 5 s; in dev 2 s."
)
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EngineAddress = Annotated[str, Field(pattern=ENGINE_ADDRESS)]
HOST_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
HostName = Annotated[str, Field(pattern=HOST_PATTERN)]


def about(text: str, default: Any = None, **limits: Any) -> Any:
    """Describe what is said of one environment."""
    return Field(default=default, description=text, **limits)


# Who signs tokens: by TLS, or on this machine.
SOAK = r"^([0-9]{1,6}[mhd])+$"
DELAY = r"^[0-9]{1,3}[sm]$"
ISSUER = r"^(https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[^\s?#]*)?)$"


class GitSettings(BaseModel, extra="forbid"):
    """Say which repository an environment's files come from; a password is in `token_file`, not in the address."""

    url: str = Field(pattern=REPOSITORY_ADDRESS)
    ref: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")
    path: str = Field(default="", max_length=200, pattern=r"^[\w./-]*$")
    key_file: Path | None = None
    known_hosts_file: Path | None = None
    token_file: Path | None = None
    signers_file: Path | None = None
    submodules: bool | tuple[str, ...] = False
    lfs: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that hold its secrets."""
        return tuple(filter(None, (self.key_file, self.token_file)))

    @field_validator("ref", "path")
    @classmethod
    def _goes_nowhere_else(cls, value: str) -> str:
        if ".." in value:
            raise ValueError("must not have `..` in it")
        return value

    @field_validator("key_file", "known_hosts_file", "token_file", "signers_file")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class IdentitySettings(BaseModel, extra="forbid"):
    """Name who signs without a key: the issuer of the token, and whom it is of; `*` stands for anything."""

    issuer: str = Field(pattern=ISSUER)
    subject: str = Field(min_length=1, max_length=500)


class VerifySettings(BaseModel, extra="forbid"):
    """Say which images of an environment have to be signed, by which keys or identities, and what has to build them."""

    images: tuple[str, ...] = ("*",)
    key_files: tuple[Path, ...] = ()
    identities: tuple[IdentitySettings, ...] = ()
    builder: str | None = None
    source: str | None = None
    trusted_root_file: Path | None = None
    transparency_log: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that say who is trusted."""
        return (*self.key_files, *filter(None, [self.trusted_root_file]))

    @model_validator(mode="after")
    def _trusts_somebody(self) -> Self:
        if not self.key_files and not self.identities:
            raise ValueError("needs `key_files` or `identities`")
        if not self.images:
            raise ValueError("needs `images`; `*` stands for all")
        if self.source is not None and self.builder is None:
            raise ValueError("`source` needs a `builder`")
        return self


class WindowSettings(BaseModel, extra="forbid"):
    """Say when an environment may be deployed to."""

    open: tuple[str, ...] = Field(min_length=1)
    zone: str = "UTC"
    without: tuple[str, ...] = ()

    @field_validator("open")
    @classmethod
    def _opens(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            read_window(text)
        return value

    @field_validator("without")
    @classmethod
    def _are_dates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            read_dates(text)
        return value

    @field_validator("zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError) as error:
            raise ValueError("is no time zone; write it as Asia/Taipei") from error
        return value


class ResticSettings(BaseModel, extra="forbid"):
    """Say to which repository of restic backups are sent; passwords are in files, not in the address."""

    repository: str = Field(min_length=1, max_length=1000, pattern=r"^[^-\s][^\s]*$")
    password_file: Path
    variables_file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that hold its secrets."""
        return tuple(filter(None, (self.password_file, self.variables_file)))

    @field_validator("repository")
    @classmethod
    def _has_no_password(cls, value: str) -> str:
        if re.search(r"//[^/@]*:[^/@]*@", value):
            raise ValueError("must not have a password in it; `variables_file` is the place for one")
        return value

    @field_validator("password_file", "variables_file")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class EnvironmentSettings(BaseModel, extra="forbid", defer_build=True):
    """Adjust one environment; whatever is left out follows the convention."""

    folder: Path | None = about("The folder of its compose files.")
    compose_file: str | None = about("Its compose files in that folder, separated by colons.")
    env_file: str | None = about("Its files of variables in that folder, separated by colons.")
    project_name: str | None = about("Its Compose project.", pattern=PROJECT_PATTERN)
    docker_host: EngineAddress | None = about("The address of its Docker engine.")
    docker_key_file: Path | None = about("The key by which its host is reached by ssh.")
    docker_known_hosts_file: Path | None = about("The file that has that host's own key, as `ssh-keyscan` prints it.")
    hosts: tuple[EngineAddress, ...] | dict[HostName, EngineAddress] = about(
        "The addresses of its Docker engines, where it runs on many hosts: a list, or a table with a name for each.", ()
    )
    parallelism: int = about("How many of its hosts are deployed to at the same time; 0 is all.", 1, ge=0, le=1000)
    delay: str = about("How long to wait between two waves of its hosts: `30s`, `2m`.", "0s", pattern=DELAY)
    max_failure_ratio: float = about(
        "Which share of its hosts may fail before all of them go back, from 0 to 1.", 0.0, ge=0, le=1
    )
    managers: tuple[EngineAddress, ...] = about(
        "Addresses of other managers of its Swarm, which are asked where `docker_host` does not answer.", ()
    )
    swarm_id: str | None = about(
        "Which Swarm it is (`docker info` shows its ID); by default the one that it was first deployed to."
    )
    engine: EngineKind = about("`compose` on one machine, or `swarm`, where `docker_host` is a manager.", COMPOSE)
    needs_approval: bool | None = about("Whether a second person has to approve its plans; by default for prod only.")
    critical_services: tuple[str, ...] | None = about(
        "Its services that fail a deployment when unhealthy, even if untouched."
    )
    observation_seconds: float | None = about(OBSERVATION, ge=0, le=3600)
    ops_channel_id: int | None = about("A channel of its own, for its deployments, plans and alerts.")
    variables: dict[str, str] = about("What its compose files are given as variables; nothing that is secret.", {})
    one_shots: tuple[str, ...] = about(
        "Its services that are meant to end, where the compose file does not say so.", ()
    )
    version_variables: tuple[VariableName, ...] | dict[str, VariableName] = about(
        "The stack's own variables that get the version: a list, or a table with one per service.", ()
    )
    git: GitSettings | None = about(
        "The repository that its files come from: `url`, `ref`, `path`, `key_file`, `known_hosts_file`, `token_file`, "
        "`signers_file`, `submodules`, `lfs`; its `folder` is written by the bot."
    )
    verify: VerifySettings | None = about(
        "Who has to have signed its images: `images`, `key_files`, `identities`, `builder`, `source`, "
        "`trusted_root_file`, `transparency_log`."
    )
    drift: DriftAction = about(
        "What becomes of what a hand changed: `alert`, or `restore`, which brings the release back by itself.",
        DriftAction.ALERT,
    )
    windows: WindowSettings | None = about(
        "When it may be deployed to: `open` (cron and a duration: `0 22 * * MON-THU for 4h`), `zone`, and dates "
        "`without`; by default always."
    )
    requires: str | None = about("The environment in which everything has to have been healthy that it takes.")
    soak: str | None = about(
        "For how long it has to have been healthy there, without an alert: `1h`, `30m`, `2d`.", pattern=SOAK
    )
    restic: ResticSettings | None = about(
        "The repository of restic that backups of its data are sent to: `repository`, `password_file`, "
        "`variables_file`."
    )
    policy: PolicyLevel | None = about("How much its stack may ask for without a permission by name.")
    allow: tuple[str, ...] = about(
        "What is allowed in it though it would be refused; the refusal says what to write.", ()
    )

    @model_validator(mode="after")
    def _managers_are_a_swarms(self) -> Self:
        if self.engine is not EngineKind.SWARM and (self.managers or self.swarm_id):
            raise ValueError('`managers` and `swarm_id` need `engine = "swarm"`')
        return self

    @property
    def named_hosts(self) -> dict[str, str]:
        """Return the addresses of its hosts, each by the name that was given, or that is in its address."""
        if isinstance(self.hosts, dict):
            return self.hosts
        return {_host_name(address): address for address in self.hosts}

    @model_validator(mode="after")
    def _hosts_are_engines(self) -> Self:
        if not self.hosts:
            if {"parallelism", "delay", "max_failure_ratio"} & self.model_fields_set:
                raise ValueError("`parallelism`, `delay` and `max_failure_ratio` need `hosts`")
            return self
        if self.engine is EngineKind.SWARM:
            raise ValueError("a Swarm spreads its services itself: name its `managers` in the place of `hosts`")
        if self.docker_host is not None:
            raise ValueError("has either `docker_host` or `hosts`")
        addresses = self.hosts.values() if isinstance(self.hosts, dict) else self.hosts
        if len(set(addresses)) < len(self.hosts):
            raise ValueError("`hosts` names one address twice")
        if len(self.named_hosts) < len(self.hosts):
            raise ValueError('`hosts` of one name: give each its own, such as `hosts = { a = "ssh://...", b = ... }`')
        if wrong := [name for name in self.named_hosts if not re.match(HOST_PATTERN, name)]:
            raise ValueError(f"`hosts`: give {', '.join(wrong)} a name of its own, as a table")
        return self


def _host_name(address: str) -> str:
    """Return what an engine's host is called: its name, with the port where one is given; of a socket, its path."""
    parts = urlsplit(address)
    if parts.hostname is None:
        return parts.path.strip("/").replace("/", "-").lower()
    return parts.hostname if parts.port is None else f"{parts.hostname}-{parts.port}"


# A source must say of which project a token is: without that, any job of the issuer would be this source.
PROJECT_CLAIMS = frozenset({"repository", "repository_id", "project_path", "project_id", "sub"})


class OidcSettings(BaseModel, extra="forbid"):
    """Say which signed tokens of CI jobs are a source's: whose, for whom, and with which claims."""

    issuer: str = Field(pattern=ISSUER)
    audience: str = Field(min_length=1, max_length=256)
    claims: dict[str, str | tuple[str, ...]]

    @field_validator("claims")
    @classmethod
    def _claims_name_a_project(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not PROJECT_CLAIMS & value.keys():
            raise ValueError(f"must pin one of {', '.join(sorted(PROJECT_CLAIMS))}")
        return value


class AppSettings(BaseModel, extra="forbid"):
    """Say as which GitHub App statuses are told."""

    id: int = Field(gt=0)
    key_file: Path


class SourceSettings(BaseModel, extra="forbid", defer_build=True):
    """Describe who offers versions: to which environments, and by which credentials it is known."""

    kind: SourceKind = about("`ci`, or what its webhooks look like, such as `github` or `harbor`.", SourceKind.CI)
    environments: dict[str, SourceMode] = about("Where it may offer versions: each `off`, `propose` or `auto`.", {})
    actions: tuple[SourceAction, ...] = about("What it may ask for: `propose`, `deploy`.", (SourceAction.PROPOSE,))
    token_hash: str | None = about(
        "The hash of its token, as `roas remote token` prints it.", pattern=r"^sha256:[0-9a-f]{64}$"
    )
    oidc: OidcSettings | None = about("Which signed tokens of a CI job are its own: issuer, audience and claims.")
    secret_file: Path | None = about(
        "The file that holds the secret of its webhooks; of Docker Hub and Quay, the end of their path."
    )
    signing_key_file: Path | None = about(
        "The file that holds GitLab's signing key (`whsec_…`); with it the old form is refused."
    )
    forge_token_file: Path | None = about("The file that holds a token to tell commits what became of them.")
    app: AppSettings | None = about("The GitHub App in the place of that token: its `id` and its `key_file`.")
    forge_url: str | None = about(
        "Where the forge's API is, such as https://git.example.org/api/v1.", pattern=r"^https?://"
    )
    repository: str | None = about(
        "Its repository, such as `acme/shop`; webhooks about others are of no use.",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$",
    )
    branches: tuple[str, ...] = about("The branches whose pushes and runs are candidates, by pattern.", ("main",))
    images: tuple[str, ...] = about("The image repositories whose new tags are candidates.", ())
    tags: tuple[str, ...] = about("The tags that are versions, by pattern, such as `v*`; all where it names none.", ())
    services: tuple[str, ...] = about("The services that its versions are for; all where it names none.", ())
    version: str = about(
        "The version of a commit, such as `sha-{short_sha}`; of {sha}, {short_sha}, {ref} and {tag}.",
        "{sha}",
        max_length=128,
    )

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that hold its secrets."""
        app = None if self.app is None else self.app.key_file
        return tuple(filter(None, (self.secret_file, self.signing_key_file, self.forge_token_file, app)))

    @model_validator(mode="after")
    def _app_is_githubs(self) -> Self:
        if self.app is not None and self.kind is not SourceKind.GITHUB:
            raise ValueError("only GitHub has an app")
        return self

    @model_validator(mode="after")
    def _signing_key_is_gitlabs(self) -> Self:
        if self.signing_key_file is not None and self.kind is not SourceKind.GITLAB:
            raise ValueError("only GitLab has a signing_key_file")
        return self


class NotifySettings(BaseModel, extra="forbid", defer_build=True):
    """Describe a target outside of Discord: where it is, and what it is told."""

    url: SecretStr | None = about("Its address, as Apprise writes it: said by a variable, never in a file.")
    url_file: Path | None = about("The file that holds its address and nothing else.")
    environments: tuple[str, ...] = about(
        "The environments that it is told about; all where it names none. Alerts of the bot itself go to every target.",
        (),
    )
    severity: Literal["critical", "high", "warning", "info"] = about(
        "From which severity on it is told of alerts. A deployment that failed counts as critical, one that was rolled "
        "back or changed nothing as high.",
        "high",
    )
    after_seconds: float | None = about(
        "Where it is set, it is told only of alerts that nobody has acknowledged for so long.", ge=1, le=86_400
    )
    language: Literal["en", "zh-TW"] = about("The language of its messages.", "en")

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the file that holds its address, where one does."""
        return () if self.url_file is None else (self.url_file,)

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if (self.url is None) is (self.url_file is None):
            raise ValueError("needs a `url_file`, or a variable that says its `url`, and not both")
        return self

    def address(self) -> str:
        """Read the address. Raises OSError, UnicodeDecodeError."""
        if self.url is not None:
            return self.url.get_secret_value().strip()
        return "" if self.url_file is None else self.url_file.read_text(encoding="utf-8").strip()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what of the address must never be shown; nothing where it cannot be read."""
        try:
            return tuple(credentials_in(self.address()))
        except (OSError, UnicodeDecodeError):
            return ()
