"""Read the settings from the environment, `.env`, `*_FILE` secrets and `roas.toml`, and explain invalid ones."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from roas.configuration.reading import Reading, read
from roas.configuration.sources import OF_THE_HOST, PREFIX, Fault, Place, VariableSource, variable
from roas.errors import SettingsError
from roas.log import get_logger
from roas.models.candidate import SourceAction, SourceKind, SourceMode
from roas.models.environment import REPOSITORY_ADDRESS, DriftAction, EngineKind, PolicyLevel
from roas.models.windows import read_dates, read_window
from roas.redaction import credentials_in

log = get_logger(__name__)

DEFAULT_ENVIRONMENTS = ("dev", "staging", "prod")
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
PROJECT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
GROUP_PATTERN = r"^[a-z0-9_-]{1,32}$"
HTTP_PATTERN = r"^https?://"
LEVEL_PATTERN = r"(?i)^(DEBUG|INFO|WARNING|ERROR)$"
LEVELS = {"choices": ["DEBUG", "INFO", "WARNING", "ERROR"]}
FORMATS = {"choices": ["auto", "json", "console"]}
NOBODY: frozenset[int] = frozenset()
COMPOSE = EngineKind.COMPOSE
OBSERVATION = (
    "How long each service is watched before a deployment counts as a success, unless its `monitor` is longer. "
    "Unset, that is 30 s without a health check, 10 s if critical, else 5 s; in dev 2 s."
)
SECRET_FIELDS = ("discord_token", "webhook_token", "redis_url")


def _split_ids(value: object) -> object:
    """Read `1, 2 3` as a set of ids; an empty value is an empty set, which allows nobody."""
    if isinstance(value, str):
        return [part for part in value.replace(",", " ").split() if part]
    if isinstance(value, int):
        return [value]
    return value


def _split_names(value: object) -> object:
    """Read `a, b c` as a tuple of names."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Ids = Annotated[frozenset[int], NoDecode, BeforeValidator(_split_ids)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# What both the SDK and Compose take. A relative path would be another one for each of them, and the kernel takes no
# longer one.
EngineAddress = Annotated[str, Field(pattern=r"^(unix:///.{1,106}|tcp://.+|ssh://.+)$")]
Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]


def _about(text: str, default: Any = None, **limits: Any) -> Any:
    """Describe what is said of one environment."""
    return Field(default=default, description=text, **limits)


def _at(
    table: str, key: str, text: str, default: Any = None, extra: Mapping[str, Any] | None = None, **limits: Any
) -> Any:
    """Describe a setting, and where it is in `roas.toml`: its table and its key there."""
    return Field(
        default=default, description=text, json_schema_extra={"table": table, "key": key, **(extra or {})}, **limits
    )


# Who signs tokens: by TLS, or on this machine.
SOAK = r"^([0-9]{1,6}[mhd])+$"
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


