"""A stack on a Swarm of three nodes by the command line, with a registry that asks for a password.

Judged by what Docker's API shows of managers and nodes, never by the bot's journal.
"""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from testbed.inherited import link_plugins
from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, client_of
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.stack.swarm.beside import Beside
from tests.e2e.stack.swarm.swarm_line import MORE, SwarmLine, stack

pytestmark = pytest.mark.engine

WELL = {"database": "1/1", "every": "2/2", "idle": "0/0", "migrate": "0/1 (1/1 completed)", "web": "2/2"}


@dataclass
class Story:
    """Hold who takes part in it."""

    line: SwarmLine
    look: StackView
    swarm: Swarm
    registry: PrivateRegistry

    @cached_property
    def repository(self) -> str:
        return f"{self.registry.address}/shop"

    def web(self) -> tuple[dict[str, int], set[str]]:
        """Return the versions that run of web, and what the config says there."""
        return dict(self.look.versions("web")), self.look.inside("web", "/config/greeting")

    def password(self) -> set[str]:
        """Return the secret that the database has."""
        return self.look.inside("database", "/run/secrets/password")

    def actions(self, version: str) -> dict[str, str]:
        """Return what the plan of a version does with each service."""
        plan = self.line.document("deploy", "dev", version, "--dry-run")
        return {item["service"]: item["action"] for item in plan["services"]}

    def deploy(self, version: str) -> None:
        done = self.line.run("deploy", "dev", version)
        assert done.returncode == 0, done.stdout + done.stderr


def test_story_of_a_stack(
    beside: Beside, line: SwarmLine, look: StackView, swarm: Swarm, registry: PrivateRegistry, long_lane: bool
) -> None:
    """Brought up, updated, brought back, and changed by a hand: one stack.

    In the long lane, it is adopted first, a node is drained, and a journal of another time is refused.
    """
    story = Story(line, look, swarm, registry)
    if long_lane:
        running_stack_is_adopted(story)
        failed_version_goes_back_to_what_ran(story)
    first_version_is_brought_up(story)
    status_and_doctor_know_the_nodes(story)
    earlier = shutil.copytree(line.state, line.folder / "earlier")
    first_secret, number = line.kept("secret"), line.document("releases", "dev")["current"]
    beside.wait()
    update_takes_config_secret_and_login(story)
    if long_lane:
        drained_node_pulls_by_the_login_of_the_update(story)
    release_comes_back_with_its_own_secret(story, number, first_secret)
    change_by_hand_is_told(story)
    if long_lane:
        journal_of_another_time_is_refused(story, earlier)


def journal_of_another_time_is_refused(story: Story, earlier: Path) -> None:
    """What the Swarm has says that a newer one was written: by an empty folder nothing is done, nor by an older one."""
    for folder, hint in ((story.line.folder / "empty", "restore --new"), (earlier, "restore --keep")):
        told = story.line.run("deploy", "dev", "v1", STATE_DIR=str(folder))
        assert told.returncode == 69, told
        assert "The Swarm has services of dev that ROLLBACK-" in told.stderr, told.stderr
        assert hint in " ".join(told.stderr.split())


def by_hand(repository: str) -> str:
    """Return a stack as `docker stack deploy` takes it, without what only this bot says."""
    return f"""
version: "3.8"
services:
  database:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      placement: {{constraints: ["node.hostname == node1"]}}
      restart_policy: {{condition: any, delay: 300ms}}
      update_config: {{monitor: 1s}}
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
volumes: {{data: {{}}}}
configs: {{greeting: {{file: ./greeting}}}}
secrets: {{password: {{file: ./password}}}}
"""


def running_stack_is_adopted(story: Story) -> None:
    """What `docker stack deploy` made: the plan says what changes, and touches nothing."""
    line, look = story.line, story.look
    line.say(greeting="hello hand")
    line.write(by_hand(story.repository), "by-hand.yml")
    line.write(stack(story.repository))
    file = str(line.folder / "stack" / "by-hand.yml")
    line.docker("stack", "deploy", "--with-registry-auth", "--compose-file", file, line.stack_name)
    assert wait_until(lambda: story.web() == ({"v1": 2}, {"hello hand"}), 60), story.web()
    assert wait_until(lambda: line.replicas() == {"database": "1/1", "web": "2/2"}, 60), line.replicas()
    before = [task["ID"] for task in look.tasks("database")]
    line.say(greeting="hello one", password="a password that is wrong")
    plan = line.document("deploy", "dev", "v3", "--dry-run")
    told = {item["service"]: (item["action"], " ".join(item["reasons"])) for item in plan["services"]}
    assert told["migrate"][0] == "create", told
    assert told["web"][0] == "recreate", told
    for what in ("was not made by this bot", "ContainerSpec.Env", "ContainerSpec.Configs"):
        assert what in told["web"][1], told
    assert [task["ID"] for task in look.tasks("database")] == before, "a plan touches nothing"


