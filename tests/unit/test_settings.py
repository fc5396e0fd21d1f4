"""Settings are read by convention, and wrong ones are told in words."""

from pathlib import Path

import pytest

from roas.configuration.environments import environments
from roas.configuration.loading import load_settings
from roas.errors import SettingsError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("DISCORD_", "ENVIRONMENT", "COMPOSE_", "HTTP_", "REDIS", "STATE_", "STACK_", "HOME_ENV")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_wrong_and_missing_settings_all_named(monkeypatch):
    monkeypatch.setenv("HTTP_PORT", "eighty")
    monkeypatch.setenv("DISCORD_GUILD_ID", "guild")
    with pytest.raises(SettingsError) as error:
        load_settings(needs_discord=True)
    assert "HTTP_PORT" in error.value.message
    assert "DISCORD_GUILD_ID" in error.value.message
    assert ".env.example" in error.value.hint


def test_discord_settings_optional_without_discord(monkeypatch):
    load_settings(needs_discord=False)
    with pytest.raises(SettingsError, match="DISCORD_TOKEN: is missing"):
        load_settings(needs_discord=True)


def test_wrong_value_never_shown(monkeypatch):
    monkeypatch.setenv("DISCORD_GATEWAY_URL", "s3cret-value")
    with pytest.raises(SettingsError) as error:
        load_settings(needs_discord=False)
    assert "s3cret" not in str(error.value)


