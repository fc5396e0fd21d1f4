"""Define the place of each setting in `roas.toml`, and describe the setting in one sentence.

To add a setting, add its key here; a test fails for one that cannot be set in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ENVIRONMENTS = "environments"
SOURCES = "sources"
# What names a file that holds a secret, after the name of the secret.
FILE_SUFFIX = "_file"


@dataclass(frozen=True, slots=True)
class Key:
    """Describe one key: the setting that it says, and what is special about how it is written.

    A relative path counts from the folder of the file. `choices` are all there are, for editors. `secret` is the
    setting whose value is in the file that this key names.
    """

    setting: str
    about: str
    is_path: bool = False
    choices: tuple[str, ...] = ()
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Describe one table and its keys."""

    about: str
    keys: Mapping[str, Key] = field(default_factory=dict)


def _secret_file(setting: str, what: str) -> Key:
    return Key(f"{setting}{FILE_SUFFIX}", f"The file that holds {what} and nothing else.", secret=setting)


TABLES: Mapping[str, Table] = {
    "discord": Table(
        "The server, the channel and the roles that the bot works with.",
        {
            "token_file": _secret_file("discord_token", "the bot's token"),
            "guild_id": Key("discord_guild_id", "The id of the server."),
            "ops_channel_id": Key(
                "discord_ops_channel_id", "The id of the ops channel: what has no channel of its own is posted here."
            ),
            "deployer_role_ids": Key("discord_deployer_role_ids", "The roles that may use /deploy and /rollback."),
            "approver_role_ids": Key("discord_approver_role_ids", "The roles that may approve somebody else's plan."),
            "hotfix_role_ids": Key("discord_hotfix_role_ids", "The roles that may use /hotfix."),
            "alert_role_id": Key("discord_alert_role_id", "The role that urgent alerts mention."),
            "command_group": Key(
                "discord_command_group", "The group that all commands are in (`/roas deploy`); by default none."
            ),
            "mention_approvers": Key(
                "discord_mention_approvers", "Whether a plan that waits for an approval mentions the approver roles."
            ),
            "api_url": Key("discord_api_url", "Where Discord's API is; only behind a proxy, or for the sandbox."),
            "gateway_url": Key(
                "discord_gateway_url", "Where Discord's gateway is; only behind a proxy, or for the sandbox."
            ),
        },
    ),
    "stack": Table(
        "What all environments have in common; each may differ in its own table.",
        {
            "folder": Key("stack_dir", "The folder of the compose files.", is_path=True),
            "compose_file": Key("compose_file", "The compose files in that folder, separated by colons."),
            "project_name": Key("compose_project_name", "The home environment's Compose project."),
            "docker_host": Key("docker_host", "The address of the Docker engine, such as unix:///var/run/docker.sock."),
            "environment_names": Key("environment_names", "The names of all environments."),
            "home_environment": Key("home_environment", "The environment that the bot itself is a service of."),
            "critical_services": Key(
                "critical_services",
                "The services that fail a deployment when they are unhealthy, even if it did not touch them.",
            ),
        },
    ),
    "deployment": Table(
        "How deployments are made.",
        {
            "releases_kept": Key("releases_kept", "How many releases are kept for a rollback."),
            "handover_seconds": Key(
                "handover_seconds", "How long a new version of the bot may take until it is ready to take over."
            ),
            "parallel_execution": Key(
                "parallel_execution",
                "Whether independent services are updated at the same time; by default for /deploy, not for /hotfix.",
            ),
        },
    ),
    "policy": Table(
        "What compose files may ask for.",
        {
            "allow": Key(
                "compose_policy_allow", "What is allowed though it would be refused; the refusal says what to write."
            ),
            "level": Key(
                "compose_policy",
                "How much stacks may ask for without a permission by name.",
                choices=("strict", "default", "trusted"),
            ),
        },
    ),
    "state": Table(
        "Where the bot keeps what it knows.",
        {
            "folder": Key("state_dir", "The folder of the journal and of the releases.", is_path=True),
            "history_days": Key("history_days", "How many days the journal's events are kept."),
            "history_rows": Key("history_rows", "How many of the journal's events are kept at most, the newest."),
        },
    ),
    "http": Table(
        "Where the bot serves /health, /ready, /metrics and /alerts.",
        {
            "host": Key("http_host", "The address to listen on."),
            "port": Key("http_port", "The port to listen on; 0 takes a free one."),
        },
    ),
    "api": Table(
        "Where the bot serves the API for CI jobs and the webhooks; without a port it does not.",
        {
            "host": Key("api_host", "The address to listen on."),
            "port": Key("api_port", "The port to listen on; 0 takes a free one."),
        },
    ),
    "webhook": Table(
        "Who may post alerts to the bot.",
        {"token_file": _secret_file("webhook_token", "the bearer token of POST /alerts")},
    ),
    "redis": Table(
        "The Redis that gets a copy of the state.",
        {
            "url": Key("redis_url", "Its address, where no password stands in it."),
            "url_file": _secret_file("redis_url", "its address with the password"),
        },
    ),
    "prometheus": Table("The Prometheus that is asked for figures.", {"url": Key("prometheus_url", "Its address.")}),
    "log": Table(
        "What is logged, and how it is written.",
        {
            "level": Key("log_level", "From which level on.", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
            "format": Key(
                "log_format",
                "Lines for people, or JSON; auto means lines on a terminal.",
                choices=("auto", "json", "console"),
            ),
        },
    ),
}
ABOUT_SOURCES = "Who may offer versions to which environments, and how the bot knows that it is them."
SOURCE_KEYS: Mapping[str, str] = {
    "kind": "What it is: `ci`, or what its webhooks look like, such as `github` or `harbor`.",
    "environments": "The environments that it may offer versions to: each `off`, `propose` or `auto`.",
    "actions": "What its credentials may ask for: `propose`, `deploy`.",
    "token_hash": "The hash of its token, as `roas remote token` prints it.",
    "oidc": "Which signed tokens of a CI job are its own: issuer, audience and claims.",
    "secret_file": "The file that holds the secret of its webhooks; of Docker Hub and Quay, the end of their path.",
    "signing_key_file": "The file that holds GitLab's signing key (`whsec_…`); with it the old form is refused.",
    "repository": "Its repository, such as `acme/shop`; webhooks about others are of no use.",
    "branches": "The branches of which a push or a run is a candidate, by pattern; by default `main`.",
    "images": "The image repositories whose new tags are candidates, such as `ghcr.io/acme/shop`.",
    "tags": "The tags that are versions, by pattern, such as `v*`; all where it names none.",
    "services": "The services that its versions are for; all where it names none.",
    "version": "What the version of a commit is, such as `sha-{sha:.7}`; of {sha}, {short_sha}, {ref} and {tag}.",
}
ABOUT_ENVIRONMENTS = "What is different about one environment; whatever is left out follows the convention."
ENVIRONMENT_KEYS: Mapping[str, str] = {
    "folder": "The folder of its compose files.",
    "compose_file": "Its compose files in that folder, separated by colons.",
    "env_file": "Its files of variables in that folder, separated by colons.",
    "project_name": "Its Compose project.",
    "docker_host": "The address of its Docker engine.",
    "engine": "What runs its stack: `compose` on one machine, or `swarm`, where `docker_host` is a manager.",
    "needs_approval": "Whether a second person has to approve its deployments; by default for prod only.",
    "critical_services": "Its services that fail a deployment when they are unhealthy, even if it did not touch them.",
    "observation_seconds": (
        "How long each service is watched before a deployment counts as a success, unless its `monitor` is longer. "
        "Unset, that is 30 s without a health check, 10 s if critical, else 5 s; in dev 2 s."
    ),
    "ops_channel_id": "The id of a channel of its own: its deployments, plans and alerts are posted there.",
    "policy": "How much its stack may ask for without a permission by name: `strict`, `default` or `trusted`.",
    "allow": "What is allowed in it though it would be refused; the refusal says what to write.",
    "one_shots": "Its services that are meant to end, where the compose file does not say so.",
    "version_variables": "The stack's own variables that get the version: a list, or a table with one per service.",
    "variables": "What its compose files are given as variables; nothing that is secret.",
}
PATHS_OF_TABLE = {ENVIRONMENTS: frozenset({"folder"}), SOURCES: frozenset({"secret_file", "signing_key_file"})}
NAMED_TABLES = (ENVIRONMENTS, SOURCES)
# The settings that decide where the file is cannot be in it.
NOT_IN_THE_FILE = frozenset({"roas_config"})


def key_of(setting: str) -> tuple[str, str] | None:
    """Return table and key of a setting, or None where it cannot be said in the file."""
    for table, described in TABLES.items():
        for key, known in described.keys.items():
            if known.setting == setting:
                return table, key
    return None
