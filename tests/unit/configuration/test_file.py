"""`roas.toml` says every setting, below the environment, and each fault is named with its key and its file."""

import os
from pathlib import Path
from typing import Any

import pytest

from roas.configuration.environments import environments
from roas.configuration.file import FILE_SUFFIX, keys_of, named_tables
from roas.configuration.loading import load_settings, read_settings
from roas.configuration.overview import overview
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings, NotifySettings, SourceSettings
from roas.errors import SettingsError
from roas.models.environment import PolicyLevel
from roas.redaction import HIDDEN, Redactor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work where nothing is set, and return the state folder."""
    for name in os.environ:
        if name.lower().split("__")[0].removesuffix(FILE_SUFFIX) in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def write(state: Path, text: str, name: str = "roas.toml") -> Path:
    (state / name).write_text(text)
    return state / name


def faults(*, needs_discord: bool = False) -> list[str]:
    return [str(fault) for fault in read_settings(needs_discord=needs_discord).faults]


def test_every_setting_has_a_description_and_a_key_in_the_file():
    keys = [key.setting for table in keys_of(Settings).values() for key in table.values()]
    assert {*keys, *named_tables(Settings), "roas_config"} == set(Settings.model_fields)
    classes = (Settings, EnvironmentSettings, SourceSettings, NotifySettings)
    fields = {name: field for kind in classes for name, field in kind.model_fields.items()}
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_example_says_all_that_it_shows(state):
    path = write(state, (ROOT / "roas.example.toml").read_text())
    settings = load_settings(needs_discord=False)
    assert settings.discord_hotfix_role_ids == {1100000000000000004, 1100000000000000005}
    assert settings.stack_dir == Path("/srv/shop")
    assert settings.compose_policy_allow == ("host_network:proxy",)
    assert settings.redis_url.get_secret_value() == "redis://redis:6379/0"
    known = environments(settings)
    assert known["dev"].observation_seconds == 2
    assert known["staging"].variables == {"LOG_LEVEL": "debug"}
    assert settings.environments["dev"].ops_channel_id == 1100000000000000007
    assert read_settings(needs_discord=False).files == (path.relative_to(Path.cwd()),)


def test_the_environment_and_dotenv_win(state, monkeypatch):
    write(state, '[http]\nport = 1\nhost = "h"\n[log]\nlevel = "ERROR"\n[environments.dev]\nproject_name = "file"\n')
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    Path(".env").write_text("HTTP_PORT=2\nLOG_LEVEL=DEBUG\nENVIRONMENTS__DEV__OBSERVATION_SECONDS=4\n")
    monkeypatch.setenv("HTTP_PORT", "3")
    reading = read_settings(needs_discord=False)
    settings = reading.settings
    assert (settings.http_port, settings.http_host, settings.log_level) == (3, "h", "DEBUG")
    dev = settings.environments["dev"]
    assert (dev.project_name, dev.observation_seconds) == ("file", 4)
    assert reading.origin(("http_port",)).source == "environment"
    assert reading.origin(("log_level",)).source == ".env"
    assert reading.origin(("http_host",)).source == "state/roas.toml"
    assert reading.origin(("environments", "dev", "observation_seconds")).source == ".env"
    assert reading.origin(("environments", "dev", "project_name")).source == "state/roas.toml"
    assert reading.origin(("stack_dir",)) is None


def test_every_fault_is_named_with_its_place(state, monkeypatch):
    write(
        state,
        """http_port = 1
