"""A stack on a Swarm of three nodes by the command line, with a registry that asks for a password.

Judged by what Docker's API shows of managers and nodes, never by the bot's journal.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from campaigns.swarm.ground import FAILING_JOB, QUICK, STACK, Ground, ground_on
from campaigns.swarm.rounds import Kind, Round, first_run, play
from testbed.private_registry import PASSWORD, PrivateRegistry, private_registry
from testbed.sample import Behaviour
from testbed.swarm import Swarm, client_of
from testbed.swarm_look import StackLook
from testbed.waiting import wait_until
from tests.e2e.commands.conftest import HEALTH_CHECK, SECONDS, CommandLine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

VERSIONS: dict[str, Behaviour] = {
    **dict.fromkeys(("v1", "v2", "v4", FAILING_JOB), "healthy"),
    "v3": "exits",
}


def stack(repository: str) -> str:
    return f"""
services:
  database:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: ["node.hostname == node1"]}}, {QUICK}}}
    secrets: [password]
    volumes: ["data:/data"]
    ports: [{{target: 8080, published: 18080, mode: host}}]
    healthcheck: {HEALTH_CHECK}
  migrate:
    image: {repository}:${{VERSION:-v1}}
    command: ["echo", "migrated to ${{VERSION:-v1}}"]
    deploy: {{endpoint_mode: dnsrr}}
    depends_on:
      database: {{condition: service_healthy}}
  web:
    image: {repository}:${{VERSION:-v1}}
    stop_grace_period: 1s
    deploy: {{replicas: 2, {QUICK}}}
    configs:
      - source: greeting
        target: /config/greeting
    depends_on:
      migrate: {{condition: service_completed_successfully}}
    healthcheck: {HEALTH_CHECK}
volumes: {{data: {{}}}}
configs:
  greeting: {{file: ./greeting}}
secrets:
  password: {{file: ./password}}
