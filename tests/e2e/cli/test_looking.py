"""Commands that only look, and `compose`."""

import json
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from testbed.inherited import inherited
from testbed.ssh_server import repository_server
from tests.e2e.cli.conftest import REPOSITORY, STACK, CommandLine
from tests.integration.packages import packages_or_skip

BROKEN = """
services:
  web:
    image: roas-commands/app:v1
    privileged: true
    environment:
      WANTED: ${WANTED:?is needed to greet}
"""


def test_status_shows_services_release_and_verdict(on_v1: CommandLine) -> None:
    ended = on_v1.run("status", "dev")
    assert ended.returncode == 0
    assert "dev  healthy" in ended.stdout
    assert re.search(r"release r\d+ \(v1\), made", ended.stdout)
    assert "roas-commands/app:v1" in ended.stdout
    report = on_v1.document("status")
    assert [item["environment"] for item in report["environments"]] == ["dev", "staging", "prod"]
    services = {item["service"]: item["verdict"] for item in report["environments"][0]["health"]["services"]}
    assert services == {"database": "healthy", "web": "healthy"}
    assert "nothing runs" in on_v1.run("status", "staging").stdout


def test_doctor_lists_failures_with_hints(line: CommandLine) -> None:
    line.write(BROKEN)
    ended = line.run("doctor", "dev")
    assert ended.returncode == 1
    assert "WANTED" in ended.stdout
    assert "Traceback" not in ended.stderr
    report = line.document("doctor", "dev", code=1)
    assert report["passed"] is False
    failed = [item for item in report["reports"][0]["results"] if not item["passed"] and item["severity"] == "critical"]
    assert all(item["remedy"] for item in failed)
    assert {"compose_file", "variables"} & {item["check"] for item in failed}


def test_doctor_lists_several_failures(line: CommandLine, tmp_path: Path) -> None:
    line.write(BROKEN.replace("${WANTED:?is needed to greet}", "given") + '    ports: ["127.0.0.1:1:8080"]\n')
    report = line.document("doctor", "dev", code=1, REDIS_URL="redis://127.0.0.1:1/0", COMPOSE_POLICY="strict")
    failed = {item["check"] for item in report["reports"][0]["results"] if not item["passed"]}
    assert len(failed) >= 2, failed


def test_doctor_fetches_the_files_of_a_repository(dry_line: CommandLine, tmp_path: Path) -> None:
    """Before the first plan they are nowhere else; a server that refuses is a failure beside the others."""
    bare, work = tmp_path / "shop.git", tmp_path / "work"
    plain = inherited() | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    work.mkdir()
    (work / "compose.yaml").write_text(STACK)
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True, env=plain)
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "Begin"], ["push", "-q", bare, "HEAD:main"]):
        subprocess.run(["git", *command], cwd=work, check=True, env=plain)
    with packages_or_skip(), repository_server(tmp_path / "ssh", bare) as ssh:
        known = tmp_path / "known_hosts"
        git = {"url": ssh.url, "key_file": str(ssh.key), "known_hosts_file": str(known)}
        settings = {f"ENVIRONMENTS__DEV__GIT__{name.upper()}": value for name, value in git.items()}
        settings["ENVIRONMENTS__DEV__FOLDER"] = str(tmp_path / "folder")
        known.write_text("")
        (report,) = dry_line.document("doctor", "dev", code=1, **settings)["reports"]
        (refused,) = [item for item in report["results"] if item["check"] == "repository"]
        assert "another host key" in refused["message"]
        assert refused["remedy"]
        assert len(report["results"]) > 5
        known.write_text(ssh.known_hosts)
        (report,) = dry_line.document("doctor", "dev", code=1, **settings)["reports"]
        assert "repository" not in {item["check"] for item in report["results"]}
        assert (tmp_path / "folder" / "compose.yaml").read_text() == STACK


def test_doctor_passes_good_stack(on_v1: CommandLine) -> None:
    ended = on_v1.run("doctor", "dev", "--all")
    assert ended.returncode == 0, ended.stdout
    assert "dev: 0 failures" in ended.stdout
    assert "ok" in ended.stdout


