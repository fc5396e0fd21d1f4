"""The stack as it is shipped: parses, is closed, is watched, and every setting is explained."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from testbed.python_base import REGISTRY_IMAGE

ROOT = Path(__file__).parents[3]
SERVICES = {"discord-bot", "redis", "prometheus", "alertmanager", "grafana"}
FILLED = {
    "DISCORD_TOKEN": "a.token",
    "DISCORD_GUILD_ID": "1",
    "DISCORD_OPS_CHANNEL_ID": "2",
    "STACK_DIR": "/srv/roas",
    "GRAFANA_ADMIN_PASSWORD": "chosen",
}


# Set to something as an example; unset they have no value or follow something else.
EXAMPLES = {"discord_api_url", "environments"}


def documented():
    """Return the names that .env.example sets or shows commented out."""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.fixture
def folder(tmp_path):
    """Copy the stack as a person would have it, with a filled .env."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "monitoring", tmp_path / "monitoring")
    text = (ROOT / ".env.example").read_text()
    for name, value in FILLED.items():
        text, count = re.subn(rf"^{name}=$", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1, f"{name} is not there to be filled"
    (tmp_path / ".env").write_text(text)
    return tmp_path


def compose_config(folder):
    return subprocess.run(
        ["docker", "compose", "config"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture
def model(folder):
    done = compose_config(folder)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def test_filled_example_is_whole_setup(model):
    assert set(model["services"]) == SERVICES
    assert model["name"] == "roas"
    bot = model["services"]["discord-bot"]
    assert bot["environment"]["STATE_DIR"] == "/srv/roas/state"
    assert bot["environment"]["DISCORD_TOKEN"] == "a.token"


def test_missing_grafana_password_explained(folder):
    env = folder / ".env"
    env.write_text(env.read_text().replace("GRAFANA_ADMIN_PASSWORD=chosen", "GRAFANA_ADMIN_PASSWORD="))
    done = compose_config(folder)
    assert done.returncode != 0
    assert "choose a password for Grafana" in done.stderr


def test_ports_bound_to_this_machine(model):
    published = [port for service in model["services"].values() for port in service.get("ports", ())]
    assert [port["host_ip"] for port in published] == ["127.0.0.1"] * len(published)
    assert "ports" not in model["services"]["discord-bot"], "a fixed port would forbid a second bot beside the first"
    assert "ports" not in model["services"]["redis"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_health_checks_quick_at_start(model, service):
    check = model["services"][service]["healthcheck"]
    assert check["test"]
    assert check["start_period"]
    assert check["start_interval"] == "500ms"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_service_is_hardened(model, service):
    definition = model["services"][service]
    assert definition["read_only"]
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert definition["cap_drop"] == ["ALL"]
    assert definition["restart"] == "unless-stopped"
    assert definition["init"]
    assert definition["logging"]["options"]["max-size"]
    assert not definition.get("privileged")


def test_bot_folders_at_host_paths(model):
    mounts = {mount["source"]: mount["target"] for mount in model["services"]["discord-bot"]["volumes"]}
    assert mounts["/srv/roas"] == "/srv/roas"
    assert mounts["/srv/roas/state"] == "/srv/roas/state"


def test_dependencies_as_designed(model):
    found = {
        (name, on): (edge["kind"], edge["startup_delay"], edge["timeout"])
        for name, service in model["services"].items()
        for on, edge in service.get("x-deploy", {}).get("depends_on", {}).items()
    }
    assert found == {
        ("discord-bot", "redis"): ("required", "10s", "60s"),
        ("grafana", "prometheus"): ("required", "30s", "120s"),
        ("prometheus", "discord-bot"): ("soft", "0s", "180s"),
    }


def test_every_setting_documented():
    assert {name.upper() for name in Settings.model_fields} - documented() == set()
    text = (ROOT / ".env.example").read_text()
    assert [name for name in EnvironmentSettings.model_fields if name.upper() not in text] == []


def test_one_pinned_python_is_the_base_everywhere():
    pinned = {
        "Dockerfile": re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE),
        "compose": re.findall(r"\$\{PYTHON_IMAGE:-([^}]+)\}", (ROOT / "docker-compose.yml").read_text()),
        "example": re.findall(r"^#PYTHON_IMAGE=(\S+)$", (ROOT / ".env.example").read_text(), re.MULTILINE),
        "testbed": [REGISTRY_IMAGE],
    }
    # Debian's release is part of it: another one may not have docker-cli.
    assert all(found == ["python:3.13-slim-trixie"] for found in pinned.values()), pinned


def used_by_compose():
    return set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))


def test_compose_variables_documented():
    assert used_by_compose() - documented() == set()


def test_only_settings_documented():
    entrypoint = (ROOT / "script" / "container-entrypoint").read_text()
    of_the_image = {name for name in documented() if re.search(rf"\b{name}\b", entrypoint)}
    known = {name.upper() for name in Settings.model_fields} | used_by_compose() | of_the_image
    assert documented() - known == set()


def test_documented_defaults_match():
    text = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^#([A-Z][A-Z0-9_]+)=(\S+)$", text, re.MULTILINE))
    plain = {name: field.default for name, field in Settings.model_fields.items() if name.upper() in shown}
    for name, default in plain.items():
        written = ",".join(default) if isinstance(default, tuple) else str(default)
        if default not in (None, "") and name not in EXAMPLES:
            assert shown[name.upper()].lower() == written.lower(), name


def test_readme_settings_exist():
    text = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| (.+?) \|", text, re.MULTILINE))
    names = {name for cell in named for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}
    settings = {name.upper() for name in Settings.model_fields}
    assert len(names) > 10
    assert {name for name in names if name.partition("__")[0] not in settings} == set()


def test_prometheus_accepts_configuration():
    if shutil.which("promtool") is None:
        pytest.fail("promtool is not installed: run script/bootstrap --test", pytrace=False)
    config = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        ["promtool", "check", "config", config], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_alertmanager_sends_everything_to_bot():
    """It accepts its configuration."""
    config = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
    for arguments in (
        ["check-config", config],
        ["config", "routes", "test", f"--config.file={config}", "severity=info"],
    ):
        done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "roas-bot"


def test_alertmanager_token_file_in_memory(model):
    service = model["services"]["alertmanager"]
    settings = yaml.safe_load((ROOT / "monitoring" / "alertmanager" / "alertmanager.yml").read_text())
    (webhook,) = settings["receivers"][0]["webhook_configs"]
    assert webhook["http_config"]["authorization"]["credentials_file"] == "/tmp/webhook_token"
    assert "> /tmp/webhook_token" in service["command"][0]
    assert service["tmpfs"] == ["/tmp"]
    assert "ports" not in service


def test_grafana_reads_stack_prometheus():
    text = (ROOT / "monitoring" / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    (source,) = yaml.safe_load(text)["datasources"]
    assert source["url"] == "http://prometheus:9090"
