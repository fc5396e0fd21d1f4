"""Backups are listed, verified, copied and restored by what a person types, as plans and hints say."""

from tests.e2e.cli.conftest import REPOSITORY, CommandLine

STACK = f"""
services:
  database:
    image: {REPOSITORY}:${{VERSION:?}}
    init: true
    network_mode: none
    stop_grace_period: 1s
    environment: {{SCHEMA: "${{VERSION}}"}}
    volumes: ["data:/data"]
    x-deploy:
      backup: {{command: [cat, /data/rows], restore: "cat >/data/rows", verify: "test ! -e /data/no && grep -v torn"}}
volumes: {{data: {{}}}}
"""


def test_backup_is_listed_verified_copied_and_restored(line: CommandLine) -> None:
    line.write(STACK)
    assert line.run("backups", "list", "dev").stdout.startswith("dev has no backup")
    assert line.run("deploy", "dev", "v1").returncode == 0
    put(line, "before")
    deployed = line.run("deploy", "dev", "v2")
    assert deployed.returncode == 0, deployed.stderr
    assert "data: The data of database is backed up first." in deployed.stdout
    put(line, "after")

    gone = line.run("rollback", "dev", "--data", "BACKUP-1")
    assert (gone.returncode, "`roas backups list dev` lists those there are." in gone.stderr) == (1, True)
    (backup,) = line.document("backups", "list", "dev")["backups"]
    assert backup["id"] in line.run("backups", "list", "dev", COLUMNS="300").stdout
    copy = line.folder / "rows"
    assert line.run("backups", "export", "dev", backup["id"], str(copy)).returncode == 0
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("before\n", 0o600)

    restored = line.run("rollback", "dev", "--data", "with", COLUMNS="300")
    assert "What was written since then is lost" in restored.stdout
    assert restored.returncode == 0, restored.stderr
    assert held(line) == "before"
    assert line.running() == {"database": "v1"}

    present = line.document("backups", "list", "dev")["backups"][0]["id"]
    arguments = ["backups", "restore", "dev", present, "--to", "1"]
    assert line.run(*arguments).returncode == 0
    assert held(line) == "after", "the restore is undone"

    found = line.document("backups", "verify", "dev")
    reasons = [item["reason"] for item in found["backups"]]
    assert (reasons, found["damaged"]) == (["restore", "restore", "deployment"], [])
    put(line, "torn")
    assert line.run("deploy", "dev", "v3").returncode == 1, "its own command refuses the backup"
    put(line, "after")
    (line.state / "data-backups" / backup["id"]).write_text("befor3\n")
    assert line.document("backups", "verify", "dev", code=1)["damaged"] == [backup["id"]]


def database(line: CommandLine) -> str:
    (found,) = line.docker("ps", "-q", "--filter", f"name={line.project}-dev-database").splitlines()
    return found


def put(line: CommandLine, text: str) -> None:
    line.docker("exec", database(line), "sh", "-c", f"echo {text} >/data/rows")


def held(line: CommandLine) -> str:
    return line.docker("exec", database(line), "cat", "/data/rows")
