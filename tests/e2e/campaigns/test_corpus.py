"""A few of the features of stacks that others made, played."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.unstable_engine import IMAGE_STORE_VARIABLE

ROOT = Path(__file__).parents[3]

SECONDS = 240

LIST = """
[stacks.house]
repository = "somebody/house"
folder = "house/docker"
files = ["compose.yaml", "compose.prod.yaml"]
networks = ["proxy"]
outside = {"/opt/shop/env" = "A=1"}

[stacks.refused]
repository = "somebody/refused"
folder = "refused"
"""

DIGEST = "@sha256:81db6d39e1bba3b3ff32bd3a1b19a6d69690f94a3954ec131277b9a26b95b3aa"

HOUSE = """
name: corner-house
services:
  vpn:
    image: example.org/vpn:latest
    container_name: tunnel-vpn
    cap_add: [NET_ADMIN]
    volumes: ["/mnt/media/:/media/", "/etc:/host:ro", "/var/run/docker.sock:/var/run/docker.sock:ro"]
    networks: [default, proxy]
    ports: ["80:80"]
  behind:
    image: behind
    network_mode: container:tunnel-vpn
    depends_on: [vpn]
  store:
    image: docker.io/valkey/valkey:8%s
    user: valkey
    healthcheck: {test: "redis-cli ping | grep -q PONG", interval: 1s}
  migrate:
    image: ghcr.io/shop/app:${SHOP_TAG:-1.0}
    command: ["migrate"]
    env_file: [/opt/shop/env]
  app:
    image: ghcr.io/shop/app:${SHOP_TAG:-1.0}
    depends_on:
      migrate: {condition: service_completed_successfully}
networks: {proxy: {external: true}}
""" % ("" if os.environ.get(IMAGE_STORE_VARIABLE) else DIGEST)  # containerd's store has no other image for a digest

PROD = """
services:
  app: {volumes: ["data:/data/"]}
volumes: {data: {}}
"""


@pytest.mark.timeout(SECONDS)
def test_sample_of_stacks_is_taken_over(tmp_path: Path) -> None:
    """A tunnel by its container's name, a bind of `/`, a digest, a one-shot, files by `-f`: all stay as they run."""
    for path, text in {
        "corpus.toml": LIST,
        "house/docker/compose.yaml": HOUSE,
        "house/docker/compose.prod.yaml": PROD,
        "refused/compose.yaml": "services: {web: {image: web, environment: 3}}",
    }.items():
        (tmp_path / "stacks" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stacks" / path).write_text(text)
    results = tmp_path / "results"
    command = [sys.executable, "-m", "tools.campaigns.corpus", str(tmp_path / "stacks"), "--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {item["name"]: item for item in map(json.loads, (results / "stacks.jsonl").read_text().splitlines())}
    verdicts = {name: item["verdict"] for name, item in found.items()}
    assert verdicts == {"house": "plans", "refused": "Compose refuses its files"}
    assert found["house"]["adoption"] == "kept"
    assert found["house"]["notes"][-1] == "another version, a failure, and back"
    typed, versions = found["house"]["typed"], found["house"]["versions"]
    # The jobs of a version that failed leave no container, so that what depends on them stays; one of them went well.
    recreated = {step: done["recreated"] for step, done in typed.items() if "recreated" in done and "`" in step}
    assert recreated == {
        "`up -d` after a rollback": ["migrate"],
        "`roas rollback`": ["app", "behind", "vpn"],
    }
    assert not any("started" in done for done in typed.values()), typed
    moved = [step for step, done in typed.items() if "moved" in done]
    assert moved == ["a change", "`roas rollback`"]
    assert versions["a change"] | {"app": "today → next"} == versions["a change"]
    assert versions["a version that crashes"]["app"] == versions["`up -d` after a rollback"]["app"] == "next"
    assert len(typed) == 15
    assert "100.0%" in (results / "summary.md").read_text()
    assert not Path("/mnt/media").exists()
