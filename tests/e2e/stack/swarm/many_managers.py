"""A command line for a stack on a Swarm of three managers, of which the first one runs no task."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.private_registry import PrivateRegistry
from tests.e2e.stack.swarm.swarm_line import SwarmLine

STACK = """
services:
  web:
    image: {repository}:${{VERSION}}
    stop_grace_period: 1s
    deploy:
      replicas: 4
      endpoint_mode: dnsrr
      placement: {{constraints: ["node.hostname != node1"]}}
      update_config: {{monitor: 2s}}
"""


@dataclass
class ManyManagersLine(SwarmLine):
    """Type commands for a stack whose Swarm has three addresses."""

    others: tuple[str, ...] = ()

    def environ(self, **changes: str) -> dict[str, str]:
        others = ", ".join(f'"{address}"' for address in self.others)
        return super().environ(**{"ENVIRONMENTS__DEV__MANAGERS": f"[{others}]", **changes})


def line_by(addresses: Sequence[str], registry: PrivateRegistry, folder: Path) -> ManyManagersLine:
    """Return a command line that reaches the managers by these addresses, in their order."""
    registry.write_login(folder / "docker")
    name, config = f"lost-{secrets.token_hex(3)}", folder / "docker"
    made = ManyManagersLine(folder, addresses[0], name, docker_config=config, others=tuple(addresses[1:]))
    made.write(STACK.format(repository=f"{registry.address}/shop"))
    return made
