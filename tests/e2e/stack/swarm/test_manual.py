"""What `docs/how-to/swarm.md` says an operator types, typed on a Swarm, for `prod`."""

import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.swarm import Swarm
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.stack.swarm.swarm_line import SwarmLine

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
STACK = """
services:
  web:
    image: {repository}:${{VERSION}}
    stop_grace_period: 1s
    secrets: [password]
    deploy: {{replicas: 4, endpoint_mode: dnsrr, update_config: {{monitor: 3s}}}}
secrets: {{password: {{external: true, name: {secret}}}}}
"""


class ProdLine(SwarmLine):
    """Type commands for `prod`, which needs a second person's approval."""

    def environ(self, **changes: str) -> dict[str, str]:
        own = {"ENVIRONMENTS__PROD__ENGINE": "swarm", "DOCKER_CONFIG": str(self.docker_config)}
        return super().environ(**{**own, **changes})

    def typed(self, command: str, *, refused: bool = False, given: str = "") -> str:
        """Type a line of the manual; returns all that it says, in one line."""
        words = shlex.split(command)
        words = [sys.executable, "-m", *words] if words[0] == "roas" else words
        ended = subprocess.run(
            words, cwd=self.folder, env=self.environ(), input=given, capture_output=True, text=True, check=False
        )
        told = " ".join((ended.stdout + ended.stderr).split())
        assert bool(ended.returncode) is refused, f"{command}: {told}"
        return told


@pytest.fixture
def line(tmp_path: Path) -> Iterator[ProdLine]:
    with (
        Swarm(tmp_path / "nodes", workers=1) as nodes,
        swarm_registry(nodes, tmp_path / "registry", healthy(["v1", "v2"])) as versions,
    ):
        versions.write_login(tmp_path / "docker")
        made = ProdLine(
            tmp_path, nodes.docker_host, f"manual-{secrets.token_hex(3)}", docker_config=tmp_path / "docker"
        )
        made.write(STACK.format(repository=f"{versions.address}/shop", secret="db"))
        yield made
        made.clear()
        assert StackView(nodes, f"{made.project}-prod").remove()


def test_operator_deploys_goes_back_and_rotates_a_secret(line: ProdLine) -> None:
    """Each command is as the manual has it; those of Docker know the stack."""
    asked = line.typed("roas deploy prod v1 --dry-run")
    assert "roas secret set prod db" in asked, asked
    line.typed("roas secret set prod db", given="the first")
    wants_grant = line.typed("roas deploy prod v1 --reason first --yes", refused=True)
    _, told, ready_to_paste = wants_grant.rpartition("--grant ")
    assert told, wants_grant
    line.typed(f"roas deploy prod v1 --reason first --yes --grant {ready_to_paste}")
    needs = line.typed("roas deploy prod v2", refused=True)
    assert "--reason" in needs, needs
    line.typed("roas deploy prod v2 --reason 'the fix for the basket' --yes")
    began = time.monotonic()
    line.typed("roas rollback prod --reason 'v2 loses orders' --yes")
    print(f"four tasks, one at a time, each watched for 3 s, went back in {time.monotonic() - began:.1f} s")
    line.typed("roas rollback prod --to 2 --reason it_did_not --yes")

    line.typed("docker secret create --label io.roas.secret=db db_v2 -", given="the second")
    assert "db_v2 is newer" in line.typed("roas status prod")
    line.typed("roas deploy prod v2 --reason rotated --yes")
    line.typed("docker secret rm db")
    assert f"{line.project}-prod" in line.typed("docker stack ls")
    assert "Running" in line.typed(f"docker stack ps {line.project}-prod")
    line.typed("roas doctor prod")
    line.typed("docker node promote node2")
    assert wait_until(lambda: "2 of 2 managers can be reached" in line.typed("roas doctor prod --all"), 60, poll=1)
    line.typed("docker node update --availability drain node2")
    assert wait_until(lambda: "node2" not in line.typed("roas status prod"), 60)
    line.typed("docker node update --availability active node2")
    assert "@node1" in line.typed("roas logs prod web")