class EnvironmentSettings(BaseModel, extra="forbid", defer_build=True):
    """Adjust one environment; whatever is left out follows the convention."""

    folder: Path | None = _about("The folder of its compose files.")
    compose_file: str | None = _about("Its compose files in that folder, separated by colons.")
    env_file: str | None = _about("Its files of variables in that folder, separated by colons.")
    project_name: str | None = _about("Its Compose project.", pattern=PROJECT_PATTERN)
    docker_host: EngineAddress | None = _about("The address of its Docker engine.")
    engine: EngineKind = _about("`compose` on one machine, or `swarm`, where `docker_host` is a manager.", COMPOSE)
    needs_approval: bool | None = _about("Whether a second person has to approve its plans; by default for prod only.")
    critical_services: tuple[str, ...] | None = _about(
        "Its services that fail a deployment when unhealthy, even if untouched."
    )
    observation_seconds: float | None = _about(OBSERVATION, ge=0, le=3600)
    ops_channel_id: int | None = _about("A channel of its own, for its deployments, plans and alerts.")
    variables: dict[str, str] = _about("What its compose files are given as variables; nothing that is secret.", {})
    one_shots: tuple[str, ...] = _about(
        "Its services that are meant to end, where the compose file does not say so.", ()
    )
    version_variables: tuple[VariableName, ...] | dict[str, VariableName] = _about(
        "The stack's own variables that get the version: a list, or a table with one per service.", ()
    )
    git: GitSettings | None = _about(
        "The repository that its files come from: `url`, `ref`, `path`, `key_file`, `known_hosts_file`, `token_file`, "
        "`signers_file`, `submodules`, `lfs`; its `folder` is written by the bot."
    )
    verify: VerifySettings | None = _about(
        "Who has to have signed its images: `images`, `key_files`, `identities`, `builder`, `source`, "
        "`trusted_root_file`, `transparency_log`."
    )
    drift: DriftAction = _about(
        "What becomes of what a hand changed: `alert`, or `restore`, which brings the release back by itself.",
        DriftAction.ALERT,
    )
    windows: WindowSettings | None = _about(
        "When it may be deployed to: `open` (cron and a duration: `0 22 * * MON-THU for 4h`), `zone`, and dates "
        "`without`; by default always."
    )
    requires: str | None = _about("The environment in which everything has to have been healthy that it takes.")
    soak: str | None = _about(
        "For how long it has to have been healthy there, without an alert: `1h`, `30m`, `2d`.", pattern=SOAK
    )
    policy: PolicyLevel | None = _about("How much its stack may ask for without a permission by name.")
    allow: tuple[str, ...] = _about(
        "What is allowed in it though it would be refused; the refusal says what to write.", ()
    )


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

    kind: SourceKind = _about("`ci`, or what its webhooks look like, such as `github` or `harbor`.", SourceKind.CI)
    environments: dict[str, SourceMode] = _about("Where it may offer versions: each `off`, `propose` or `auto`.", {})
    actions: tuple[SourceAction, ...] = _about("What it may ask for: `propose`, `deploy`.", (SourceAction.PROPOSE,))
    token_hash: str | None = _about(
        "The hash of its token, as `roas remote token` prints it.", pattern=r"^sha256:[0-9a-f]{64}$"
    )
    oidc: OidcSettings | None = _about("Which signed tokens of a CI job are its own: issuer, audience and claims.")
    secret_file: Path | None = _about(
        "The file that holds the secret of its webhooks; of Docker Hub and Quay, the end of their path."
    )
    signing_key_file: Path | None = _about(
        "The file that holds GitLab's signing key (`whsec_…`); with it the old form is refused."
    )
    forge_token_file: Path | None = _about("The file that holds a token to tell commits what became of them.")
    app: AppSettings | None = _about("The GitHub App in the place of that token: its `id` and its `key_file`.")
    forge_url: str | None = _about(
        "Where the forge's API is, such as https://git.example.org/api/v1.", pattern=r"^https?://"
    )
    repository: str | None = _about(
        "Its repository, such as `acme/shop`; webhooks about others are of no use.", pattern=r"^[\w.-]+(/[\w.-]+)+$"
    )
    branches: tuple[str, ...] = _about("The branches whose pushes and runs are candidates, by pattern.", ("main",))
    images: tuple[str, ...] = _about("The image repositories whose new tags are candidates.", ())
    tags: tuple[str, ...] = _about("The tags that are versions, by pattern, such as `v*`; all where it names none.", ())
    services: tuple[str, ...] = _about("The services that its versions are for; all where it names none.", ())
    version: str = _about(
        "The version of a commit, such as `sha-{short_sha}`; of {sha}, {short_sha}, {ref} and {tag}.",
        "{sha}",
        max_length=128,
    )

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

    url: SecretStr | None = _about("Its address, as Apprise writes it: said by a variable, never in a file.")
    url_file: Path | None = _about("The file that holds its address and nothing else.")
    environments: tuple[str, ...] = _about(
        "The environments that it is told about; all where it names none. Alerts of the bot itself go to every target.",
        (),
    )
    severity: Literal["critical", "high", "warning", "info"] = _about(
        "From which severity on it is told of alerts. A deployment that failed counts as critical, one that was rolled "
        "back or changed nothing as high.",
        "high",
    )
    after_seconds: float | None = _about(
        "Where it is set, it is told only of alerts that nobody has acknowledged for so long.", ge=1, le=86_400
    )
    language: Literal["en", "zh-TW"] = _about("The language of its messages.", "en")

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


