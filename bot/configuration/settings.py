"""Name every setting: its type, its place in `roas.toml`, what it is for, and what it is by default."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from roas.configuration.sources import variable
from roas.configuration.tables import (
    PROJECT_PATTERN,
    EngineAddress,
    EnvironmentSettings,
    NotifySettings,
    SourceSettings,
    about,
)
from roas.models.environment import PolicyLevel, whole_of

DEFAULT_ENVIRONMENTS = ("dev", "staging", "prod")
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
GROUP_PATTERN = r"^[a-z0-9_-]{1,32}$"
HTTP_PATTERN = r"^https?://"
LEVEL_PATTERN = r"(?i)^(DEBUG|INFO|WARNING|ERROR)$"
LEVELS = {"choices": ["DEBUG", "INFO", "WARNING", "ERROR"]}
FORMATS = {"choices": ["auto", "json", "console"]}
NOBODY: frozenset[int] = frozenset()
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
Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]


def _at(
    table: str, key: str, text: str, default: Any = None, extra: Mapping[str, Any] | None = None, **limits: Any
) -> Any:
    """Describe a setting, and where it is in `roas.toml`: its table and its key there."""
    return Field(
        default=default, description=text, json_schema_extra={"table": table, "key": key, **(extra or {})}, **limits
    )


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
    roas_config: Path | None = about("The file with settings, where it is in neither usual place.")

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
    swarm_state_key_file: Path | None = _at(
        "state",
        "swarm_key_file",
        "The file of the key by which the state is kept in the Swarm, for bots on several machines.",
    )
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
    docker_key_file: Path | None = _at("stack", "docker_key_file", "The key by which its host is reached by ssh.")
    docker_known_hosts_file: Path | None = _at(
        "stack", "docker_known_hosts_file", "The file that has that host's own key, as `ssh-keyscan` prints it."
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
    environments: dict[str, EnvironmentSettings] = about(
        "What is different about one environment; whatever is left out follows the convention.", {}
    )
    sources: dict[str, SourceSettings] = about("Who may offer versions to which environments.", {})
    notify: dict[str, NotifySettings] = about("Who is told outside of Discord of what needs a person.", {})
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
    def named_files(self) -> tuple[Path, ...]:
        """Return the files that its tables name and that hold a secret, or say who is trusted."""
        files: list[Path] = list(filter(None, [self.docker_key_file, self.swarm_state_key_file]))
        for environment in self.environments.values():
            files += filter(None, [environment.docker_key_file])
            files += environment.git.files if environment.git is not None else ()
            files += environment.verify.files if environment.verify is not None else ()
            files += environment.restic.files if environment.restic is not None else ()
        for source in self.sources.values():
            files += source.files
        for target in self.notify.values():
            files += target.files
        return tuple(files)

    @property
    def own_channels(self) -> dict[str, int]:
        """Return the channel of each environment that has one of its own."""
        main = self.discord_ops_channel_id
        said = {name: own.ops_channel_id for name, own in self.environments.items()}
        return {name: channel for name, channel in said.items() if channel is not None and channel != main}

    def channel_of(self, environment: str) -> tuple[int | None, str]:
        """Return the channel of an environment, and the setting that names it; a host's is that of all hosts."""
        environment = whole_of(environment)
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