def test_doctor_uses_current_version(on_v1: CommandLine) -> None:
    """It checks a stack that needs a version as the one that it is on; staging is on none."""
    on_v1.write(STACK.replace("${VERSION:-v1}", "${VERSION:?say which}"))
    assert on_v1.run("doctor", "staging").returncode == 1
    ended = on_v1.run("doctor", "dev")
    assert ended.returncode == 0, ended.stdout


def test_compose_runs_on_release_with_own_exit_code(on_v1: CommandLine) -> None:
    on_v1.write("services: {}\n")  # today's files say something else
    listed = on_v1.run("compose", "dev", "--", "ps", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    services = {json.loads(text)["Service"] for text in listed.stdout.splitlines()}
    assert services == {"database", "web"}
    assert on_v1.run("compose", "dev", "--", "exec", "-T", "web", "sh", "-c", "exit 7").returncode == 7
    assert on_v1.run("compose", "dev", "--", "no-such-command").returncode not in {0, 2, 69}


def test_compose_up_of_release_changes_nothing(on_v1: CommandLine) -> None:
    before = on_v1.docker("ps", "--quiet", "--no-trunc")
    assert on_v1.run("compose", "dev", "--", "up", "-d").returncode == 0
    assert on_v1.docker("ps", "--quiet", "--no-trunc") == before


def test_compose_ignores_bot_environment(on_v1: CommandLine) -> None:
    others = {"VERSION": "v2", "DISCORD_TOKEN": "secret-token", "COMPOSE_PROFILES": "x"}
    ended = on_v1.run("compose", "dev", "--", "config", **others)
    assert ended.returncode == 0, ended.stderr
    assert "hello v1" in ended.stdout
    assert "secret-token" not in ended.stdout
    assert f"name: {on_v1.project}-dev" in ended.stdout


def test_history_export_writes_all_once(dry_line: CommandLine) -> None:
    """Each line is a document; a file that exists is never written over."""
    for environment in ("dev", "prod"):
        assert dry_line.run("lock", environment, "--reason", "inventory").returncode == 0
    target = dry_line.folder / "history.jsonl"
    ended = dry_line.run("history", "--export", str(target))
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(line["kind"], line["document"]["environment"]) for line in lines] == [("event", "dev"), ("event", "prod")]
    assert [line["sequence"] for line in lines] == [1, 2]
    assert target.stat().st_mode & 0o777 == 0o600
    assert dry_line.run("history", "prod", "--export", "-").stdout.count("\n") == 1
    refused = dry_line.run("history", "--export", str(target))
    assert refused.returncode == 2
    assert "cannot be written: File exists" in refused.stderr
    assert len(target.read_text().splitlines()) == 2


def filled(state_dir: Path) -> None:
    """Write more changes into a journal than a pipe takes: the last one, again and again."""
    with closing(sqlite3.connect(state_dir / "journal.sqlite3")) as journal, journal:
        journal.execute(
            "WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 2000) "
            "INSERT INTO changes (id, type, source, time, document) "
            "SELECT id || n, type, source, time, document FROM (SELECT * FROM changes LIMIT 1), counted"
        )