class Settings(BaseSettings):
    """Hold every setting; the names in the environment are these names in capitals, with `ROAS_` before them or not."""

    # Read with the prefix only. What validates is built for the first that is made: of one class, not of each.
    model_config = SettingsConfigDict(
        extra="ignore",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        env_ignore_empty=True,
        defer_build=True,
    )

    # It decides where the file is, so that the file cannot say it.
    roas_config: Path | None = _about("The file with settings, where it is in neither usual place.")

    discord_token: SecretStr | None = _at("discord", "token", "The bot's token.")
    discord_guild_id: int | None = _at("discord", "guild_id", "The id of the server.")
    discord_ops_channel_id: int | None = _at(
        "discord", "ops_channel_id", "The channel of all that has none of its own."
    )
    discord_deployer_role_ids: Ids = _at("discord", "deployer_role_ids", "Who may use /deploy and /rollback.", NOBODY)
    discord_approver_role_ids: Ids = _at(
        "discord", "approver_role_ids", "Who may approve another person's plan.", NOBODY
    )
    discord_hotfix_role_ids: Ids = _at("discord", "hotfix_role_ids", "Who may use /hotfix.", NOBODY)
    discord_alert_role_id: int | None = _at("discord", "alert_role_id", "The role that urgent alerts mention.")
    discord_mention_approvers: bool = _at(
        "discord", "mention_approvers", "Whether a plan mentions its approvers.", True
    )
    discord_command_group: str | None = _at(
        "discord",
        "command_group",
        "The group of all commands (`/roas deploy`); by default none.",
        pattern=GROUP_PATTERN,
    )
    discord_api_url: str | None = _at("discord", "api_url", "Discord's API, behind a proxy.", pattern=HTTP_PATTERN)
    discord_gateway_url: str | None = _at("discord", "gateway_url", "Its gateway, behind a proxy.", pattern=r"^wss?://")

    redis_url: SecretStr | None = _at("redis", "url", "The address of Redis.", extra={"address": True})
    state_dir: Path = _at("state", "folder", "The folder of the journal and of the releases.", Path("state"))
    http_host: str = _at("http", "host", "The address to listen on.", "127.0.0.1")
    http_port: int = _at("http", "port", "The port to listen on; 0 takes a free one.", 8000, ge=0, le=65535)
    api_host: str = _at("api", "host", "The address to listen on.", "127.0.0.1")
    api_port: int | None = _at("api", "port", "The port to listen on; 0 takes a free one.", ge=0, le=65535)
    webhook_token: SecretStr | None = _at("webhook", "token", "The bearer token of POST /alerts.")
    prometheus_url: str | None = _at("prometheus", "url", "The address of Prometheus.", pattern=HTTP_PATTERN)
    log_level: str = _at("log", "level", "From which level on.", "INFO", LEVELS, pattern=LEVEL_PATTERN)
    log_format: str = _at(
        "log", "format", "Lines for people, or JSON.", "auto", FORMATS, pattern=r"^(auto|json|console)$"
    )

    docker_host: EngineAddress | None = _at(
        "stack", "docker_host", "The Docker engine, such as unix:///run/docker.sock."
    )
    stack_dir: Path = _at("stack", "folder", "The folder of the compose files.", Path())
    compose_file: Text | None = _at("stack", "compose_file", "The compose files in it, separated by colons.")
    compose_project_name: str | None = _at(
        "stack", "project_name", "The Compose project of the home environment.", pattern=PROJECT_PATTERN
    )
    home_environment: str | None = _at(
        "stack", "home_environment", "The environment that the bot is a service of.", pattern=NAME_PATTERN
    )
    environment_names: Names = _at("stack", "environment_names", "The names of all environments.", DEFAULT_ENVIRONMENTS)
    environments: dict[str, EnvironmentSettings] = _about(
        "What is different about one environment; whatever is left out follows the convention.", {}
    )
    sources: dict[str, SourceSettings] = _about("Who may offer versions to which environments.", {})
    notify: dict[str, NotifySettings] = _about("Who is told outside of Discord of what needs a person.", {})
    critical_services: Names = _at(
        "stack",
        "critical_services",
        "The services that fail a deployment when unhealthy, even if untouched.",
        ("discord-bot", "redis"),
    )
    releases_kept: int = _at("deployment", "releases_kept", "How many releases are kept.", 10, ge=2, le=100)
    history_days: float = _at("state", "history_days", "How many days events are kept.", 90, ge=1, le=3650)
    history_rows: int = _at("state", "history_rows", "How many events are kept.", 100_000, ge=1000, le=10_000_000)
    handover_seconds: float = _at(
        "deployment", "handover_seconds", "How long a new version of the bot may take to be ready.", 60, gt=0, le=250
    )
    parallel_execution: bool | None = _at(
        "deployment",
        "parallel_execution",
        "Whether independent services are updated at once; by default not by /hotfix.",
    )
    compose_policy: PolicyLevel = _at("policy", "level", "Who gives stacks new powers.", PolicyLevel.ASK)
    compose_policy_allow: Names = _at(
        "policy", "allow", "What is allowed though it would be refused; the refusal says what to write.", ()
    )

    @field_validator("environment_names")
    @classmethod
    def _names_are_plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(NAME_PATTERN, name):
                raise ValueError(f"{name!r} is not a valid environment name (lower-case letters, digits, - and _ only)")
        if not value:
            raise ValueError("names no environment")
        return value

    # Where these were read from: what no stack is given.
    _own_files: tuple[Path, ...] = PrivateAttr(default=())

    @property
    def own_files(self) -> tuple[Path, ...]:
        """Return the files that the settings come from, and those that hold a secret of theirs."""
        return self._own_files

    def come_from(self, files: Iterable[Path]) -> None:
        """Remember the files that these were read from."""
        self._own_files = tuple(files)

    @property
    def own_channels(self) -> dict[str, int]:
        """Return the channel of each environment that has one of its own."""
        main = self.discord_ops_channel_id
        said = {name: own.ops_channel_id for name, own in self.environments.items()}
        return {name: channel for name, channel in said.items() if channel is not None and channel != main}

    def channel_of(self, environment: str) -> tuple[int | None, str]:
        """Return the channel of an environment, and the setting that names it."""
        if (own := self.own_channels.get(environment)) is not None:
            return own, variable(("environments", environment, "ops_channel_id"))
        return self.discord_ops_channel_id, variable(("discord_ops_channel_id",))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the values that must never be shown; for redaction only."""
        values = (getattr(self, name) for name in SECRET_FIELDS)
        own = (value.get_secret_value() for value in values if value is not None)
        return (*own, *(secret for target in self.notify.values() for secret in target.secrets))


class GivenSettings(Settings):
    """Accept only what is passed in: the sources were read before, each error with its place."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the environment."""
        return (init_settings,)