"""


@dataclass
class SwarmLine(CommandLine):
    """Type commands for a stack of `engine: swarm`."""

    docker_config: Path = field(default_factory=Path)

    def environ(self, **changes: str) -> dict[str, str]:
        own = {"ENVIRONMENTS__DEV__ENGINE": "swarm", "DOCKER_CONFIG": str(self.docker_config)}
        return super().environ(**{**own, **changes})

    def say(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "stack" / name).write_text(text)

    def replicas(self) -> dict[str, str]:
        """Return what `docker stack services` shows of each."""
        shown = self.docker("stack", "services", "--format", "{{.Name}} {{.Replicas}}", f"{self.project}-dev")
        return dict(line.removeprefix(f"{self.project}-dev_").split(" ", 1) for line in shown.splitlines())

    def migrations(self) -> list[str]:
        """Return what the job said, run by run."""
        return sorted(self.docker("service", "logs", "--raw", f"{self.project}-dev_migrate").splitlines())

    def kept(self, kind: str) -> dict[str, str]:
        """Return the stack's configs or secrets, by id."""
        label = f"label=com.docker.stack.namespace={self.project}-dev"
        return dict(
            line.split()
            for line in self.docker(kind, "ls", "--format", "{{.ID}} {{.Name}}", "--filter", label).splitlines()
        )


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("swarm"), workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that has the versions, which no node has."""
    with private_registry(tmp_path_factory.mktemp("registry"), host=swarm.host_address) as made:
        with client_of(swarm.manager) as client:
            for version, behaviour in VERSIONS.items():
                made.push_sample(client, "shop", version, behaviour)
        yield made


@pytest.fixture
def line(swarm: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    registry.write_login(tmp_path / "docker")
    project = f"line-{secrets.token_hex(3)}"
    made = SwarmLine(tmp_path, swarm.docker_host, project, docker_config=tmp_path / "docker")
    made.write(stack(f"{registry.address}/shop"))
    made.say(greeting="hello one", password="the first password")
    yield made
    made.clear()
    registry.change_password(PASSWORD)  # the stacks of other tests have that
    # Swarm takes tasks down after that, and the port of the next test's stack is one of theirs.
    assert StackLook(swarm, f"{project}-dev").remove(), "the stack's containers are not removed"


@pytest.fixture
def look(line: SwarmLine, swarm: Swarm) -> StackLook:
    """Give a look at the stack on all nodes."""
    return StackLook(swarm, f"{line.project}-dev")


def test_story_of_a_stack(line: SwarmLine, look: StackLook, swarm: Swarm, registry: PrivateRegistry) -> None:
    """Deploy, nothing to do, another config and login, a version that fails, back by two, and a hand's change."""
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert line.replicas() == {"database": "1/1", "migrate": "0/1 (1/1 completed)", "web": "2/2"}
    assert (look.versions("web"), look.inside("web", "/config/greeting")) == ({"v1": 2}, {"hello one"})
    assert look.inside("database", "/run/secrets/password") == {"the first password"}
    assert {one.node for one in look.containers()} == {"node1", "node2", "node3"}
    first_secret = line.kept("secret")
    plan = line.document("deploy", "dev", "v1", "--dry-run")
    assert {one["action"] for one in plan["services"]} == {"keep"}
    (status,) = line.document("status", "dev")["environments"]
    services = {one["service"]: one for one in status["health"]["services"]}
    assert sorted(one["node"] for one in services["web"]["containers"]) == look.nodes_of("web")
    assert services["database"]["memory_bytes"] > 0, "it is on the node that is asked"
    (report,) = line.document("doctor", "dev")["reports"]
    found = {one["message"] for one in report["results"]}
    assert "node1 is a manager; 1 of 1 can be reached, node1 leads." in found
    assert "Every service has a node that takes it." in found

    line.say(greeting="hello two")
    registry.change_password("the next password of the registry's")
    registry.write_login(line.docker_config)
    assert line.run("deploy", "dev", "v2").returncode == 0
    assert (look.versions("web"), look.inside("web", "/config/greeting")) == ({"v2": 2}, {"hello two"})
    assert line.migrations() == ["migrated to v1", "migrated to v2"]
    look.set_availability(swarm.nodes[1], "drain")  # a node that has no such image pulls it by the login of the update
    assert wait_until(lambda: look.nodes_of("web") == ["node1", "node3"], 30), look.nodes_of("web")
    assert look.versions("web") == {"v2": 2}
    look.set_availability(swarm.nodes[1], "active")

    line.say(password="the second password")
    assert line.run("deploy", "dev", "v4").returncode == 0
    assert look.inside("database", "/run/secrets/password") == {"the second password"}
    assert (look.versions("web"), len(line.kept("secret"))) == ({"v4": 2}, 2)

    line.say(password="a password that is wrong")
    failed = line.run("deploy", "dev", "v3")
    assert failed.returncode == 3, failed.stdout
    assert "web failed: Swarm rolled it back" in failed.stderr
    assert "cannot go on" in failed.stderr, "the task's last lines are told"
    assert look.inside("database", "/run/secrets/password") == {"the second password"}, "the one that it had"
    assert (look.versions("web"), look.inside("web", "/config/greeting")) == ({"v4": 2}, {"hello two"})
    assert line.replicas()["web"] == "2/2"

    refused = line.run("rollback", "dev", "--to", "1", DOCKER_CONFIG=str(line.folder))
    assert refused.returncode != 0, "without its registry, nobody knows whether the release can be had"
    assert look.versions("web") == {"v4": 2}
    assert line.run("rollback", "dev", "--to", "1").returncode == 0
    assert (look.versions("web"), look.inside("web", "/config/greeting")) == ({"v1": 2}, {"hello one"})
    assert look.inside("database", "/run/secrets/password") == {"the first password"}
    assert first_secret.items() <= line.kept("secret").items(), "it is the very secret of the first release"

    line.say(password="the first password", greeting="hello one")
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert look.inside("database", "/run/secrets/password") == {"the first password"}
    assert look.inside("web", "/config/greeting") == {"hello one"}

    line.docker("service", "update", "--quiet", "--env-add", "BY=hand", f"{line.project}-dev_web")
    status = " ".join(line.run("status", "dev").stdout.split())
    assert "web was changed by hand" in status, status
    assert "ContainerSpec.Env" in status, status


