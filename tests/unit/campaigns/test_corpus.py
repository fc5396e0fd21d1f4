"""The campaign over stacks that others made: what it counts, and a few of the same features, played."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from campaigns.corpus.ground import Look
from campaigns.corpus.playing import Adoption, Played, Verdict, changed_services
from campaigns.corpus.record import is_good, share
from campaigns.corpus.stacks import Model
from testbed.unstable_engine import IMAGE_STORE_VARIABLE

ROOT = Path(__file__).parents[3]
SECONDS = 240
LIST = """
[stacks.tunnel]
repository = "somebody/tunnel"
folder = "tunnel/docker"
networks = ["proxy"]

[stacks.shop]
repository = "somebody/shop"
folder = "shop"
files = ["compose.yaml", "compose.prod.yaml"]
outside = {"/opt/shop/env" = "A=1"}

[stacks.refused]
repository = "somebody/refused"
folder = "refused"
"""
DIGEST = "@sha256:81db6d39e1bba3b3ff32bd3a1b19a6d69690f94a3954ec131277b9a26b95b3aa"
TUNNEL = """
services:
  vpn:
    image: example.org/vpn:latest
    container_name: tunnel-vpn
    cap_add: [NET_ADMIN]
    volumes: ["/mnt/media/:/media/", "/:/host:ro", "/var/run/docker.sock:/var/run/docker.sock:ro"]
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
networks: {proxy: {external: true}}
""" % ("" if os.environ.get(IMAGE_STORE_VARIABLE) else DIGEST)  # containerd's store has no other image for a digest
SHOP = """
name: corner-shop
services:
  migrate:
    image: ghcr.io/shop/app:${SHOP_TAG:-1.0}
    command: ["migrate"]
    env_file: [/opt/shop/env]
  app:
    image: ghcr.io/shop/app:${SHOP_TAG:-1.0}
    depends_on: {migrate: {condition: service_completed_successfully}}
  database: {image: "postgres:16"}
"""
PROD = """
services:
  app: {volumes: ["data:/data/"]}
volumes: {data: {}}
"""


def test_share_is_of_what_compose_takes() -> None:
    good = Played("a", "a/a")
    refused = replace(good, verdict=Verdict.REFUSED)
    assert share([good, refused, replace(good, verdict=Verdict.NOT_FOR_COMPOSE)]) == 0.5
    assert is_good([good] * 19 + [refused])
    assert not is_good([good] * 18 + [refused])
    assert not is_good([good] * 30 + [replace(good, verdict=Verdict.CRASHED)])
    assert not is_good([good] * 30 + [replace(good, adoption=Adoption.UNTRUE)])


def test_container_made_or_started_is_a_change() -> None:
    look = Look("web", "09:00", "running", 0, 0, "", "sha256:1")
    assert changed_services({"1": look}, {"1": replace(look, health="healthy")}) == set()
    assert changed_services({"1": look}, {"2": look}) == {"web"}
    assert changed_services({"1": look}, {"1": replace(look, started_at="10:00")}) == {"web"}


def test_probes_of_a_shell_line_are_found() -> None:
    test = ["CMD-SHELL", 'pg_isready -U "$USER" || (curl -f http://a/ | grep -q OK) && exit 1']
    model = Model({"services": {"a": {"healthcheck": {"test": test}}, "b": {"healthcheck": {"test": ["CMD", "x"]}}}})
    assert model.probes >= {"pg_isready", "curl", "grep", "x"}


@pytest.mark.engine
@pytest.mark.timeout(SECONDS)
def test_sample_of_stacks_is_taken_over(tmp_path: Path) -> None:
    """A tunnel by its container's name, a bind of `/`, a digest, a one-shot, files by `-f`: all stay as they run."""
    for path, text in {
        "corpus.toml": LIST,
        "tunnel/docker/docker-compose.yml": TUNNEL,
        "shop/compose.yaml": SHOP,
        "shop/compose.prod.yaml": PROD,
        "refused/compose.yaml": "services: {web: {image: web, environment: 3}}",
    }.items():
        (tmp_path / "stacks" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stacks" / path).write_text(text)
    results = tmp_path / "results"
    command = [sys.executable, "-m", "campaigns.corpus", str(tmp_path / "stacks"), "--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["name"]: one for one in map(json.loads, (results / "stacks.jsonl").read_text().splitlines())}
    assert {name: one["verdict"] for name, one in found.items()} == {
        "tunnel": "plans",
        "shop": "plans",
        "refused": "Compose refuses its files",
    }
    assert {name: one["adoption"] for name, one in found.items() if name != "refused"} == {
        "tunnel": "kept",
        "shop": "kept",
    }
    assert found["shop"]["notes"] == ["another version and back"]
    assert "100.0%" in (results / "summary.md").read_text()
    assert not Path("/mnt/media").exists()