def test_export_to_closed_pipe_is_refused(dry_line: CommandLine) -> None:
    """Somebody who reads the first line only gets no trace of the program, and an archive that is not whole fails."""
    assert dry_line.run("lock", "dev", "--reason", "x" * 200).returncode == 0
    filled(dry_line.state)
    exporting = dry_line.start("history", "--export", "-")
    assert exporting.stdout is not None
    assert exporting.stderr is not None
    assert exporting.stdout.readline().startswith('{"kind": "event"')
    exporting.stdout.close()
    said = exporting.stderr.read()
    assert exporting.wait() == 2
    assert "Not all was written" in said
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_restore_needs_a_damaged_journal(dry_line: CommandLine) -> None:
    """It refuses beside a living bot, over a whole journal, and without a copy; what it replaces is kept."""
    assert dry_line.run("lock", "dev", "--reason", "inventory").returncode == 0
    assert "no whole copy" in dry_line.run("restore").stderr
    journal = dry_line.state / "journal.sqlite3"
    (dry_line.state / "backups").mkdir(exist_ok=True)
    with closing(sqlite3.connect(journal)) as whole:
        whole.execute("VACUUM INTO ?", (str(dry_line.state / "backups" / "journal-20260101T000000Z.sqlite3"),))
    (copy,) = dry_line.document("restore", "--list")["copies"]
    refused = dry_line.run("restore")
    assert (refused.returncode, "is not damaged" in refused.stderr) == (2, True)
    bot = dry_line.live()
    assert "in use by BOT-" in dry_line.run("restore").stderr
    bot.terminate()
    bot.wait()
    journal.write_bytes(b"\0" * 8192)
    damaged = dry_line.run("history")
    assert damaged.returncode == 69
    assert "is damaged" in damaged.stderr
    assert "roas restore" in damaged.stderr
    restored = dry_line.document("restore")
    assert restored["restored"] == copy["name"]
    assert dry_line.run("unlock", "dev").returncode == 0


HANDLED = f"""
services:
  web:
    image: {REPOSITORY}:v1
    init: true
    stop_grace_period: 1s
    cpus: 0.75
    mem_limit: 64m
    restart: unless-stopped
    environment: {{GREETING: hello, SECRET: first, KEPT: "1"}}
    networks: [default, back]
networks: {{back: {{}}}}
"""
VARIABLES = ["environment: GREETING", "environment: MORE", "environment: SECRET"]
# What hands do one after the other, and what is said from then on, where that is asked.
HANDS: list[tuple[list[str], list[str] | None]] = [
    (["update", "--memory", "96m", "--cpus", "0.5", "--restart", "no", "WEB"], ["cpus", "mem_limit", "restart"]),
    (["network", "disconnect", "BACK", "WEB"], ["cpus", "mem_limit", "restart", "networks: BACK"]),
    # In it again, but by no name that the other services know.
    (["network", "connect", "BACK", "WEB"], ["cpus", "mem_limit", "restart", "networks: BACK"]),
    (["network", "disconnect", "BACK", "WEB"], None),
    (["network", "connect", "--alias", "web", "BACK", "WEB"], ["cpus", "mem_limit", "restart"]),
    (["update", "--restart", "unless-stopped", "--cpus", "0.75", "--memory", "64m", "WEB"], []),
    (["compose", "up", "-d", "web"], [*VARIABLES, "hostname", "labels: own"]),
]


def test_status_names_keys_changed_by_hand(line: CommandLine) -> None:
    """What hands change in place or make anew is said by its key, and never by its value."""
    line.write(HANDLED)
    assert line.run("deploy", "dev", "v1").returncode == 0
    names = {"WEB": f"{line.project}-dev-web-1", "BACK": f"{line.project}-dev_back"}
    own = line.folder / "own.yml"
    changed = HANDLED.replace("SECRET: first", "SECRET: hunter2, MORE: hunter2").replace("hello", "bye")
    own.write_text(changed.replace("init: true", 'init: true\n    hostname: other\n    labels: {own: "1"}'))

    def said() -> tuple[list[str], str]:
        drift = line.document("status", "dev")["environments"][0]["health"]["drift"]
        return [key for item in drift for key in item["keys"]], "".join(item["reason"] for item in drift)

    assert said() == ([], "")
    for hand, expected in HANDS:
        arguments = [names.get(item, item) for item in hand]
        if arguments[0] == "compose":
            arguments[1:1] = ["-p", f"{line.project}-dev", "-f", str(own)]
        line.docker(*arguments)
        if expected is None:
            continue
        keys, reason = said()
        wanted = [item.replace("BACK", names["BACK"]) for item in expected]
        assert keys == wanted, hand
        assert ", ".join(wanted[:4]) in reason
    text = line.run("status", "dev", COLUMNS="400").stdout
    assert f"web was changed by hand: {reason}" in text
    assert "hunter2" not in text
    assert "environment: SECRET, hostname, +1" in text
