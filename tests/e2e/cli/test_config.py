"""`config` checks, shows and describes the settings, as a person or a script meets it."""

import json

import jsonschema

from tests.e2e.cli.conftest import CommandLine

TOML = '[discord]\nguild_id = 1\nops_channel_id = 2\ntoken_file = "token"\n[http]\nport = 8001\n'


def write(line: CommandLine, text: str) -> None:
    line.state.mkdir(exist_ok=True)
    (line.state / "roas.toml").write_text(text)
    (line.state / "token").write_text("a-token-of-some-length\n")


def test_check_says_that_all_is_well(dry_line: CommandLine) -> None:
    write(dry_line, TOML)
    ended = dry_line.run("config", "check")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 1
    assert f"{dry_line.state}/roas.toml" in ended.stdout
    assert dry_line.document("config", "check") == {"passed": True, "faults": [], "warnings": []}


def test_check_names_each_fault_and_ends_with_78(dry_line: CommandLine) -> None:
    write(dry_line, TOML.replace("8001", '"x"') + "[lgo]\n")
    ended = dry_line.run("config", "check", LOG_LEVEL="loud")
    assert ended.returncode == 78
    assert [line.split(": ")[0] for line in ended.stdout.splitlines()] == [
        "LOG_LEVEL",
        f"{dry_line.state}/roas.toml",
        f"{dry_line.state}/roas.toml",
    ]
    document = dry_line.document("config", "check", code=78)
    assert [fault["setting"] for fault in document["faults"]] == ["lgo", "http.port"]
    started = dry_line.run("run")
    assert started.returncode == 78
    assert f"{dry_line.state}/roas.toml: http.port:" in started.stderr


def test_check_names_the_file_that_a_source_lacks(dry_line: CommandLine) -> None:
    """The bot would not start without it."""
    source = '[sources.shop]\nkind = "github"\nenvironments = { dev = "propose" }\nsecret_file = "/nowhere/secret"\n'
    write(dry_line, TOML + source)
    ended = dry_line.run("config", "check")
    assert ended.returncode == 78
    assert "secret_file of [sources.shop] cannot be read" in ended.stderr
    write(dry_line, TOML + '[sources.ci]\nenvironments = { dev = "propose" }\n')
    ended = dry_line.run("config", "check", "--without-discord")
    assert (ended.returncode, "sources.ci: has neither `token_hash` nor `oidc`" in ended.stdout) == (0, True)


def test_what_only_the_bot_needs_can_be_left_out(dry_line: CommandLine) -> None:
    ended = dry_line.run("config", "check")
    assert ended.returncode == 78
    assert "DISCORD_TOKEN: is missing" in ended.stdout
    assert dry_line.run("config", "check", "--without-discord").returncode == 0


def test_show_says_where_each_value_comes_from(dry_line: CommandLine) -> None:
    write(dry_line, TOML)
    (dry_line.folder / ".env").write_text("# mine\nWEBHOOK_TOKEN=another-long-token\n")
    environ = {"PROMETHEUS_URL": "http://me:my-password@prometheus", "ENVIRONMENTS__DEV__VARIABLES": '{"A_KEY": "kkk"}'}
    stopped = dry_line.run("config", "check", "--without-discord", **environ)
    assert stopped.returncode == 78
    assert "--env-file .env" in stopped.stdout
    ended = dry_line.run("--env-file", ".env", "config", "show", **environ)
    assert ended.returncode == 0, ended.stderr
    rows = [row.split() for row in ended.stdout.splitlines()]
    assert ["WEBHOOK_TOKEN", "[redacted]", ".env"] in rows
    assert ["RELEASES_KEPT", "10", "default"] in rows
    assert ["COMPOSE_PROJECT_NAME", "nothing", "environment"] in rows
    assert ["HTTP_PORT", "8001"] in [row[:2] for row in rows]
    assert ["DISCORD_TOKEN", "[redacted]"] in [row[:2] for row in rows]
    document = dry_line.document("--env-file", ".env", "config", "show", **environ)
    found = {item["name"]: item for item in document["settings"]}
    assert found["HTTP_PORT"] == {
        "name": "HTTP_PORT",
        "value": 8001,
        "source": f"{dry_line.state}/roas.toml",
        "key": "http.port",
    }
    for secret in ("a-token-of", "another-long", "my-password", "kkk"):
        assert secret not in ended.stdout + json.dumps(document)


def test_show_of_wrong_settings_names_the_faults(dry_line: CommandLine) -> None:
    write(dry_line, "[http]\nprt = 1\n")
    ended = dry_line.run("config", "show")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert "roas.toml: http.prt: there is no such key; is port meant?" in ended.stderr


def test_schema_is_printed_whole(dry_line: CommandLine) -> None:
    ended = dry_line.run("config", "schema")
    assert ended.returncode == 0
    schema = json.loads(ended.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["http"]["properties"]["port"]["maximum"] == 65535


def test_a_command_takes_the_settings_of_the_file(dry_line: CommandLine) -> None:
    write(dry_line, '[stack]\nenvironment_names = ["dev", "moon", "prod"]\n')
    shown = [item["environment"] for item in dry_line.document("status", code=69)["environments"]]
    assert shown == ["dev", "moon", "prod"]
