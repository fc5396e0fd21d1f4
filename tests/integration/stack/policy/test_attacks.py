"""Ideas of somebody who commits to a stack's repository: each is refused, a power that is shown, or his own matter.

What builds and containers have afterwards is judged in `test_never_given.py`, how powers are called in
`test_powers.py`. Here are the ideas themselves, by class, and what became of each at every level.
"""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import RoasError
from roas.models.environment import Environment, PolicyLevel
from roas.redaction import Redactor
from roas.stack.stacks import Stacks

Stack = Callable[..., Environment]
TOKEN = "t0ken." * 10
SECRET = "of-the-host-alone"
REFUSED = "refused"


def web(fields: str, rest: str = "") -> str:
    return f"services: {{web: {{image: 'tiny:v1', {fields}}}}}\n{rest}\n"


def pair(fields: str, others: str) -> str:
    return f"services: {{web: {{image: 'tiny:v1', {fields}}}, job: {{image: 'tiny:v1', {others}}}}}\n"


def build(fields: str, rest: str = "") -> str:
    return f"services: {{web: {{build: {{context: app, {fields}}}}}}}\n{rest}\n"


# By class: what he writes, and which powers it is shown as; none where it reaches nothing beyond the stack.
READS = {
    web("env_file: /proc/self/environ"): REFUSED,
    web("env_file: [{path: /proc/self/fd/0, required: false}]"): REFUSED,
    web("env_file: /proc/kmsg"): REFUSED,
    web("env_file: /dev/zero"): REFUSED,
    web("env_file: fifo"): REFUSED,
    web("env_file: '~/x'"): REFUSED,
    web("env_file: '${PWD}/../outside.env'"): REFUSED,
    web("env_file: [{path: bot.env, format: raw}]"): REFUSED,
    web("env_file: .git/config"): REFUSED,
    web("label_file: .git/config"): REFUSED,
    web("extends: {file: ../outside.yml, service: web}"): REFUSED,
    web("extends: {file: 'git@127.0.0.1:a.git', service: a}"): REFUSED,
    web("extends: {file: 'https://127.0.0.1/x.yml', service: a}"): REFUSED,
    "include: ['oci://127.0.0.1/x']\n" + web("tty: true"): REFUSED,
    "include: [{path: own.yml, env_file: /proc/self/environ}]\n" + web("tty: true"): REFUSED,
    "include: [{path: own.yml, project_directory: ../host}]\n" + web("tty: true"): REFUSED,
    "include: [.git/config]\n" + web("tty: true"): REFUSED,
    web("secrets: [s]", "secrets: {s: {environment: DISCORD_TOKEN}}"): REFUSED,
    web("secrets: [s]", "secrets: {s: {file: .git/config}}"): REFUSED,
    web("configs: [s]", "configs: {s: {environment: STATE_DIR}}"): REFUSED,
    web("environment: [DISCORD_TOKEN, LD_PRELOAD]"): (),
    web("volumes: ['./.git/config:/x:ro']"): REFUSED,
    web("volumes: ['./copy-of-token:/x:ro']"): REFUSED,
    web("volumes: ['./state:/x:ro']"): REFUSED,
    web("volumes: ['/proc/1/root:/x:ro']"): ("web: path /proc/1/root",),
    web("volumes: ['./data/../../outside.env:/x:ro']"): ("web: reads {parent}/outside.env",),
    web("volumes: ['./to-etc:/x:ro']"): ("web: reads /etc",),
    web("develop: {watch: [{action: sync, path: /etc, target: /x}]}"): (),
}
WRITES = {
    # What a container writes in a working copy, the next commit makes a submodule.
    web("volumes: ['./data:/x']"): ("web: writes {folder}/data",),
    web("volumes: ['./data/later:/x', './data/later:/y:ro']"): (
        "web: writes {folder}/data/later",
        "web: reads {folder}/data/later",
    ),
    # What is shown is what is given, to the last character.
    web('volumes: ["/srv/a\\u202eb:/x"]'): (r"web: path /srv/a\u{202e}b",),
    web('volumes: ["/srv/a  b:/x", "/srv/a\\u2003b:/y"]'): (r"web: path /srv/a \u{20}b", r"web: path /srv/a\u{2003}b"),
    web(f"volumes: ['/srv/a#{'0' * 40}:/x:ro']"): (rf"web: reads /srv/a\u{{23}}{'0' * 40}",),
    web("volumes: ['./.git:/x']"): ("web: writes {folder}/.git",),
    web("volumes: ['./to-etc:/x']"): ("web: path /etc",),
    web("volumes: ['vv:/x']", "volumes: {vv: {driver_opts: {type: none, o: bind, device: /srv}}}"): (
        "vv: volume device=/srv, o=bind, type=none",
    ),
    web("volumes: ['vv:/x']", "volumes: {vv: {driver_opts: {type: nfs, o: addr=127.0.0.1, device: ':/'}}}"): (
        "vv: volume device=:/, o=69227b09f5b535ecbc533da06d4f7baa139cb03c, type=nfs",
    ),
    web(
        "volumes: ['vv:/x']", f"volumes: {{vv: {{driver_opts: {{type: nfs, o: 'addr={TOKEN}', device: ':/'}}}}}}"
    ): REFUSED,
    web("networks: [n]", f"networks: {{n: {{labels: {{a: {TOKEN}}}}}}}"): REFUSED,
    web("volumes: ['vv:/x']", "volumes: {vv: {name: other_data}}"): ("vv: others-volume other_data",),
    web("volumes: ['vv:/x:ro']", "volumes: {vv: {name: other_data}}"): ("vv: reads others-volume other_data",),
    web("volumes: [{type: cluster, source: vv, target: /x}]"): ("web: mount cluster vv",),
    web("volumes: [{type: image, source: roas-build/prod-web, target: /x}]"): REFUSED,
    web("volumes_from: ['container:other-web-1:ro']"): REFUSED,
    web("pid: 'container:other-web-1'"): REFUSED,
    web("ipc: 'container:other-web-1'"): ("web: ipc container:other-web-1",),
    web("post_start: [{command: id, privileged: true}]"): ("web: privileged post_start.privileged",),
    web("cgroup_parent: /"): ("web: cgroup_parent /",),
    web("cgroup: host"): ("web: cgroup host",),
    web("userns_mode: host"): ("web: userns_mode host",),
    web("uts: host"): ("web: uts host",),
    web("runtime: runc"): ("web: runtime runc",),
    web("oom_score_adj: -1000"): ("web: oom",),
    web("security_opt: ['label:disable', 'systempaths=unconfined']"): (
        "web: security_opt label:disable",
        "web: security_opt systempaths=unconfined",
    ),
    web("user: '0:0', group_add: ['999'], healthcheck: {test: [CMD, id], interval: 1ms}"): (),
    "services: {x-a: {image: 'tiny:v1', privileged: true}}": ("x-a: privileged",),
    web("x-deploy: {live: {/etc/passwd: /etc/shadow}, image_id: 'sha256:1', adopted_hash: x, as_found: true}"): (),
}
# Beside a service that somebody gave a power, another one that has it, too.
JOINED = {
    pair("privileged: true", "pid: 'service:web'"): ("job: pid service:web", "web: privileged"),
    pair("privileged: true, container_name: fixed", "pid: 'container:fixed'"): (
        "job: pid service:web",
        "web: privileged",
    ),
    pair("privileged: true, pid: 'service:job'", "tty: true"): (
        "job: pid web",
        "web: pid service:job",
        "web: privileged",
    ),
    pair("privileged: true", "ipc: 'service:web', network_mode: 'service:web'"): ("web: privileged",),
    pair("network_mode: host", "network_mode: 'service:web'"): (
        "job: network_mode service:web",
        "web: network_mode host",
    ),
    pair("ipc: host", "ipc: 'service:web'"): ("job: ipc service:web", "web: ipc host"),
    pair("tty: true", "pid: 'service:web'"): (),
    web("x-deploy: {teleport: now}"): ("web: x-deploy.teleport: now",),
}
IMAGES = {
    web("tty: true").replace("tiny:v1", "roas-build/prod-web"): REFUSED,
    web("tty: true").replace("tiny:v1", "index.docker.io/roas-build/prod-web:latest"): REFUSED,
    web("tty: true").replace("tiny:v1", f"roas-build/prod-web:latest@sha256:{'a' * 64}"): REFUSED,
    build("network: 'container:x'"): ("web: build container:x",),
    build("entitlements: [security.insecure]"): ("web: build .entitlements: security.insecure",),
    build("ssh: [default]"): ("web: build .ssh: default",),
    build("privileged: true"): ("web: build .privileged",),
    build("additional_contexts: {x: 'https://127.0.0.1/x.git'}"): ("web: build https://127.0.0.1/x.git",),
    build("additional_contexts: {x: 'oci-layout:///etc'}"): ("web: build oci-layout:///etc",),
    build("additional_contexts: {x: 'local:///etc'}"): ("web: build local:///etc",),
    build("dockerfile: ../../outside.env"): ("web: build {folder}/app/../../outside.env",),
    build("secrets: [s]", "secrets: {s: {environment: DOCKER_HOST}}"): REFUSED,
    build("ulimits: {rtprio: 99}"): ("web: ulimits rtprio",),
}
NETWORK = {
    web("network_mode: 'container:other-web-1'"): ("web: network_mode container:other-web-1",),
    web("network_mode: other_default"): ("web: network_mode other_default",),
    web("networks: [n]", "networks: {n: {name: other_default}}"): ("n: others-network other_default",),
    web("networks: [n]", "networks: {n: {name: host, external: true}}"): ("n: network host", "n: others-network host"),
    web("networks: [n]", "networks: {n: {driver_opts: {com.docker.network.bridge.name: docker0}}}"): (
        "n: network com.docker.network.bridge.name=docker0",
    ),
    web("external_links: ['other-web-1:x']"): ("web: external_links other-web-1:x",),
    web("links: ['other-web-1:x']"): REFUSED,
    web("ports: ['[::]:8443:443']"): ("web: port 8443",),
    web("ports: [{target: 80, published: '8081', mode: host}]"): ("web: port 8081",),
    web("ports: ['80']"): ("web: port any:80",),
    web("ports: ['10.1.2.3:8443:443']"): ("web: port 10.1.2.3:8443",),
    web("ports: ['[fd00::1]:8443:443/udp']"): ("web: port [fd00::1]:8443/udp",),
    web("ports: ['127.0.0.1:8443:443', '[::1]:8444:443']"): (),
    web("network_mode: bridge"): ("web: network_mode bridge",),
    web("x-deploy: {probe: 'http://169.254.169.254/latest'}"): REFUSED,
    web("labels: {com.docker.compose.project: other}"): REFUSED,
    web("label_file: labels"): REFUSED,
}
DENIAL = {
    f"services: {{{','.join(f's{number}: {{image: x}}' for number in range(1001))}}}": REFUSED,
    web("deploy: {replicas: 1000000}"): REFUSED,
    web("scale: -1"): REFUSED,
    "services: {a: {image: 'tiny:v1', scale: 600}, b: {image: 'tiny:v1', deploy: {replicas: 600}}}": REFUSED,
    web("x-deploy: {track: {pattern: '(a+)+b'}}"): REFUSED,
    "include: [docker-compose.yml]\n" + web("tty: true"): REFUSED,
    f"x-a: {'[' * 5000}{']' * 5000}\n{web('tty: true')}": REFUSED,
    web(f"environment: {{A: '{'${A:-' * 200}x{'}' * 200}'}}"): (),
}
IDEAS = READS | WRITES | JOINED | IMAGES | NETWORK | DENIAL