def failed_version_goes_back_to_what_ran(story: Story) -> None:
    """It is release 0: with the config, the secret and the settings that it had."""
    line, look = story.line, story.look
    failed = line.run("deploy", "dev", "v3")
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert "web failed: Swarm rolled it back" in failed.stderr
    assert "cannot go on" in failed.stderr, "the task's last lines are told"
    assert line.replicas() == {"database": "1/1", "web": "2/2"}
    assert (look.inside("web", "/version"), look.inside("web", "/config/greeting")) == ({"v1"}, {"hello hand"})
    assert "MODE=by hand" in line.docker("service", "inspect", f"{line.stack_name}_web")
    assert story.password() == {"the first password"}, "the one that it had"
    status = line.status_text()
    assert "release r0 (v1, adopted)" in status, status
    assert "changed by hand" not in status, status


def first_version_is_brought_up(story: Story) -> None:
    """All of it, and then there is nothing to do."""
    line = story.line
    line.write(stack(story.repository, MORE.format(repository=story.repository)))
    line.say(password="the first password")
    story.deploy("v1")
    assert line.replicas() == WELL
    assert story.web() == ({"v1": 2}, {"hello one"})
    assert story.password() == {"the first password"}
    assert {container.node for container in story.look.containers(service="every")} == {"node2", "node3"}
    assert story.actions("v1") == dict.fromkeys(WELL, "keep")


def status_and_doctor_know_the_nodes(story: Story) -> None:
    (status,) = story.line.document("status", "dev")["environments"]
    services = {item["service"]: item for item in status["health"]["services"]}
    assert sorted(service["node"] for service in services["web"]["containers"]) == story.look.nodes_of("web")
    assert services["database"]["memory_bytes"] > 0, "it is on the node that is asked"
    assert services["every"]["verdict"] == "unverified", "of a service on each node, all of them are wanted"
    assert (services["idle"]["verdict"], services["idle"]["reason"]) == ("healthy", "has no containers, as it should")
    (report,) = story.line.document("doctor", "dev")["reports"]
    found = {item["message"] for item in report["results"]}
    assert "1 of 1 manager can be reached." in found


def update_takes_config_secret_and_login(story: Story) -> None:
    line, registry = story.line, story.registry
    line.say(greeting="hello two", password="the second password")
    registry.change_password("the next password of the registry's")
    registry.write_login(line.docker_config)
    story.deploy("v2")
    assert story.web() == ({"v2": 2}, {"hello two"})
    assert story.password() == {"the second password"}
    assert line.migrations() == ["migrated to v1", "migrated to v2"]


def drained_node_pulls_by_the_login_of_the_update(story: Story) -> None:
    """The node that has no such image yet takes over."""
    look, on = story.look, story.look.nodes_of("web")
    drained = next(node for node in story.swarm.nodes if node.hostname in on and node is not story.swarm.manager)
    (idle,) = [node for node in story.swarm.nodes if node.hostname not in on]
    with client_of(idle) as client:
        assert not [image for image in client.images.list() if any(":v2" in tag for tag in image.tags)], (
            "it has it already"
        )
    look.set_availability(drained, "drain")
    (stays,) = set(on) - {drained.hostname}
    assert wait_until(lambda: look.nodes_of("web") == sorted([stays, idle.hostname]), 30), look.nodes_of("web")
    assert look.versions("web") == {"v2": 2}
    look.set_availability(drained, "active")


def release_comes_back_with_its_own_secret(story: Story, number: int, first_secret: dict[str, str]) -> None:
    line = story.line
    link_plugins(line.folder)
    refused = line.run("rollback", "dev", "--to", str(number), DOCKER_CONFIG=str(line.folder))
    assert refused.returncode != 0, "without its registry, nobody knows whether the release can be had"
    assert story.web() == ({"v2": 2}, {"hello two"})
    done = line.run("rollback", "dev", "--to", str(number))
    assert done.returncode == 0, done.stdout + done.stderr
    assert story.web() == ({"v1": 2}, {"hello one"})
    assert story.password() == {"the first password"}
    assert first_secret.items() <= line.kept("secret").items(), "it is the very secret of the first release"
    line.say(password="the first password", greeting="hello one")
    assert story.actions("v1") == dict.fromkeys(WELL, "keep"), "it is what the files say"


def change_by_hand_is_told(story: Story) -> None:
    line = story.line
    line.docker("service", "update", "--detach", "--quiet", "--env-add", "BY=hand", f"{line.stack_name}_database")
    status = line.status_text()
    assert "database was changed by hand" in status, status
    assert "ContainerSpec.Env" in status, status
