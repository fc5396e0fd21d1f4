"""A rollout that pauses is decided on by `roas resume`, whichever process carries it out."""

import signal

import pytest

from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from tests.e2e.cli.conftest import HEALTH_CHECK, REPOSITORY, CommandLine, wait_for_line

PAUSING = f"""
services:
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    network_mode: none
    stop_grace_period: 1s
    healthcheck: {HEALTH_CHECK}
    deploy:
      replicas: 2
      update_config: {{parallelism: 1, failure_action: pause, order: start-first}}
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    volumes: ["data:/data"]
  migrate:
    image: {REPOSITORY}:v1
    network_mode: none
    restart: "no"
    command: ["sh", "-c", "echo ${{VERSION:-v1}} >>/data/runs"]
    volumes: ["data:/data"]
volumes: {{data: {{}}}}
"""


@pytest.mark.long
def test_paused_rollout_goes_on_or_back(line: CommandLine) -> None:
    line.write(PAUSING)
    assert line.run("deploy", "dev", "v1").returncode == 0
    its_process_hears_the_decision(line)
    decision_reaches_what_a_dead_process_left(line)
    filters = {"label": [f"{PROJECT_LABEL}={line.project}-dev", f"{SERVICE_LABEL}=web"]}
    web = line.client.containers.list(filters=filters)[0]
    ran = web.exec_run(["cat", "/data/runs"]).output.decode().split()
    assert ran.count("v1") == 1, "no way back runs a job"


def its_process_hears_the_decision(pausing: CommandLine) -> None:
    """v3 exits at once: it pauses twice, and is then taken back; what is not paused is not decided on."""
    first = pausing.start("deploy", "dev", "v3")
    wait_for_line(first, "Decide by `roas resume dev`")
    assert pausing.running() == {"web": "v1"}
    assert "paused since" in pausing.run("status", "dev").stdout
    refused = pausing.run("deploy", "dev", "v2")
    assert refused.returncode == 5
    assert "It is paused, and waits for a decision" in refused.stderr
    assert "resumes" in pausing.run("resume", "dev").stdout
    wait_for_line(first, "Paused: The rollout of web paused")
    decided = pausing.document("resume", "dev", "--roll-back")
    assert decided["decision"]["choice"] == "roll_back"
    late = pausing.run("resume", decided["id"])
    assert late.returncode == 2
    assert f"{decided['decision']['decided_by']['name']} rolled it back" in late.stderr
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 3, out
    assert pausing.running() == {"web": "v1"}
    nothing = pausing.run("resume", "dev")
    assert nothing.returncode == 2
    assert "under way" in nothing.stderr


def decision_reaches_what_a_dead_process_left(pausing: CommandLine) -> None:
    """Whoever decides where nobody carries it out any more carries it out."""
    first = pausing.start("deploy", "dev", "v3")
    wait_for_line(first, "Decide by `roas resume dev`")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert pausing.run("resume", "dev", "--roll-back").returncode == 0
    assert pausing.running() == {"web": "v1"}
    assert "under way" not in pausing.run("status", "dev").stdout


# From v2 on, "other" fails: web, which is well by then, goes back with it.
BREAKABLE = f"""
services:
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    network_mode: none
    stop_grace_period: 1s
    volumes: ["data:/data"]
    environment: {{BROKEN: "/data/broken-${{VERSION:-v1}}"}}
    healthcheck:
      test: ["CMD-SHELL", "test ! -e $$BROKEN && wget -q -O /dev/null http://127.0.0.1:8080/health"]
      interval: 300ms
      retries: 6
  other:
    image: {REPOSITORY}:v1
    network_mode: none
    stop_grace_period: 1s
    depends_on: {{web: {{condition: service_healthy}}}}
    healthcheck: {{test: ["CMD", "test", "${{VERSION:-v1}}", "=", "v1"], interval: 100ms, retries: 1}}
volumes: {{data: {{}}}}
"""


# From v2 on, all but the first replica end by themselves.
CRASHING = f"""
services:
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    network_mode: none
    stop_grace_period: 1s
    deploy: {{replicas: 2}}
    volumes: ["data:/data"]
    environment: {{BROKEN: "/data/broken-${{VERSION:-v1}}"}}
    command:
      - sh
      - -c
      - test ${{VERSION:-v1}} = v1 || test -e /is-first || mkdir /data/first && touch /is-first || exit 3; exec /serve
    healthcheck:
      test: ["CMD-SHELL", "test ! -e $$BROKEN && wget -q -O /dev/null http://127.0.0.1:8080/health"]
      interval: 300ms
      retries: 6
volumes: {{data: {{}}}}
"""


@pytest.mark.long
@pytest.mark.parametrize("stack", [BREAKABLE, CRASHING], ids=["service", "replica"])
def test_what_a_dead_rollback_set_aside_serves_again(line: CommandLine, stack: str) -> None:
    """It was stopped for an earlier release, whose containers never became healthy, and nobody was left to see it."""
    line.write(stack)
    assert line.run("deploy", "dev", "v1").returncode == 0
    filters = {"label": [f"{PROJECT_LABEL}={line.project}-dev", f"{SERVICE_LABEL}=web"]}
    web = line.client.containers.list(filters=filters)[0]
    assert web.exec_run(["touch", "/data/broken-v1"]).exit_code == 0
    rolling_back = line.start("deploy", "dev", "v2")
    wait_for_line(rolling_back, "web: restoring")
    wait_for_line(rolling_back, "web: waiting")
    ended = line.client.containers.list(all=True, filters={**filters, "status": "exited"})
    (aside,) = [container for container in ended if container.attrs["State"]["ExitCode"] != 3]
    assert aside.image.id == line.image_ids["v2"]
    rolling_back.send_signal(signal.SIGKILL)
    rolling_back.wait()
    resumed = line.run("deploy", "dev", "absent")
    said = resumed.stdout + resumed.stderr
    assert line.client.containers.get(aside.id).status == "running", said
    assert line.running()["web"] == "v2", said


def test_plan_refuses_what_means_nothing(line: CommandLine) -> None:
    """Compose takes any word for an action: one in capitals would be read as another than it says."""
    line.write(PAUSING.replace("failure_action: pause", "failure_action: PAUSE, delay: -5s"))
    refused = line.run("deploy", "dev", "v1", "--dry-run")
    assert refused.returncode != 0
    assert "web: failure_action of `update_config` is 'PAUSE'; use rollback | pause | continue" in (refused.stderr)
    assert "delay of `update_config` is '-5s'; use 10s" in refused.stderr