def load_settings(*, needs_discord: bool, environ: Mapping[str, str] | None = None, is_guest: bool = False) -> Settings:
    """Read the settings; `needs_discord` also demands what only the bot itself needs.

    Raises SettingsError that lists every wrong or missing setting, not the first.
    """
    reading = read_settings(needs_discord=needs_discord, environ=environ, is_guest=is_guest)
    if reading.settings is None:
        raise _fault(reading.faults)
    if reading.ignored:
        log.warning(
            "policy in the .env of a stack's folder is not read: say it in roas.toml",
            ignored=", ".join(reading.ignored),
        )
    return reading.settings


def read_settings(
    *, needs_discord: bool, environ: Mapping[str, str] | None = None, is_guest: bool = False
) -> Reading[GivenSettings]:
    """Read the settings as `load_settings` does, with all that is wrong with them and where each comes from."""
    environ = os.environ if environ is None else environ
    reading = read(GivenSettings, SECRET_FIELDS, environ, prefixed_only=OF_THE_HOST if is_guest else frozenset())
    if needs_discord:
        reading = reading.with_faults(_missing(reading))
    if reading.partial is None:
        return reading
    named = (environ.get(f"{prefix}{name.upper()}_FILE") for name in SECRET_FIELDS for prefix in ("", PREFIX))
    own = (source.own_file for source in reading.sources if isinstance(source, VariableSource))
    secrets = [Path(path) for path in named if path]
    environments = reading.partial.environments.values()
    repositories = (environment.git for environment in environments if environment.git is not None)
    held = [getattr(git, name) for git in repositories for name in ("key_file", "token_file")]
    held += [
        path for environment in environments if environment.verify is not None for path in environment.verify.files
    ]
    files = ("secret_file", "signing_key_file", "forge_token_file")
    held += [getattr(source, name) for source in reading.partial.sources.values() for name in files]
    held += [target.url_file for target in reading.partial.notify.values()]
    held += [source.app.key_file for source in reading.partial.sources.values() if source.app is not None]
    reading.partial.come_from((*filter(None, own), *reading.files, *secrets, *filter(None, held)))
    return reading.with_faults(_contradictions(reading, reading.partial))


def _missing(reading: Reading[GivenSettings]) -> Iterator[Fault]:
    """Yield what the bot cannot run without; what is present but invalid is reported already.

    What a file that cannot be read would have said is not known.
    """
    if any(fault.place.file and not fault.place.name for fault in reading.faults):
        return
    wrong = {fault.place.name for fault in reading.faults}
    for name in ("discord_token", "discord_guild_id", "discord_ops_channel_id"):
        place = reading.place((name,))
        if reading.origin((name,)) is None and not wrong & {place.name, f"{place.name}_FILE"}:
            yield Fault(place, "is missing")