@pytest.fixture
def folder(stack: Stack) -> Path:
    """The folder of a stack, with what he commits, and with what the bot and others have there."""
    folder = stack("services: {}").folder
    for name in ("app", "data", "state", ".git"):
        (folder / name).mkdir()
    (folder / "app" / "Dockerfile").write_text("FROM tiny:v1\n")
    (folder / "own.yml").write_text("services: {own: {image: 'tiny:v1', labels: ['a=${SECRET:-}']}}")
    (folder / "labels").write_text("com.docker.compose.project=other\n")
    (folder / "to-etc").symlink_to("/etc")
    os.mkfifo(folder / "fifo")
    for name in ("bot.env", "copy-of-token"):
        (folder / name).write_text(f"DISCORD_TOKEN={TOKEN}\n")
    (folder.parent / "host").mkdir()
    for path in (folder.parent / "outside.env", folder.parent / "host" / ".env", folder / ".git" / "config"):
        path.write_text(f"SECRET={SECRET}\n")
    return folder


@pytest.mark.parametrize("share", [8, pytest.param(1, marks=pytest.mark.long)], ids=["sample", "each"])
@pytest.mark.timeout(900)
async def test_idea_gains_nothing_unseen(stack: Stack, folder: Path, share: int, monkeypatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    environment = replace(stack("services: {}"), withheld=frozenset({folder / "bot.env"}))
    wrong = []
    for text, wanted in [*IDEAS.items()][random.randrange(share) :: share]:
        environment.compose_files[0].write_text(text)
        expected = {
            PolicyLevel.ASK: wanted,
            PolicyLevel.STRICT: wanted and REFUSED if "network_mode: bridge" not in text else (),
            PolicyLevel.TRUSTED: REFUSED if wanted == REFUSED and "pid: 'container:" not in text else (),
        }
        for level, became in expected.items():
            seen = await what_became(replace(environment, policy=level), folder)
            places = {"{folder}": str(folder), "{parent}": str(folder.parent)}
            if seen != became and seen != _placed(became, places):
                wrong.append((level, text[:200], seen))
    assert not wrong


def _placed(powers: str | tuple[str, ...], places: dict[str, str]) -> object:
    if isinstance(powers, str):
        return powers
    for key, place in places.items():
        powers = tuple(power.replace(key, place) for power in powers)
    return powers


async def what_became(environment: Environment, folder: Path) -> object:
    """Return the new powers of a stack, or that it is refused; what a person reads of it holds no secret."""
    made = Stacks(state_dir=folder / "state", instance_id="T", policy_allow=(), redactor=Redactor(), token=TOKEN)
    try:
        resolved = await made.of(environment).resolve(None, write_contents=False)
        assert TOKEN not in str(resolved.model)
        assert SECRET not in str(resolved.model)
        return tuple(await made.of(environment).releases.new_powers(resolved, ()))
    except RoasError as error:
        told = f"{error.message} {error.hint}"
        return f"it tells {told}" if TOKEN in told or SECRET in told else REFUSED
    finally:
        await made.close()