def test_what_swarm_cannot_do_is_refused_in_the_plan(line: SwarmLine, registry: PrivateRegistry) -> None:
    """All of it at once, with what to do instead, and nothing is made."""
    line.write(f"""
services:
  web:
    image: {registry.address}/shop:v1
    container_name: web
    volumes: ["data:/data"]
  built:
    build: .
volumes: {{data: {{}}}}
""")
    (line.folder / "stack" / "Dockerfile").write_text("FROM scratch\n")
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    for what in ("web has `container_name`", "built is built", "the volume data stays on one"):
        assert what in refused.stderr, refused.stderr
    assert line.replicas() == {}
    trusted = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__POLICY="trusted")
    assert "the volume data stays on one" in trusted.stderr, trusted.stderr
    named = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__ALLOW='["unpinned_volume:data"]')
    assert named.returncode != 0
    assert "the volume data stays on one" not in named.stderr, named.stderr


def test_what_stands_in_the_way_is_in_the_plan(line: SwarmLine, registry: PrivateRegistry) -> None:
    """What the policy refuses and what Swarm cannot do in one list, then what the nodes and others do not let it do."""
    service = f"image: {registry.address}/shop:v1, stop_grace_period: 1s"
    line.write(f"services: {{web: {{{service}, privileged: true, sysctls: {{vm.swappiness: 1}}}}}}")
    refused = line.run("deploy", "dev", "v1", "--dry-run")
    assert refused.returncode != 0
    assert "web has `privileged`" in refused.stderr, refused.stderr
    assert "sysctls:web" in refused.stderr, refused.stderr
    assert "privileged:web" not in refused.stderr, "no entry would help"
    nowhere = "deploy: {placement: {constraints: [node.hostname == nowhere]}}"
    line.write(f"""
services:
  web: {{{service}, {nowhere}}}
  large: {{{service}, deploy: {{resources: {{reservations: {{memory: 900g}}}}}}}}
  other: {{{service}}}
""")
    other = f"{line.project}-dev_other"
    line.docker("service", "create", "--detach", "--no-resolve-image", "--replicas", "0", "--name", other, "app:hand")
    try:
        plan = line.run("deploy", "dev", "v1", "--dry-run")
        deployed = line.run("deploy", "dev", "v1")
    finally:
        line.docker("service", "rm", other)
    for words in (
        "No node satisfies what web asks for: node.hostname == nowhere (the nodes have node1, node2, node3).",
        "large reserves 921600 MiB of memory",
        f"The Swarm already has a service {other} that does not belong to this stack.",
    ):
        assert words in plan.stdout, plan.stdout + plan.stderr
        assert words in deployed.stdout, deployed.stdout + deployed.stderr
    assert deployed.returncode == 6
    assert line.replicas() == {}, "nothing is written"


def test_without_the_registry_nothing_is_deployed(line: SwarmLine) -> None:
    """A manager that has the image would take the tag for granted."""
    line.write(stack("127.0.0.1:9/shop"))
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    assert "127.0.0.1:9" in refused.stderr
    assert line.replicas() == {}


def test_somebody_elses_stack_is_not_touched(line: SwarmLine) -> None:
    """What was deployed by hand is not written over."""
    label = f"com.docker.stack.namespace={line.project}-dev"
    line.docker(
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--label",
        label,
        "--name",
        f"{line.project}-dev_web",
        "app:hand",
    )
    refused = line.run("deploy", "dev", "v1")
    assert "was not deployed by this bot" in refused.stderr, refused.stdout
    assert "web runs app:hand without a digest" in refused.stderr, refused.stderr


def by_hand(repository: str) -> str:
    """Return the same stack as `docker stack deploy` takes it, without what only this bot says."""
    return f"""
version: "3.8"
services:
  database:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{endpoint_mode: dnsrr, placement: {{constraints: ["node.hostname == node1"]}}}}
    secrets: [password]
    volumes: ["data:/data"]
  web:
    image: {repository}:v1
    environment: {{MODE: by hand}}
    stop_grace_period: 1s
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      restart_policy: {{condition: any, delay: 300ms}}
      update_config: {{parallelism: 2, order: start-first, monitor: 1s}}
    configs: [{{source: greeting, target: /config/greeting}}]
    healthcheck: {{test: ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8080/health"], interval: 1s}}
volumes: {{data: {{}}}}
configs: {{greeting: {{file: ./greeting}}}}
secrets: {{password: {{file: ./password}}}}
"""