def _contradictions(reading: Reading[GivenSettings], settings: Settings) -> Iterator[Fault]:
    """Yield what is wrong with settings that are each right by themselves."""
    known = ", ".join(settings.environment_names)
    if settings.home_environment is not None and settings.home_environment not in settings.environment_names:
        yield Fault(reading.place(("home_environment",)), f"{settings.home_environment!r} is not one of {known}")
    for name in settings.environments:
        if name not in settings.environment_names:
            yield Fault(reading.place(("environments", name)), f"ENVIRONMENT_NAMES has only {known}")
        if _shares_folder(settings, name):
            yield Fault(reading.place(("environments", name, "git")), "needs a `folder` of this environment alone")
    yield from _contradicting_requirements(reading, settings)
    yield from _contradicting_sources(reading, settings)
    yield from _contradicting_targets(reading, settings)
    for path in reading.files:
        if (stack := _stack_around(path, reading, settings)) is not None:
            yield Fault(
                Place("", str(path)),
                f"lies in the folder of a stack ({stack}), where whoever changes the stack could change the bot: move "
                f"it into STATE_DIR ({settings.state_dir}), or elsewhere and name it with ROAS_CONFIG",
            )


def _shares_folder(settings: Settings, name: str) -> bool:
    """Return whether an environment whose files come from a repository has no folder of its own."""
    own = settings.environments[name]
    others = (environment.folder for other, environment in settings.environments.items() if other != name)
    return own.git is not None and (own.folder is None or own.folder in others)


def _contradicting_requirements(reading: Reading[GivenSettings], settings: Settings) -> Iterator[Fault]:
    required = {name: own.requires for name, own in settings.environments.items()}
    for name, own in settings.environments.items():
        if own.requires is None:
            if own.soak is not None:
                yield Fault(reading.place(("environments", name, "soak")), "needs `requires`, which says where")
            continue
        place, seen = reading.place(("environments", name, "requires")), {name}
        other: str | None = own.requires
        if other not in settings.environment_names:
            yield Fault(place, f"{other!r} is not one of {', '.join(settings.environment_names)}")
        while other is not None and other not in seen:
            seen.add(other)
            other = required.get(other)
        if other is not None:
            yield Fault(place, "goes round in a circle")


def _contradicting_sources(reading: Reading[GivenSettings], settings: Settings) -> Iterator[Fault]:
    known = ", ".join(settings.environment_names)
    for name, source in settings.sources.items():
        if not re.fullmatch(NAME_PATTERN, name):
            yield Fault(reading.place(("sources", name)), "has lower-case letters, digits, - and _ only")
        for environment in source.environments:
            if environment not in settings.environment_names:
                place = reading.place(("sources", name, "environments"))
                yield Fault(place, f"{environment!r} is not one of {known}")


def _contradicting_targets(reading: Reading[GivenSettings], settings: Settings) -> Iterator[Fault]:
    known = ", ".join(settings.environment_names)
    for name, target in settings.notify.items():
        if not re.fullmatch(NAME_PATTERN, name):
            yield Fault(reading.place(("notify", name)), "has lower-case letters, digits, - and _ only")
        for environment in target.environments:
            if environment not in settings.environment_names:
                yield Fault(reading.place(("notify", name, "environments")), f"{environment!r} is not one of {known}")


def _stack_around(path: Path, reading: Reading[GivenSettings], settings: Settings) -> Path | None:
    """Return the stack folder that a file is in; the state folder is the bot's own wherever it is.

    The file cannot say of itself that its place is a good one, nor can one that lies in a stack's folder.
    """
    state_dir = _folder(reading.without_stacks(), "state_dir")
    stack_dir = _folder(reading.without_files(), "stack_dir")
    file = path.resolve()
    if file.is_relative_to(state_dir.resolve()):
        return None
    own = [environment.folder for environment in settings.environments.values() if environment.folder is not None]
    folders = [folder.expanduser().resolve() for folder in (stack_dir, settings.stack_dir, *own)]
    return next((folder for folder in folders if file.is_relative_to(folder)), None)


def _folder(said: Mapping[str, Any], name: str) -> Path:
    return Path(str(said.get(name) or Settings.model_fields[name].default)).expanduser()


def _fault(faults: tuple[Fault, ...]) -> SettingsError:
    return SettingsError(
        "The settings are not usable:\n" + "\n".join(f"  - {fault}" for fault in faults),
        hint="Correct them in the environment, in .env or in roas.toml; .env.example and docs/configuration.md explain "
        "each.",
    )
