"""The shipped stack, built and started as a person would: everything becomes healthy, and the bot is nobody special.

Images come from a registry where one answers; else they are made of this machine's programs. Grafana has no package to
make one of, so there only its health check is answered (testbed/stack_images.py).
"""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
import yaml

from testbed.bot_image import bot_image
from testbed.engine import manual_environment
from testbed.stack_images import stack_images
from testbed.waiting import wait_until

ROOT = Path(__file__).parents[3]
OWNER = 1000
PROJECT = "roas"  # as the shipped file says
TOKEN = "a-long-random-text"
pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def engine(building_engine):
    """Give an engine on which images are built; other tests may have stacks of their own on it."""
    return building_engine


@pytest.fixture(scope="module")
def sandbox(engine):
    """Run a sandbox where the engine's containers reach it."""
    command = [sys.executable, "-m", "sandbox", "--host", engine.host_address()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture(scope="module")
def folder(engine, sandbox, tmp_path_factory):
    """Lay the stack out with a filled .env."""
    folder = tmp_path_factory.mktemp("roas")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copytree(ROOT / "monitoring", folder / "monitoring")
    hurry(folder / "monitoring" / "alertmanager" / "alertmanager.yml")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    defaults = [re.fullmatch(r"\$\{(\w+):-([^{}]+)\}", item["image"]) for item in compose["services"].values()]
    wanted = {match[1]: match[2] for match in defaults if match}
    client = engine.client()
    images = stack_images(client, wanted)
    client.close()
    filled = {
        **images,
        "VERSION": "v1",
        "DISCORD_TOKEN": sandbox["bot_token"],
        "DISCORD_GUILD_ID": sandbox["guild_id"],
        "DISCORD_OPS_CHANNEL_ID": sandbox["ops_channel_id"],
        "DISCORD_API_URL": sandbox["api_url"],
        "DISCORD_GATEWAY_URL": sandbox["gateway_url"],
        "STACK_DIR": folder,
        "DOCKER_SOCKET": engine.docker_host.removeprefix("unix://"),
        "GRAFANA_ADMIN_PASSWORD": "chosen",
        "WEBHOOK_TOKEN": TOKEN,
        "GRAFANA_PORT": "13000",
    }
    text = (ROOT / ".env.example").read_text()
    for name, value in filled.items():
        text, count = re.subn(rf"^#?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1, name
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(0o600)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, OWNER, OWNER)
    return folder


def hurry(configuration):
    """Let Alertmanager pass an alert on, and its end, in a moment: how long it shall gather is no test's concern."""
    text, count = re.subn(r"(group_wait|group_interval): \d+s", r"\1: 1s", configuration.read_text())
    assert count == 2
    configuration.write_text(text)


def compose(engine, folder, *arguments):
    return subprocess.run(
        ["docker", "compose", *arguments],
        cwd=folder,
        env=manual_environment(engine.docker_host, folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.fixture(scope="module")
def running(engine, folder):
    """Make the bot's image, start the stack, and return its containers by service."""
    bot_image(engine, "roas-bot:v1", version="v1")
    up = compose(engine, folder, "up", "-d", "--wait", "--wait-timeout", "120")
    logs = compose(engine, folder, "logs", "--tail", "30").stdout if up.returncode else ""
    assert up.returncode == 0, f"{up.stderr}\n{logs}"
    client = engine.client()
    ours = client.containers.list(filters={"label": f"com.docker.compose.project={PROJECT}"})
    yield {our.labels["com.docker.compose.service"]: our for our in ours}
    client.close()
    compose(engine, folder, "down", "--volumes")


def test_every_service_healthy(running):
    assert set(running) == {"discord-bot", "redis", "prometheus", "alertmanager", "grafana"}
    assert {name: item.attrs["State"]["Health"]["Status"] for name, item in running.items()} == dict.fromkeys(
        running, "healthy"
    )
    assert {item.attrs["RestartCount"] for item in running.values()} == {0}


def test_bot_runs_without_root(running, engine):
    bot = running["discord-bot"]
    pid = next(
        int(process[1])
        for process in bot.top(ps_args="-eo user,pid,args")["Processes"]
        if process[2].endswith("/python /usr/local/bin/roas")  # and not who passes signals on to it
    )
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {str(OWNER)}
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2", "no profile filters its system calls"


@pytest.mark.parametrize(
    ("mode", "variables", "user"),
    [
        (0o755, {}, "10001"),  # root's, and open to read
        (0o700, {}, "0"),  # root's alone
        (0o700, {"BOT_UID": "1234"}, "1234"),
        (0o755, {"BOT_UID": "0"}, "0"),
    ],
)
def test_folder_owner_decides_user(running, engine, tmp_path, mode, variables, user):
    tmp_path.chmod(mode)
    client = engine.client()
    said = client.containers.run(
        "roas-bot:v1",
        ["sh", "-c", "id -u; stat -c %u:%a $STATE_DIR; touch $STATE_DIR/written && echo written"],
        environment={"STACK_DIR": "/stack", "STATE_DIR": "/state", **variables},
        volumes={str(tmp_path): {"bind": "/stack"}, str(tmp_path / "state"): {"bind": "/state"}},
        cap_drop=["ALL"],
        cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        security_opt=["no-new-privileges:true"],
        remove=True,
    )
    client.close()
    assert said.decode().split() == [user, f"{user}:700", "written"]


def test_stack_that_is_not_mounted_is_named(running, engine):
    client = engine.client()
    with pytest.raises(docker.errors.ContainerError) as refused:
        client.containers.run("roas-bot:v1", ["true"], environment={"STACK_DIR": "/srv/shop"}, remove=True)
    client.close()
    assert refused.value.exit_status == 78
    assert b"There is no /srv/shop in the container. Mount it" in refused.value.stderr


def test_state_folder_closed_to_others(running, folder):
    found = (folder / "state").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (OWNER, 0o700)


def test_bot_reaches_engine_and_compose(running):
    code, said = running["discord-bot"].exec_run(["entrypoint", "docker", "compose", "ls"])
    assert code == 0, said
    assert b"roas" in said


def test_doctor_finds_no_blocker(running):
    code, said = running["discord-bot"].exec_run(["entrypoint", "python", "-m", "roas", "doctor", "prod"])
    assert code == 0, said.decode()
    assert b"0 failures, 0 warnings" in said, said.decode()


def test_compose_is_confined_in_the_image(running):
    """Without a capability, on a read-only root, as a plain user: what doctor resolved above, it resolved in there."""
    asked = "from roas.stack.compose.jail import has_landlock; print(has_landlock())"
    code, said = running["discord-bot"].exec_run(["entrypoint", "python", "-c", asked])
    assert (code, said.decode().strip()) == (0, "True")


def test_bot_answers_users(running, sandbox):
    import asyncio

    from sandbox.client import SandboxClient

    async def look():
        async with SandboxClient(sandbox["control_url"], sandbox["control_token"]) as people:
            await people.wait_for_commands("deploy", "hotfix", "rollback", "status", deadline_seconds=20)
            return await people.answer(await people.slash("bob", "status", environment="prod"), deadline_seconds=30)

    answer = asyncio.run(look())
    assert answer.error is None
    assert "redis" in answer.message.text


def test_prometheus_scrapes_bot(running):
    def is_scraped():
        query = "wget -qO- http://127.0.0.1:9090/api/v1/query?query=up%7Bjob%3D%22roas-bot%22%7D"
        code, said = running["prometheus"].exec_run(query)  # which fails, and says nothing, until it listens
        results = json.loads(said)["data"]["result"] if code == 0 else []
        return [result["value"][1] for result in results] == ["1"]

    assert wait_until(is_scraped, 60, poll=0.5)


def test_prometheus_knows_alertmanager_and_rules(running):
    def is_told():
        _, said = running["prometheus"].exec_run("wget -qO- http://127.0.0.1:9090/api/v1/alertmanagers")
        return [load["url"] for load in json.loads(said)["data"]["activeAlertmanagers"]]

    assert wait_until(is_told, 30, poll=0.5)
    _, said = running["prometheus"].exec_run("wget -qO- http://127.0.0.1:9090/api/v1/rules")
    rules = [rule for group in json.loads(said)["data"]["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} >= {"BotAway", "EventsLost"}
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def test_alertmanager_alert_reaches_bot_and_resolves(running):
    labels = {"alertname": "DiskFills", "severity": "high"}

    def post(**times):
        body = json.dumps([{"labels": labels, "annotations": {"summary": "sda1 is at 91 %"}, **times}])
        url = "http://127.0.0.1:9093/api/v2/alerts"
        command = ["wget", "-qO-", "--header", "Content-Type: application/json", "--post-data", body, url]
        code, said = running["alertmanager"].exec_run(command)
        assert code == 0, said

    def metric(name):
        _, said = running["prometheus"].exec_run("wget -qO- http://discord-bot:8000/metrics")
        return next(float(line.split()[-1]) for line in said.decode().splitlines() if line.startswith(f"{name} "))

    def is_open():
        return metric('roas_alerts_open{severity="high"}') == 1

    post()
    assert wait_until(is_open, 40, poll=0.5)
    assert metric('roas_alerts_total{severity="high",source="alertmanager"}') == 1
    post(endsAt=datetime.now(UTC).isoformat())
    assert wait_until(lambda: not is_open(), 60, poll=0.5)


def test_grafana_bound_to_this_machine(running):
    ports = running["grafana"].attrs["NetworkSettings"]["Ports"]["3000/tcp"]
    assert [(port["HostIp"], port["HostPort"]) for port in ports] == [("127.0.0.1", "13000")]


def test_other_environment_is_deployed_without_the_bot(running, engine, folder):
    """The first thing that people do. What doctor says is in the way is put right as it says, until nothing is left."""

    def roas(*arguments):
        code, said = running["discord-bot"].exec_run(["entrypoint", "roas", *arguments], environment={"COLUMNS": "400"})
        return code, said.decode()

    code, said = roas("doctor", "dev")
    assert code == 1, said
    assert "13000" in said
    assert ".env.dev" in said
    (folder / ".env.dev").write_text("GRAFANA_PORT=13001\n")
    code, said = roas("doctor", "dev")
    assert code == 0, said
    code, said = roas("deploy", "dev", "v1", "--yes")
    assert code == 0, said
    client = engine.client()
    ours = client.containers.list(filters={"label": f"com.docker.compose.project={PROJECT}-dev"})
    assert {our.labels["com.docker.compose.service"] for our in ours} == set(running) - {"discord-bot"}
    client.close()
    compose(engine, folder, "-p", f"{PROJECT}-dev", "down", "--volumes")