def test_stack_that_runs_is_adopted(line: SwarmLine, look: StackLook, registry: PrivateRegistry) -> None:
    """What `docker stack deploy` made is release 0: the plan says what changes, and a failure leads back to it."""
    line.say(greeting="hello hand")
    line.write(by_hand(f"{registry.address}/shop"), "by-hand.yml")
    file = str(line.folder / "stack" / "by-hand.yml")
    line.docker("stack", "deploy", "--with-registry-auth", "--compose-file", file, f"{line.project}-dev")
    assert wait_until(lambda: line.replicas() == {"database": "1/1", "web": "2/2"}, 60), line.replicas()
    assert wait_until(lambda: look.inside("web", "/config/greeting") == {"hello hand"}, 60)
    before = [one["ID"] for one in look.tasks("database")]
    line.say(greeting="hello one")
    plan = line.document("deploy", "dev", "v1", "--dry-run")
    told = {one["service"]: (one["action"], " ".join(one["reasons"])) for one in plan["services"]}
    assert told["migrate"][0] == "create", told
    assert told["web"][0] == "recreate", told
    for what in ("was not made by this bot", "ContainerSpec.Env", "ContainerSpec.Configs"):
        assert what in told["web"][1], told
    assert [one["ID"] for one in look.tasks("database")] == before, "a plan touches nothing"

    failed = line.run("deploy", "dev", "v3")
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert line.replicas() == {"database": "1/1", "web": "2/2"}
    assert (look.inside("web", "/version"), look.inside("web", "/config/greeting")) == ({"v1"}, {"hello hand"})
    assert "MODE=by hand" in line.docker("service", "inspect", f"{line.project}-dev_web")
    assert look.inside("database", "/run/secrets/password") == {"the first password"}
    status = " ".join(line.run("status", "dev").stdout.split())
    assert "release r0 (adopted)" in status, status
    assert "changed by hand" not in status, status


def test_hand_in_the_last_moment_is_no_success(line: SwarmLine, look: StackLook, registry: PrivateRegistry) -> None:
    """Tasks that are well say nothing of whose they are: what Swarm has is compared once more before it succeeded.

    The service runs on each node. Of one that did not change, a warning says so; and one is to have no replicas.
    """
    idle = f"idle: {{image: '{registry.address}/shop:${{VERSION}}', deploy: {{replicas: 0, endpoint_mode: dnsrr}}}}"
    services = f"""
services:
  web:
    image: {registry.address}/shop:${{VERSION}}
    stop_grace_period: 1s
    deploy: {{mode: global, endpoint_mode: dnsrr, update_config: {{monitor: 2s, parallelism: 3}}}}
  rest: {{image: "{registry.address}/shop:v1", deploy: {{endpoint_mode: dnsrr}}, stop_grace_period: 1s}}
"""
    line.write(f"{services}  {idle}\n")
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert line.replicas() == {"idle": "0/0", "rest": "1/1", "web": "3/3"}
    plan = line.document("deploy", "dev", "v1", "--dry-run")
    assert {one["service"]: one["action"] for one in plan["services"]} == dict.fromkeys(("idle", "rest", "web"), "keep")
    deploying = line.start("deploy", "dev", "v2")
    assert deploying.stdout is not None
    assert any("verification" in one for one in deploying.stdout)
    for service in ("rest", "web"):
        options = ("--detach", "--quiet", "--label-add", "by=hand")
        line.docker("service", "update", *options, f"{line.project}-dev_{service}")
    told = " ".join("".join(deploying.communicate(timeout=SECONDS)).split())
    assert (deploying.returncode, look.versions("web")) == (3, {"v1": 3}), told
    assert "web failed: somebody else changed the service meanwhile" in told
    assert "rest, which was not changed, is another by now: somebody else changed it." in told, told
    image = look.service("idle")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert ":v1@" in image, "what has no replicas was written, and went back, too"
    (status,) = line.document("status", "dev")["environments"]
    verdicts = {one["service"]: (one["verdict"], one["reason"]) for one in status["health"]["services"]}
    assert verdicts["web"][0] == "unverified", f"of a service on each node, all of them are wanted: {verdicts}"
    assert verdicts["idle"] == ("healthy", "has no containers, as it should")
    line.write(services)
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert line.replicas() == {"rest": "1/1", "web": "3/3"}


