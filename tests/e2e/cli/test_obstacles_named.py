"""What execution would stumble over is named by `doctor` and by the plan, all of it, before anything is touched."""

import json

import pytest

from tests.e2e.cli.conftest import HEALTH_CHECK, REPOSITORY, CommandLine

STACK = f"""
services:
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    container_name: HELD
    ports: ["127.0.0.1:PORT:8080"]
    networks: [default, proxy]
    volumes: ["kept:/kept", "./new:/new"]
    healthcheck: {HEALTH_CHECK}
  job: {{image: "{REPOSITORY}:v1", restart: "no", command: ["true"]}}
networks: {{proxy: {{external: true, name: HELD-net}}}}
volumes: {{kept: {{external: true, name: HELD-volume}}}}
"""


@pytest.fixture
def held(line: CommandLine):
    """A name and a port that a container which Compose did not create holds."""
    name = f"{line.project}-held"
    line.docker("run", "-d", "--name", name, "-p", "127.0.0.1::80", f"{REPOSITORY}:v1")
    port = line.docker("port", name, "80/tcp").rpartition(":")[2]
    yield name, port
    line.docker("rm", "-f", name)


def test_obstacles_named_before_anything(line: CommandLine, held: tuple[str, str]) -> None:
    name, port = held
    line.write(STACK.replace("HELD", name).replace("PORT", port))
    allowed = f"container_name:web,external_network:{name}-net,external_volume:{name}-volume"
    before = line.docker("ps", "-aq"), line.docker("network", "ls", "-q")
    doctor = line.run("doctor", "dev", "--json", COMPOSE_POLICY_ALLOW=allowed)
    plan = line.run("deploy", "dev", "v1", "--dry-run", "--json", COMPOSE_POLICY_ALLOW=allowed)
    for said in (doctor.stdout, plan.stdout):
        for words in (
            f"The external network {name}-net does not exist.",
            f"The external volume {name}-volume does not exist.",
            f"The name {name} of web is held by a container that Compose did not create.",
            f"ort 127.0.0.1:{port}/tcp of web is held by the container {name}.",
            "which does not exist: an empty folder is created there.",
        ):
            assert words in said
    shown = json.loads(plan.stdout)
    assert len(shown["refusals"]) == 4, "the folder that is created refuses nothing"
    assert {item["action"] for item in shown["services"]} == {"create"}
    told = line.run("deploy", "dev", "v1", "--dry-run", COMPOSE_POLICY_ALLOW=allowed).stdout
    assert "As things are, this is refused, and nothing is changed:" in told
    assert f"refused: The external network {name}-net does not exist." in told
    assert f"warning: The external network {name}-net does not exist." not in told
    assert "These may be jobs, and an exit with code 0 counts as success: job." in doctor.stdout
    assert (line.docker("ps", "-aq"), line.docker("network", "ls", "-q")) == before


def test_renamed_volume_is_named_in_the_plan(line: CommandLine) -> None:
    """Before anything starts with it; once it is there, it is a volume like any other."""

    def write(volume: str) -> None:
        line.write(f"""
services:
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    network_mode: none
    stop_grace_period: 1s
    volumes: ["{volume}:/data"]
volumes: {{{volume}: {{}}}}
""")

    project = f"{line.project}-dev"
    write("data")
    assert line.run("deploy", "dev", "v1").returncode == 0
    write("data2")
    plan = line.document("deploy", "dev", "v2", "--dry-run")
    told = f"web starts with an empty {project}_data2 at /data; its data stays in {project}_data."
    assert told in plan["warnings"], plan["warnings"]
    assert line.run("deploy", "dev", "v2").returncode == 0
    write("data")
    assert not [text for text in line.document("deploy", "dev", "v1", "--dry-run")["warnings"] if "empty" in text]
