"""Secrets and configs that others gave to the Swarm: a stack that has them is taken over, deployed and brought back."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from testbed.private_registry import PrivateRegistry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.stack.swarm.swarm_line import SwarmLine

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Given:
    """What the Swarm has for a stack, and the stack itself; as `docker stack deploy` takes it, too."""

    line: SwarmLine
    look: StackView
    repository: str
    secret: str
    config: str

    def write(self, version: str = "${VERSION:-v1}", more: str = "") -> None:
        self.line.write(f"""
version: "3.8"
services:
  web:
    image: {self.repository}:{version}
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      restart_policy: {{condition: any, delay: 300ms}}
      update_config: {{monitor: 1s, failure_action: rollback}}
    secrets: [password]
    configs: [{{source: site, target: /config/site}}]
secrets: {{password: {{external: true, name: {self.secret}}}}}
configs: {{site: {{external: true, name: {self.config}}}}}
{more}
""")

    def allowed(self) -> dict[str, str]:
        return {"ENVIRONMENTS__DEV__ALLOW": f'["external_secret:{self.secret}", "external_config:{self.config}"]'}

    def password(self) -> set[str]:
        return self.look.inside("web", "/run/secrets/password")


@pytest.fixture
def given(line: SwarmLine, look: StackView, registry: PrivateRegistry) -> Iterator[Given]:
    name = secrets.token_hex(3)
    made = Given(line, look, f"{registry.address}/shop", f"db-{name}", f"site-{name}")
    yield made
    look.remove()
    for kind, prefix in (("secret", made.secret), ("config", made.config)):
        for found in line.docker(kind, "ls", "--quiet", "--filter", f"name={prefix}").split():
            assert wait_until(lambda kind=kind, found=found: removed(line, kind, found), 30)  # type: ignore[misc]


def removed(line: SwarmLine, kind: str, name: str) -> bool:
    """Remove it; a service that is being removed has it for a moment."""
    line.docker(kind, "rm", name)
    return True


def give(line: SwarmLine, kind: str, name: str, text: str) -> None:
    """Let the Swarm have it, as a person would."""
    path = line.folder / "given"
    path.write_text(text)
    line.docker(kind, "create", name, str(path))


def set_secret(given: Given, value: str) -> str:
    """Pipe a value in, and return what the version is called."""
    typed = [sys.executable, "-m", "roas", "secret", "set", "dev", given.secret, "--json"]
    line = given.line
    ended = subprocess.run(
        typed, cwd=line.folder, env=line.environ(), input=value, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return str(json.loads(ended.stdout)["called"])


def test_stack_with_external_files_is_taken_over_and_brought_back(given: Given) -> None:
    """What it is given is the same already; what is missing is said before anything is touched."""
    line, look = given.line, given.look
    given.write()
    asked = line.run("deploy", "dev", "v1", "--dry-run")
    assert f"password: others secret {given.secret}" in " ".join(asked.stdout.split()), asked.stdout
    refused = line.run("deploy", "dev", "v1", "--dry-run", ENVIRONMENTS__DEV__POLICY="default")
    assert f"external_secret:{given.secret}" in refused.stderr, refused.stderr
    missing = line.run("deploy", "dev", "v1", **given.allowed())
    told = " ".join(missing.stdout.split())
    assert f"The external secret {given.secret} does not exist: create it by `roas secret set dev" in told, told
    assert f"The external config {given.config} does not exist: create it by `docker config create" in told, told
    assert (missing.returncode, line.replicas()) == (6, {})

    set_secret(given, "the first")
    give(line, "config", given.config, "hello")
    given.write(version="v1")
    file = str(line.folder / "stack" / "docker-compose.yml")
    line.docker("stack", "deploy", "--with-registry-auth", "--compose-file", file, line.stack_name)
    assert wait_until(lambda: given.password() == {"the first"}, 60)
    given.write()
    plan = line.document("deploy", "dev", "v1", "--dry-run", **given.allowed())
    assert "ContainerSpec" not in json.dumps(plan["services"]), "its files are the same already"
    newer = line.run("deploy", "dev", "v2", **given.allowed())
    assert newer.returncode == 0, newer.stdout + newer.stderr
    assert (given.password(), look.inside("web", "/config/site")) == ({"the first"}, {"hello"})
    back = line.run("rollback", "dev", "--to", "0", **given.allowed())
    assert back.returncode == 0, back.stdout + back.stderr
    assert (given.password(), look.inside("web", "/version")) == ({"the first"}, {"v1"})


@pytest.mark.long
def test_rotated_secret_is_seen_and_a_way_back_keeps_todays(given: Given) -> None:
    """A new version of ours is drift until it is deployed, and another one by hand is, too; the value is nowhere."""
    line = given.line
    given.write()
    give(line, "config", given.config, "hello")
    assert set_secret(given, "value-of-the-first") == given.secret
    first = line.run("deploy", "dev", "v1", **given.allowed())
    assert first.returncode == 0, first.stdout + first.stderr
    assert given.password() == {"value-of-the-first"}
    newest = set_secret(given, "value-of-the-second")
    assert newest == f"{given.secret}_v2"
    assert f"it has the secret {given.secret}, and {newest} is newer" in line.status_text()
    plan = line.document("deploy", "dev", "v1", "--dry-run", **given.allowed())
    assert [(item["service"], item["action"]) for item in plan["services"]] == [("web", "recreate")]
    second = line.run("deploy", "dev", "v2", **given.allowed())
    assert second.returncode == 0, second.stdout + second.stderr
    assert given.password() == {"value-of-the-second"}
    assert "is newer" not in line.status_text()

    back = line.run("rollback", "dev", "--to", "1", **given.allowed())
    assert back.returncode == 0, back.stdout + back.stderr
    assert (given.password(), given.look.inside("web", "/version")) == ({"value-of-the-second"}, {"v1"})
    assert "configuration is not that of" not in line.status_text()
    exchanged = ("--secret-rm", newest, "--secret-add", f"source={given.secret},target=password")
    line.docker("service", "update", "--detach=false", *exchanged, f"{line.stack_name}_web")
    assert "ContainerSpec.Secrets" in line.status_text()
    written = [path.read_bytes() for path in line.state.rglob("*") if path.is_file()]
    assert not any(b"value-of-the" in content for content in written), "no file of the bot's has the value"
