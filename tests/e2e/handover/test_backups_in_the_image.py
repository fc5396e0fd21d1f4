"""The bot in its own image, as shipped, backs data up: encrypted, sent to a repository of restic, and restored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml

from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, STORE_IMAGE, Home
from testbed.sample import CHECK
from tests.e2e.handover.conftest import clear_away

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]

SECONDS = 120.0
BOT_USER = 10001
RESTIC = ("exec", "-T", "-u", str(BOT_USER), BOT_SERVICE, "restic", "--no-cache", "-q")
WAYS: dict[str, dict[str, Any]] = {
    "ledger": {"command": ["cat", "/data/rows"], "restore": "cat >/data/new && mv /data/new /data/rows"},
    "files": {"volume": "files"},
}


@pytest.fixture
def home(standing: Home) -> Iterator[Home]:
    """Give the stack with services whose data is backed up, a key and a repository; the bot's user is not root."""
    clear_away(standing)
    file, settings = standing.folder / "docker-compose.yml", standing.folder / ".env"
    before = file.read_text(), settings.read_text()
    secrets = {name: standing.folder / name for name in ("backup-key", "restic-password")}
    secrets["backup-key"].write_text(f"{pyrage.x25519.Identity.generate()}\n")
    secrets["restic-password"].write_text("a long one\n")
    for path in secrets.values():
        path.chmod(0o444)
    write(standing, "v1")
    offsite = {
        "ENVIRONMENTS__DEV__RESTIC__REPOSITORY": repository(standing),
        "ENVIRONMENTS__DEV__RESTIC__PASSWORD_FILE": secrets["restic-password"],
    }
    settings.write_text(before[1] + "".join(f"{name}={value}\n" for name, value in offsite.items()))
    standing.compose("up", "-d")
    yield standing
    print(standing.logs())
    clear_away(standing)
    for volume in standing.client.volumes.list(filters={"name": "home_"}):
        volume.remove()
    for path in secrets.values():
        path.unlink()
    file.write_text(before[0])
    settings.write_text(before[1])


def write(home: Home, schema: str) -> None:
    """Write the stack, with a version of the services that have data."""
    file = home.folder / "docker-compose.yml"
    stack = yaml.safe_load(file.read_text())
    stack["volumes"] = {name: {} for name in WAYS}
    for name, way in WAYS.items():
        stack["services"][name] = {
            "image": STORE_IMAGE,
            "init": True,
            "stop_grace_period": "1s",
            "healthcheck": CHECK,
            "environment": {"SCHEMA": schema},
            "volumes": [f"{name}:/data"],
            "x-deploy": {"backup": way | {"key": str(home.folder / "backup-key")}},
        }
    file.write_text(yaml.safe_dump(stack, sort_keys=False))


def repository(home: Home) -> Path:
    return home.folder / "state" / "offsite"


def roas(home: Home, *arguments: str) -> str:
    """Type a command of ours in the bot's container, as people do."""
    return home.compose("exec", "-T", BOT_SERVICE, "roas", *arguments)


def put(home: Home, rows: str) -> None:
    for service in WAYS:
        home.compose("exec", "-T", service, "sh", "-c", f"echo {rows} >/data/rows")


def held(home: Home) -> set[str]:
    return {home.compose("exec", "-T", service, "cat", "/data/rows").strip() for service in WAYS}


def backups(home: Home) -> list[dict[str, Any]]:
    listed: dict[str, Any] = json.loads(roas(home, "backups", "list", "dev", "--json"))
    return list(listed["backups"])


async def test_bot_in_its_image_encrypts_sends_and_restores(home: Home) -> None:
    """As shipped: the bot's own user, no capability, a read-only root."""
    restic = (*RESTIC, "-r", str(repository(home)), "--password-file", str(home.folder / "restic-password"))
    await until(lambda: home.bots()[0].health == "healthy" or None, "not well", seconds=SECONDS)
    home.compose(*restic, "init")
    put(home, "before")
    write(home, "v2")
    roas(home, "deploy", "dev", "v1")
    made = backups(home)
    assert {backup["service"] for backup in made} == set(WAYS)
    for backup in made:
        path = home.folder / "state" / "data-backups" / backup["id"]
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (BOT_USER, 0o600)
        assert path.read_bytes().startswith(b"age-encryption.org/v1")
        assert b"before" not in path.read_bytes()
    await until(lambda: all(backup["sent_to"] for backup in backups(home)) or None, "not sent", seconds=SECONDS)
    snapshots = json.loads(home.compose(*restic, "snapshots", "--json"))
    assert {tag for item in snapshots for tag in item["tags"]} >= {backup["id"] for backup in made}
    assert {path.stat().st_uid for path in repository(home).rglob("*")} == {BOT_USER}
    put(home, "destroyed")
    plan = json.loads(roas(home, "rollback", "dev", "--data", "with", "--dry-run", "--json"))
    grants = [argument for power in plan["new_powers"] for argument in ("--grant", power)]
    roas(home, "rollback", "dev", "--data", "with", *grants)
    assert held(home) == {"before"}
    assert "4 backups read, 0 damaged" in roas(home, "backups", "verify", "dev")
