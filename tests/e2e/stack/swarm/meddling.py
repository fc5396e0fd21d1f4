"""Somebody interferes while a version is deployed: cancels it, writes a service, or removes the stack."""

from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.cli.conftest import SECONDS
from tests.e2e.stack.swarm.swarm_line import MORE, SwarmLine, job

WELL = {"every": "2/2", "idle": "0/0", "migrate": "0/1 (1/1 completed)", "app": "2/2"}
# What is written is watched for some seconds: until the stack is removed.
MEDDLED = """
  app:
    image: {repository}:${{VERSION}}
    stop_grace_period: 1s
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      restart_policy: {{delay: 300ms}}
      update_config: {{monitor: 4s, parallelism: 2}}
    configs: [{{source: greeting, target: /config/greeting}}]
    depends_on:
      migrate: {{condition: service_completed_successfully}}
"""


def meddle(line: SwarmLine, look: StackView, repository: str) -> None:
    """Deploy to one stack what is interfered with, and see that it has come back each time."""
    more = (MEDDLED + MORE).format(repository=repository)
    migration = job(repository, "echo migrated", grace="1s")
    line.write(f"services:\n{migration}{more}configs: {{greeting: {{file: ./greeting}}}}\n")
    first = line.run("deploy", "dev", "v1")
    assert first.returncode == 0, first.stdout + first.stderr
    job_that_is_cancelled_runs_once(line, look)
    hand_in_the_last_moment_is_no_success(line, look)
    removed_stack_comes_back(line, look)


def job_that_is_cancelled_runs_once(line: SwarmLine, look: StackView) -> None:
    """The way back removes a job that hangs, and runs none; the next run waits for its end (`end_earlier_run`)."""
    shown = ("--filter", f"label=com.docker.swarm.service.name={line.stack_name}_migrate")
    began = line.docker("info", "--format", "{{.SystemTime}}").strip()
    line.set_variables(JOB="trap '' TERM; while true; do sleep 1; done")
    deploying = line.start("deploy", "dev", "v2")
    runs = {"label": f"com.docker.swarm.service.name={line.stack_name}_migrate"}
    assert wait_until(lambda: bool(line.client.containers.list(filters=runs, sparse=True)), SECONDS), "it never ran"
    assert line.run("cancel", "dev").returncode == 0
    told = "".join(deploying.communicate(timeout=SECONDS))
    assert deploying.returncode == 4, told
    ended = line.docker("info", "--format", "{{.SystemTime}}").strip()
    kinds = ("--filter", "event=start", "--filter", "event=die", "--format", "{{.Action}}")
    events = line.docker("events", "--since", began, "--until", ended, *shown, *kinds).split()
    assert events.count("start") == 1, f"the way back runs no job: {events}\n{told}"
    assert look.versions("app") == {"v1": 2}, told


def hand_in_the_last_moment_is_no_success(line: SwarmLine, look: StackView) -> None:
    """Tasks that are well say nothing of whose they are: what Swarm has is compared once more before it succeeded.

    Of one that did not change, a warning says so, where it is compared before that which fails it.
    """
    line.set_variables(BOTH="another")
    deploying = line.start("deploy", "dev", "v1")
    assert deploying.stdout is not None
    assert any("verification" in item for item in deploying.stdout), deploying.communicate()
    for service in ("app", "every"):
        options = ("--detach", "--quiet", "--label-add", "by=hand")
        line.docker("service", "update", *options, f"{line.stack_name}_{service}")
    told = " ".join("".join(deploying.communicate(timeout=SECONDS)).split())
    assert (deploying.returncode, look.versions("app")) == (3, {"v1": 2}), told
    assert "every failed: somebody else changed the service meanwhile" in told, told
    assert "app changed outside this deployment." in told, told
    idle = look.service("idle")
    assert idle is not None
    assert idle["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["FOR=another"], "what has no replicas"
    assert idle["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["FOR=all"], "was written, and went back, too"
    assert line.replicas() == WELL, told


def removed_stack_comes_back(line: SwarmLine, look: StackView) -> None:
    """`docker stack rm` takes services and networks: the way back makes both again, but runs no job."""
    line.set_variables()
    deploying = line.start("deploy", "dev", "v2")
    assert deploying.stdout is not None
    # Its write was taken: one that finds no service makes a new one, and succeeds.
    assert any("app: starting" in item for item in deploying.stdout), deploying.communicate()
    line.docker("stack", "rm", line.stack_name)
    told = "".join(deploying.communicate(timeout=SECONDS))
    assert deploying.returncode == 3, told
    without_job = {name: count for name, count in WELL.items() if name != "migrate"}
    assert (line.replicas(), look.versions("app")) == (without_job, {"v1": 2}), told
    plan = line.document("deploy", "dev", "v1", "--dry-run")["services"]
    assert {item["service"]: item["action"] for item in plan} == dict.fromkeys(WELL, "keep"), "the job is the release's"