def test_job_runs_again_when_its_earlier_run_has_ended(line: SwarmLine, registry: PrivateRegistry) -> None:
    """A job that hangs is cancelled, and takes its time to stop: the old one does not run beside it."""
    line.write(f"""
services:
  migrate:
    image: {registry.address}/shop:v1
    command: ["sh", "-c", "${{JOB:-exit 0}}"]
    stop_grace_period: 4s
    x-deploy: {{one_shot: true}}
    deploy: {{endpoint_mode: dnsrr, placement: {{constraints: ["node.hostname == node1"]}}}}
""")
    shown = ("--filter", f"label=com.docker.swarm.service.name={line.project}-dev_migrate")
    began = line.docker("info", "--format", "{{.SystemTime}}").strip()
    assert line.run("deploy", "dev", "v1").returncode == 0
    (line.folder / "stack" / ".env").write_text("JOB=trap '' TERM; while true; do sleep 1; done\n")
    deploying = line.start("deploy", "dev", "v2")
    assert wait_until(lambda: line.docker("ps", "--quiet", *shown).strip(), SECONDS), "the job never ran"
    assert line.run("cancel", "dev").returncode == 0
    told = "".join(deploying.communicate(timeout=SECONDS))
    assert deploying.returncode == 4, told
    ended = line.docker("info", "--format", "{{.SystemTime}}").strip()
    kinds = ("--filter", "event=start", "--filter", "event=die", "--format", "{{.Action}}")
    events = line.docker("events", "--since", began, "--until", ended, *shown, *kinds).split()
    assert events == ["start", "die"] * 3, f"one run after the other: {events}\n{told}"


def test_stack_that_is_removed_in_the_middle_comes_back(line: SwarmLine, registry: PrivateRegistry) -> None:
    """`docker stack rm` takes services and networks: the way back makes both again."""
    line.write(f"""
services:
  web:
    image: {registry.address}/shop:${{VERSION}}
    stop_grace_period: 1s
    deploy: {{replicas: 2, endpoint_mode: dnsrr, update_config: {{monitor: 4s}}}}
    configs: [{{source: greeting, target: /config/greeting}}]
configs: {{greeting: {{file: ./greeting}}}}
""")
    assert line.run("deploy", "dev", "v1").returncode == 0
    deploying = line.start("deploy", "dev", "v2")
    assert deploying.stdout is not None
    assert any("web: creating" in one for one in deploying.stdout)
    line.docker("stack", "rm", f"{line.project}-dev")
    told = "".join(deploying.communicate(timeout=SECONDS))
    assert deploying.returncode == 3, told
    assert line.replicas() == {"web": "2/2"}, told


@pytest.fixture(scope="module")
def ground(swarm: Swarm, registry: PrivateRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Give the stack of the campaign on these nodes, with v1 deployed."""
    with ground_on(swarm, registry, tmp_path_factory.mktemp("campaign") / "ground", "shop") as made:
        first_run(made)
        yield made


@pytest.mark.parametrize("service", ["migrate", "web"])
def test_killed_after_a_write_is_followed(ground: Ground, service: str) -> None:
    """The bot dies while a job, or an update, goes on: the next one runs no job again and leaves Swarm its way back.

    `python -m campaigns.swarm` plays each step.
    """
    played = play(ground, Round(Kind.BOT, f"after execution: update services {STACK}_{service}"))
    assert (played.ended.outcome, played.wrong) == ("succeeded", ())


def test_job_that_failed_while_no_bot_lived_has_failed(ground: Ground) -> None:
    """It is not run anew: the next bot says that it failed, and goes back, which runs the old one."""
    played = play(ground, Round(Kind.BOT, f"after execution: update services {STACK}_migrate", FAILING_JOB))
    assert (played.ended.outcome, played.wrong) == ("rolled_back", ())