def test_secret_read_from_file(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("from-the-file\n")
    monkeypatch.setenv("DISCORD_TOKEN_FILE", str(tmp_path / "token"))
    settings = load_settings(needs_discord=False)
    assert settings.discord_token.get_secret_value() == "from-the-file"
    assert "from-the-file" not in repr(settings)


def test_missing_secret_file_named(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(SettingsError, match="DISCORD_TOKEN_FILE"):
        load_settings(needs_discord=False)


def test_empty_role_list_allows_nobody(monkeypatch):
    monkeypatch.setenv("DISCORD_DEPLOYER_ROLE_IDS", "")
    monkeypatch.setenv("DISCORD_APPROVER_ROLE_IDS", "1, 2 3")
    settings = load_settings(needs_discord=False)
    assert settings.discord_deployer_role_ids == frozenset()
    assert settings.discord_approver_role_ids == {1, 2, 3}


def test_environments_follow_convention(monkeypatch, tmp_path):
    stack = tmp_path / "shop"
    stack.mkdir()
    for name in ("docker-compose.yml", "docker-compose.staging.yml", ".env", ".env.staging"):
        (stack / name).touch()
    monkeypatch.setenv("STACK_DIR", str(stack))
    laid_out = environments(load_settings(needs_discord=False))
    assert list(laid_out) == ["dev", "staging", "prod"]
    staging, prod = laid_out["staging"], laid_out["prod"]
    assert staging.project == "shop-staging"
    assert [p.name for p in staging.compose_files] == ["docker-compose.yml", "docker-compose.staging.yml"]
    assert [p.name for p in staging.env_files] == [".env", ".env.staging"]
    assert [p.name for p in prod.compose_files] == ["docker-compose.yml"]
    assert prod.needs_approval
    assert not staging.needs_approval


def test_home_keeps_project_name(monkeypatch):
    monkeypatch.setenv("HOME_ENVIRONMENT", "prod")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "roas")
    laid_out = environments(load_settings(needs_discord=False))
    assert laid_out["prod"].project == "roas"
    assert laid_out["prod"].is_home
    assert laid_out["dev"].project == "roas-dev"


def test_adjusted_environment_keeps_others(monkeypatch):
    monkeypatch.setenv("ENVIRONMENTS__PROD__PROJECT_NAME", "live")
    laid_out = environments(load_settings(needs_discord=False))
    assert laid_out["prod"].project == "live"
    assert "dev" in laid_out


def test_adjusting_unknown_environment_refused(monkeypatch):
    monkeypatch.setenv("ENVIRONMENT_NAMES", "live")
    monkeypatch.setenv("ENVIRONMENTS__PROD__PROJECT_NAME", "x")
    with pytest.raises(SettingsError, match="ENVIRONMENTS__PROD"):
        load_settings(needs_discord=False)


@pytest.mark.parametrize("name", ["Prod", "-x", "a/b", "a b!"])
def test_environment_name_restricted(monkeypatch, name):
    monkeypatch.setenv("ENVIRONMENT_NAMES", name.replace(" ", "_ ") if " " in name else name)
    with pytest.raises(SettingsError, match="ENVIRONMENT_NAMES"):
        load_settings(needs_discord=False)


def test_prefixed_name_wins_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("ROAS_HTTP_HOST=127.0.0.2\nROAS_ENVIRONMENTS__DEV__PROJECT_NAME=shop\n")
    (tmp_path / "url").write_text("redis://file\n")
    for name, value in {
        "ROAS_LOG_LEVEL": "DEBUG",
        "LOG_LEVEL": "ERROR",
        "HTTP_HOST": "127.0.0.9",
        "ROAS_REDIS_URL": "redis://prefixed",
        "REDIS_URL_FILE": str(tmp_path / "url"),
        "ENVIRONMENTS__DEV__PROJECT_NAME": "other",
        "ENVIRONMENTS__DEV__FOLDER": "/srv",
        "STATE_DIR": "plain",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(needs_discord=False)
    assert (settings.log_level, settings.http_host, settings.state_dir.name) == ("DEBUG", "127.0.0.2", "plain")
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://prefixed"
    assert settings.environments["dev"].project_name == "shop"
    assert str(settings.environments["dev"].folder) == "/srv"


def test_guest_leaves_plain_names_to_its_host(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("HTTP_HOST=nowhere\nSTATE_DIR=mine\n")
    hosts = {"LOG_LEVEL": "TRACE", "LOG_FORMAT": "pretty", "HTTP_PORT": "many", "REDIS_URL": "redis://host"}
    for name, value in {**hosts, "REDIS_URL_FILE": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(needs_discord=False, is_guest=True)
    assert settings.redis_url is None
    assert (settings.log_level, settings.http_port, settings.http_host) == ("INFO", 8000, "127.0.0.1")
    assert settings.state_dir.name == "mine"
    monkeypatch.setenv("ROAS_HTTP_PORT", "many")
    monkeypatch.setenv("ROAS_REDIS_URL_FILE", "/nowhere")
    with pytest.raises(SettingsError) as failed:
        load_settings(needs_discord=False, is_guest=True)
    assert "ROAS_HTTP_PORT" in failed.value.message
    assert "ROAS_REDIS_URL_FILE" in failed.value.message


@pytest.mark.parametrize("given", ['["APP_TAG", "DB_TAG"]', '{"web": "APP_TAG", "api": "APP_TAG", "db": "DB_TAG"}'])
def test_version_variables_as_list_or_table(monkeypatch, given):
    monkeypatch.setenv("ENVIRONMENTS__PROD__VERSION_VARIABLES", given)
    assert environments(load_settings(needs_discord=False))["prod"].version_variables == ("APP_TAG", "DB_TAG")


def test_strange_version_variable_refused(monkeypatch):
    monkeypatch.setenv("ENVIRONMENTS__PROD__VERSION_VARIABLES", '["APP-TAG"]')
    with pytest.raises(SettingsError, match="ENVIRONMENTS__PROD__VERSION_VARIABLES"):
        load_settings(needs_discord=False)


@pytest.mark.parametrize("line", ["STACK_DIR=/", "STACK_DIR=..", "ENVIRONMENTS__DEV__FOLDER=/etc", "ROAS_STACK_DIR=~"])
def test_stack_file_moves_no_stack(monkeypatch, tmp_path, line):
    """What is outside of its folder is decided by that folder: a file in there may not say that it is elsewhere."""
    (tmp_path / "compose.yml").touch()
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text(f"{line}\n")
    with pytest.raises(SettingsError, match=r"\.env.*leads out of the folder of the stack"):
        load_settings(needs_discord=False)
    (tmp_path / ".env").write_text(f"STACK_DIR={tmp_path}\nENVIRONMENTS__DEV__FOLDER=sub\n")
    assert load_settings(needs_discord=False).stack_dir == tmp_path
    (tmp_path / ".env").write_text(f"{line}\n")
    (tmp_path / "compose.yml").unlink()
    load_settings(needs_discord=False)


def test_stack_file_names_no_settings_of_its_own(monkeypatch, tmp_path):
    """`roas.toml` of the state folder is the bot's own, but not where a stack says which folder that is."""
    (tmp_path / "compose.yml").touch()
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("STATE_DIR=committed\n")
    (tmp_path / "committed").mkdir()
    (tmp_path / "committed" / "roas.toml").write_text('[policy]\nlevel = "trusted"\n')
    with pytest.raises(SettingsError, match="lies in the folder of a stack"):
        load_settings(needs_discord=False)
    monkeypatch.setenv("STATE_DIR", "committed")
    assert load_settings(needs_discord=False).compose_policy == "trusted"


@pytest.mark.parametrize("refused", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_file_that_cannot_be_read_named(monkeypatch, tmp_path, refused):
    """The one who may not read `.env`, which is closed to others, hears that, and whose it is."""
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\n")
    real = open

    def refusing(file, *arguments, **options):
        if Path(str(file)).name == ".env":
            raise refused
        return real(file, *arguments, **options)

    monkeypatch.setattr("io.open", refusing)
    monkeypatch.setattr("builtins.open", refusing)
    with pytest.raises(SettingsError, match=rf"\.env: cannot be read \({refused.strerror}\)") as error:
        load_settings(needs_discord=False)
    assert ("as root or as the owner" in error.value.message) is isinstance(refused, PermissionError)


def test_file_that_is_no_text_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_bytes("LOG_LEVEL=DEBUG\nSTACK_DIR=/srv/caf\u00e9\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"\.env: is not UTF-8 text \(line 2\)"):
        load_settings(needs_discord=False)


@pytest.mark.parametrize(
    "address",
    [
        *("unix://docker.sock", "unix://./docker.sock", "unix:/docker.sock", f"unix:///{'x' * 107}", "fd://"),
        *("http://host", "ssh://me:secret@host", "ssh:///run/docker.sock", "ssh://me@", "ssh://host:port", "ssh://a b"),
    ],
)
def test_engine_address_that_docker_takes_otherwise_refused(monkeypatch, address):
    """A relative path would lead Compose elsewhere than the bot, in the middle of a deployment.

    A password would be shown wherever the address is.
    """
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("ENVIRONMENTS__DEV__DOCKER_HOST", address)
    with pytest.raises(SettingsError) as raised:
        load_settings(needs_discord=False)
    assert str(raised.value).count("must be unix:// with the whole path of a socket") == 2


@pytest.mark.parametrize(
    "address",
    [
        *(f"unix:///{'x' * 106}", "tcp://host:2376", "ssh://me@host", "ssh://host:2222/run/user/1000/docker.sock"),
        *("ssh://me@[2001:db8::1]:22", "ssh://host.example.org/"),
    ],
)
def test_engine_address_that_docker_takes_accepted(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    assert load_settings(needs_discord=False).docker_host == address