[discord]
guild_id = "guild"
ops_chanel_id = 3
deployer_role_ids = [
  1,
  "b",
]
[htp]
[stack]
home_environment = "moon"
[log]
level = "loud"
[environments.dev]
foldr = "a"
observation_seconds = -1
[environments.mars]
needs_approval = true
""",
    )
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    Path(".env").write_text("\n# port\nHTTP_PORT=eighty\n")
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    monkeypatch.setenv("ENVIRONMENTS", "{")
    monkeypatch.setenv("RELEASES_KEPT", "1")
    found = faults(needs_discord=True)
    starts = [
        "ENVIRONMENTS: is not JSON",
        "RELEASES_KEPT: must be at least 2",
        "DISCORD_TOKEN: is missing",
        "DISCORD_OPS_CHANNEL_ID: is missing",
        ".env: HTTP_PORT: must be a whole number",
        "state/roas.toml: http_port: is written as port in [http]",
        "state/roas.toml: discord.guild_id: must be a whole number",
        "state/roas.toml: discord.ops_chanel_id: there is no such key; is ops_channel_id meant?",
        "state/roas.toml: discord.deployer_role_ids.1: must be a whole number",
        "state/roas.toml: htp: there is no such table; is http meant?",
        "state/roas.toml: stack.home_environment: 'moon' is not one of dev, staging, prod",
        "state/roas.toml: log.level: must be DEBUG, INFO, WARNING or ERROR",
        "state/roas.toml: environments.dev.foldr: there is no such key; is folder meant?",
        "state/roas.toml: environments.dev.observation_seconds: must be at least 0",
        "state/roas.toml: environments.mars: ENVIRONMENT_NAMES has only",
    ]
    assert len(found) == len(starts), "\n".join(found)
    assert [start for start in starts if not any(line.startswith(start) for line in found)] == [], "\n".join(found)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('[discord]\n\nguild_id = = 1\n', "roas.toml: is not TOML: Invalid value"),
        ("[discord]\nguild_id = 1\nguild_id = 2\n", "roas.toml: is not TOML: Cannot overwrite a value"),
        ('[log]\nlevel = "INFO', "roas.toml: is not TOML: "),
        ("[stack]\ncompose = 1\n", "there is no such key; is compose_file meant?"),
        ("discord = 1\n", "roas.toml: discord: is a table: write [discord]"),
        ("environments = 1\n", "roas.toml: environments: holds tables"),
        ("[environments]\ndev = 1\n", "roas.toml: environments.dev: is a table"),
        ("[discord]\nrole_id = 1\n", "there is no such key; is alert_role_id meant?"),
        ("[discord]\ndiscord_guild_id = 1\n", "is guild_id meant?"),
        ("[discord]\nzzz = 1\n", "there is no such key; there are "),
        ("[webhook]\ntoken_file = 1\n", "roas.toml: webhook.token_file: names a file"),
        ('[webhook]\ntoken_file = "nowhere"\n', "webhook.token_file: cannot be read (No such file"),
        ('[redis]\nurl = "redis://redis"\nurl_file = "x"\n', "roas.toml: redis.url_file: is set beside"),
        ('[notify.team]\nseverity = "high"\n', "roas.toml: notify.team: needs a `url_file`, or a variable"),
        ('[notify.team]\nurl_file = "x"\nseverity = "hgih"\n', "must be critical, high, warning or info"),
        ('[notify.team]\nurl_file = "x"\nenvironments = ["mars"]\n', "notify.team.environments: 'mars' is not one of"),
        ('[notify.team]\nurl_file = "x"\nafter_seconds = 0\n', "notify.team.after_seconds: must be at least 1"),
        ('[notify.Team]\nurl_file = "x"\n', "notify.Team: has lower-case letters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words(state, text, content):
    write(state, text)
    (found,) = faults()
    assert content in found


def test_nothing_is_missing_of_a_file_that_was_not_read(state):
    write(state, "[discord]\nguild_id = 1\n[discord]\nops_channel_id = 2\n")
    (found,) = faults(needs_discord=True)
    assert "is not TOML" in found


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('[discord]\ntoken = "s3cret-value"\n', "DISCORD_TOKEN"),
        ('[webhook]\ntoken = "s3cret-value"\n', "WEBHOOK_TOKEN"),
        ('[redis]\nurl = "redis://:s3cret-value@redis"\n', "REDIS_URL"),
        ('[redis]\nurl = "redis://redis?password=s3cret-value"\n', "REDIS_URL"),
        ('[environments.dev.variables]\nAPI_KEY = "s3cret-value"\n', "API_KEY"),
        ('DISCORD_TOKEN = "s3cret-value"\n', "token_file in [discord]"),
        ('[notify.team]\nurl = "ntfy://s3cret-value@host/x"\n', "ROAS_NOTIFY__TEAM__URL"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(state, text, variable):
    write(state, text)
    (found,) = faults()
    assert variable in found
    assert "s3cret" not in found
    with pytest.raises(SettingsError) as error:
        load_settings(needs_discord=False)
    assert "s3cret" not in str(error.value)


def test_a_secret_comes_from_the_file_that_is_named(state, monkeypatch):
    write(state, "from-the-file\n", "token")
    write(state, '[discord]\ntoken_file = "token"\n')
    assert load_settings(needs_discord=False).discord_token.get_secret_value() == "from-the-file"
    monkeypatch.setenv("DISCORD_TOKEN", "from-the-environment")
    assert load_settings(needs_discord=False).discord_token.get_secret_value() == "from-the-environment"


@pytest.mark.parametrize("said", ["file", "variable"])
def test_the_address_of_a_target_is_a_secret(state, monkeypatch, said):
    address = "slack://T1A2B3C4D/B1A2B3C4D/A1b2C3d4E5f6G7h8A1b2C3d4/#ops?pass=small-word"
    if said == "file":
        file = write(state, f"{address}\n", "team")
        write(state, '[notify.team]\nurl_file = "team"\n')
    else:
        monkeypatch.setenv("ROAS_NOTIFY__TEAM__URL", address)
    reading = read_settings(needs_discord=False)
    team = reading.settings.notify["team"]
    assert team.address() == address
    redactor = Redactor(reading.settings.secrets)
    for text in (address, "T1A2B3C4D", "small-word", "A1b2C3d4E5f6G7h8A1b2C3d4"):
        assert redactor.redact(f"it is {text}") == f"it is {HIDDEN}"
    assert redactor.redact("the ops channel of slack.com") == "the ops channel of slack.com"
    assert not [line for line in overview(reading) if "A1b2" in line.shown]
    assert "A1b2" not in repr(reading.settings)
    # No stack is given the file, and none has to be there: `roas doctor` says so.
    if said == "file":
        assert file.absolute() in map(Path.absolute, reading.settings.own_files)
        file.unlink()
        assert load_settings(needs_discord=False).secrets == ()


def test_a_relative_folder_counts_from_the_file(state):
    write(state, '[stack]\nfolder = "../shop"\n[environments.dev]\nfolder = "/srv/dev"\n')
    known = environments(load_settings(needs_discord=False))
    assert known["prod"].folder == state.parent / "shop"
    assert known["dev"].folder == Path("/srv/dev")


def test_the_named_file_is_read_before_all_others(state, tmp_path, monkeypatch):
    write(state, "[http]\nport = 1\n")
    monkeypatch.setenv("STACK_DIR", str(tmp_path / "shop"))
    assert load_settings(needs_discord=False).http_port == 1
    write(tmp_path, "[http]\nport = 2\n")
    assert load_settings(needs_discord=False).http_port == 2
    named = write(tmp_path, "[http]\nport = 3\n", "mine.toml")
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    Path(".env").write_text(f"ROAS_CONFIG={named}\n")
    assert load_settings(needs_discord=False).http_port == 3
    monkeypatch.setenv("ROAS_CONFIG", str(tmp_path / "none.toml"))
    assert faults() == [f"ROAS_CONFIG: there is no file {tmp_path / 'none.toml'}"]


@pytest.mark.parametrize("where", ["ROAS_CONFIG", "working folder", "environment's folder", "link"])
def test_no_file_in_a_stacks_folder_is_read(state, tmp_path, monkeypatch, where):
    shop, outside = tmp_path / "shop", tmp_path / "outside"
    shop.mkdir()
    outside.mkdir()
    write(shop, '[policy]\nallow = ["privileged:web"]\n')
    if where == "environment's folder":
        monkeypatch.setenv("STACK_DIR", "/srv/elsewhere")
        monkeypatch.setenv("ENVIRONMENTS__DEV__FOLDER", str(shop))
    else:
        monkeypatch.setenv("STACK_DIR", str(shop))
    if where == "working folder":
        monkeypatch.chdir(shop)
    elif where == "link":
        (outside / "roas.toml").symlink_to(shop / "roas.toml")
        monkeypatch.setenv("ROAS_CONFIG", str(outside / "roas.toml"))
    else:
        monkeypatch.setenv("ROAS_CONFIG", str(shop / "roas.toml"))
    (found,) = faults()
    assert f"lies in the folder of a stack ({shop})" in found


@pytest.mark.parametrize("excuse", ['[state]\nfolder = "."\n', '[stack]\nfolder = "/srv/elsewhere"\n'])
def test_a_file_cannot_excuse_its_own_place(tmp_path, excuse):
    write(tmp_path, excuse)
    (found,) = faults()
    assert f"lies in the folder of a stack ({tmp_path})" in found


def test_the_state_folder_may_lie_in_a_stacks_folder(state, tmp_path, monkeypatch):
    monkeypatch.setenv("STACK_DIR", str(tmp_path))
    write(state, "[http]\nport = 7\n")
    assert load_settings(needs_discord=False).http_port == 7


def test_without_a_file_all_is_as_before(state):
    reading = read_settings(needs_discord=False)
    assert reading.files == ()
    assert load_settings(needs_discord=False) == reading.settings
    dumped: dict[str, Any] = Settings(_env_file=None).model_dump()
    assert reading.settings.model_dump() == dumped


def test_a_stack_does_not_choose_its_policy(state, caplog, monkeypatch):
    """Whoever changes a stack may leave an `.env` beside its compose file; policy is not read from there."""
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    Path(".env").write_text(
        "COMPOSE_POLICY=trusted\nROAS_COMPOSE_POLICY_ALLOW=docker_socket:web\nHTTP_PORT=2\n"
        'ENVIRONMENTS__DEV__POLICY=trusted\nENVIRONMENTS__DEV__ALLOW=["bind:/"]\nENVIRONMENTS__DEV__PROJECT_NAME=p\n'
    )
    assert environments(load_settings(needs_discord=False))["dev"].policy is PolicyLevel.TRUSTED
    Path("docker-compose.yml").write_text("services: {}")
    settings = load_settings(needs_discord=False)
    assert (settings.compose_policy_allow, settings.http_port) == ((), 2)
    dev = environments(settings)["dev"]
    assert (dev.policy, dev.allowed, dev.project) == (PolicyLevel.ASK, (), "p")
    assert "ENVIRONMENTS__DEV__ALLOW" in caplog.text
    assert "ROAS_COMPOSE_POLICY_ALLOW" in caplog.text or "COMPOSE_POLICY_ALLOW" in caplog.text


def test_each_environment_has_its_policy(state):
    write(state, '[policy]\nlevel = "strict"\n[environments.dev]\npolicy = "trusted"\nallow = ["bind:/srv"]\n')
    known = environments(load_settings(needs_discord=False))
    assert (known["dev"].policy, known["dev"].allowed) == (PolicyLevel.TRUSTED, ("bind:/srv",))
    assert (known["prod"].policy, known["prod"].allowed) == (PolicyLevel.STRICT, ())
    assert known["dev"].siblings == {known["staging"].project, known["prod"].project}


@pytest.mark.parametrize(
    "text", ["DISCORD_API_URL=https://evil.example", "ROAS_STATE_DIR=/x", "ENVIRONMENTS__PROD__NEEDS_APPROVAL=0"]
)
def test_settings_that_nobody_named_are_not_read(state, text):
    """Whoever can write in the working folder would say where the token is sent: a command stops, and says the way."""
    Path(".env").write_text(f"{text}\n")
    (found,) = faults()
    assert "--env-file .env" in found
    reading = read_settings(needs_discord=False)
    assert reading.partial.discord_api_url is None
    assert reading.partial.state_dir == Path("state")


@pytest.mark.parametrize("text", ["COMPOSE_FILE=a.yml\nLOG_LEVEL=DEBUG", "DB_PASSWORD=x", "STATE_DIR=s", ""])
def test_variables_that_nobody_misses_stop_nothing(state, text, monkeypatch):
    """Those of a stack; and those that somebody has put into the environment, as Compose or a host does."""
    monkeypatch.setenv("STATE_DIR", "s")
    Path(".env").write_text(f"{text}\n")
    assert faults() == []
    assert load_settings(needs_discord=False).log_level == "INFO"


def test_named_file_has_to_be_there(state, monkeypatch):
    monkeypatch.setenv("ROAS_ENV_FILE", "gone.env")
    assert any("gone.env" in text and "does not exist" in text for text in faults())
    monkeypatch.setenv("ROAS_ENV_FILE", "")
    Path(".env").write_text("HTTP_PORT=eighty\n")
    assert faults() == [], "not meant"
