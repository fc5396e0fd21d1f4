"""What a stack asks for beyond its own containers is named, and rides along with releases that have it."""

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from roas.errors import ComposePolicyError, NewPowersError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.sources.contents import MOST_BYTES
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import draft

Stack = Callable[..., Environment]

# By what is asked for: what is shown of it. Each row is one of the page of powers.
POWERS = {
    "privileged: true": ["web: privileged"],
    "volumes: ['/run/docker.sock:/s']": ["web: docker-socket /run/docker.sock"],
    "volumes: ['/run/docker.sock:/s:ro']": ["web: docker-socket /run/docker.sock"],
    "volumes: ['/etc:/e']": ["web: path /etc"],
    "volumes: ['/etc:/e:ro']": ["web: reads /etc"],
    "volumes: ['./docker-compose.yml:/d']": ["dev: writes {folder}/docker-compose.yml"],
    "cap_add: [NET_ADMIN, SYS_PTRACE]": ["web: cap_add NET_ADMIN", "web: cap_add SYS_PTRACE"],
    "devices: ['/dev/kvm:/dev/kvm']": ["web: devices 40 hex"],
    "pid: host": ["web: pid host"],
    "network_mode: host": ["web: network_mode host"],
    "security_opt: ['seccomp:unconfined']": ["web: security_opt seccomp:unconfined"],
    "sysctls: {vm.overcommit_memory: 1}": ["web: sysctls vm.overcommit_memory"],
    "ports: ['443:443']": ["web: port 443"],
    "ports: ['5353:53/udp']": ["web: port 5353/udp"],
    "ports: ['127.0.0.1:443:443']": [],
    "logging: {driver: syslog}": ["web: logging syslog"],
    "networks: [n]\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}": ["n: network 10.0.0.0/8"],
    "networks: [n]\nnetworks: {n: {ipam: {config: [{subnet: 192.168.7.1/32}]}}}": ["n: network 192.168.7.1/32"],
    "networks: [n]\nnetworks: {n: {ipam: {config: [{subnet: 'fd00::/8'}]}}}": ["n: network fd00::/8"],
    "networks: [n]\nnetworks: {n: {external: true, name: proxy}}": ["n: others-network proxy"],
    "volumes: ['data:/d']\nvolumes: {data: {external: true, name: theirs}}": ["data: others-volume theirs"],
    "volumes: ['data:/d']\nvolumes: {data: {driver_opts: {type: none, o: bind, device: /etc}}}": [
        "data: volume device=/etc, o=bind, type=none"
    ],
    "command: [x]": [],
}


@pytest.mark.parametrize(("text", "wanted"), POWERS.items(), ids=POWERS)
async def test_power_is_named_and_asked_for(engine: Stacks, stack: Stack, text: str, wanted: list[str]) -> None:
    environment = replace(stack(written(text)), policy=PolicyLevel.ASK)
    resolved = await engine.of(environment).resolve(None)
    expected = sorted(name.replace("{folder}", str(environment.folder)) for name in wanted)
    found = sorted(await engine.of(environment).releases.new_powers(resolved, ()))
    if "40 hex" in "".join(expected):
        assert [name.rpartition(" ")[0] for name in found] == [name[: -len(" 40 hex")] for name in expected]
    else:
        assert found == expected
    strict = replace(environment, policy=PolicyLevel.STRICT)
    if wanted:
        with pytest.raises(ComposePolicyError):
            await engine.of(strict).resolve(None)
    assert not (await engine.of(replace(environment, policy=PolicyLevel.TRUSTED)).resolve(None)).powers


def written(text: str) -> str:
    """Return a compose file: what `web` has, and below it what stands beside the services."""
    fields, _, rest = text.partition("\n")
    return f"services: {{web: {{image: 'tiny:v1', {fields}}}}}\n{rest}"


RIDING = [text for text, wanted in POWERS.items() if wanted and "external" not in text] + [
    "build: {context: ., network: host}",
    "secrets: [s]\nsecrets: {s: {file: /etc/hostname}}",
    "privileged: true, build: .",
]


# Each is told as a new one above: that it rides along is the same act for all of them.
@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=pytest.mark.long if n % 4 else ()) for n, text in enumerate(RIDING)]
)
async def test_power_of_a_release_rides_along(engine: Stacks, stack: Stack, text: str) -> None:
    environment = replace(stack(written(text)), policy=PolicyLevel.ASK)
    (environment.folder / "Dockerfile").write_text("FROM tiny:v1\n")
    resolved = await engine.of(environment).resolve(None)
    assert await engine.of(environment).releases.new_powers(resolved, ())
    image = await engine.of(environment).images.look_up(
        await engine.of(stack_of_image(environment)).resolve(None), frozenset({"web"})
    )
    drafted = await engine.of(environment).releases.pin(resolved, {"web": str(image["web"].image_id)})
    assert (
        await engine.of(environment).releases.new_powers(
            await engine.of(environment).resolve(None), [drafted.model_hash]
        )
        == {}
    )


def stack_of_image(environment: Environment) -> Environment:
    """Return a stack beside it that has the image and nothing else."""
    path = environment.folder / "plain.yml"
    path.write_text("services: {web: {image: 'tiny:v1'}}")
    return replace(environment, compose_files=(path,))


# By what is read from where it lies: what a yes would count for whatever becomes of it.
LIVE = {
    "too large to be copied": ("volumes: ['./big:/b:ro']", "big"),
    "a writable bind inside": ("volumes: ['./conf:/c:ro', './conf/own:/o']", "conf"),
    "inside of a writable one": ("volumes: ['./conf/own:/o:ro', './conf:/c']", "conf/own"),
    "a socket": ("volumes: ['./socket:/s:ro']", "socket"),
    "not there yet": ("volumes: ['./later:/l:ro']", "later"),
    "renewed by the host": ("volumes: ['./conf:/c:ro'], x-deploy: {live_binds: [./conf]}", "conf"),
    "a secret that is renewed": (
        "secrets: [s], x-deploy: {live_binds: [./conf/key]}\nsecrets: {s: {file: ./conf/key}}",
        "conf/key",
    ),
}


@pytest.mark.parametrize(("text", "path"), LIVE.values(), ids=LIVE)
async def test_what_is_read_from_where_it_lies_is_a_power(engine: Stacks, stack: Stack, text: str, path: str) -> None:
    """All that was approved is copied; of what cannot be, a person is told that it may change later."""
    environment = replace(stack(written(text)), policy=PolicyLevel.ASK)
    folder = environment.folder
    (folder / "conf" / "own").mkdir(parents=True)
    (folder / "conf" / "key").write_text("a key")
    with (folder / "big").open("wb") as big:
        big.truncate(MOST_BYTES + 1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
    resolved = await engine.of(environment).resolve(None)
    assert f"web: reads {folder / path}" in await engine.of(environment).releases.new_powers(resolved, ())
    drafted = await draft(engine, environment)
    assert await engine.of(environment).releases.new_powers(resolved, [drafted.model_hash]) == {}


SYSLOG = "logging: {driver: syslog, options: {syslog-address: '%s'}}"
DEVICE = "volumes: ['dd:/d']\nvolumes: {dd: {driver_opts: {type: none, o: bind, device: '%s'}}}"
BRIDGE = "networks: [n]\nnetworks: {n: {driver_opts: {com.docker.network.bridge.name: %s}}}"
THEIRS = "volumes: {dd: {external: true, name: theirs}}"


@pytest.mark.parametrize(
    ("before", "after", "is_new"),
    [
        ("privileged: true, environment: [A=1]", "privileged: true, environment: [A=2]", False),
        ("privileged: true", "privileged: true, environment: ['NODE_OPTIONS=--import=/payload']", True),
        ("privileged: true", "privileged: true, working_dir: /data", True),
        ("privileged: true", "privileged: true, command: [/payload]", True),
        ("privileged: true", "privileged: true, user: '0'", True),
        ("privileged: true", "privileged: true, volumes: ['./data:/d']", True),
        ("ports: ['443:443']", "ports: ['443:443'], command: [/other]", False),
        ("cap_add: [NET_ADMIN]", "cap_add: [NET_ADMIN, SYS_ADMIN]", True),
        ("privileged: true", "privileged: true, build: .", True),
        ("privileged: true, healthcheck: {test: a}", "privileged: true, healthcheck: {test: /payload}", True),
        ("volumes: ['/etc:/e:ro']", "volumes: ['/etc:/e']", True),
        ("ports: ['10.1.2.3:443:443']", "ports: ['443:443']", True),
        ("ports: ['443']", "ports: ['443:443']", True),
        (f"{SYSLOG % 'unix:///dev/log'}", f"{SYSLOG % 'tcp://127.0.0.1:6379'}", True),
        (f"{DEVICE % '/srv'}", f"{DEVICE % '/opt'}", True),
        (f"{BRIDGE % 'br-own'}", f"{BRIDGE % 'docker0'}", True),
        (f"volumes: ['dd:/d:ro']\n{THEIRS}", f"volumes: ['dd:/d']\n{THEIRS}", True),
        (f"volumes: ['dd:/d']\n{THEIRS}", f"volumes: ['dd:/d'], command: [x]\n{THEIRS}", False),
    ],
)
async def test_power_over_something_else_is_new(
    engine: Stacks, stack: Stack, before: str, after: str, is_new: bool
) -> None:
    (stack("services: {}").folder / "data").mkdir()
    first = replace(stack(written(before)), policy=PolicyLevel.ASK)
    granted = (await draft(engine, first)).model_hash
    second = replace(stack(written(after)), policy=PolicyLevel.ASK)
    assert bool(await engine.of(second).releases.new_powers(await engine.of(second).resolve(None), [granted])) is is_new


async def test_file_gives_itself_no_power(engine: Stacks, stack: Stack) -> None:
    """What a release notes of powers that it had is never taken from what its author wrote."""
    asking = "services: {web: {image: 'tiny:v1', privileged: true}}"
    wanted = replace(stack(asking), policy=PolicyLevel.ASK)
    powers = (await engine.of(wanted).resolve(None)).powers
    stack(f"services: {{web: {{image: 'tiny:v1'}}}}\nx-roas-powers: {sorted(powers)}\n")
    forged = (await draft(engine, wanted)).model_hash
    stack(asking)
    resolved = await engine.of(wanted).resolve(None)
    assert await engine.of(wanted).releases.new_powers(resolved, [forged]) == {"web: privileged": "web: privileged"}


@pytest.mark.parametrize(
    ("secret", "fields"),
    [
        ("SYS_ADMIN", "cap_add: [SYS_ADMIN]"),
        ("pid host", "pid: host"),
        ("unconfined", "security_opt: ['seccomp:unconfined']"),
        (
            "o=bind, type=none",
            "volumes: ['data:/d']\nvolumes: {data: {driver_opts: {type: none, o: bind, device: /mnt}}}",
        ),
    ],
)
async def test_power_that_a_secret_hides_is_given_by_nobody(
    engine: Stacks, stack: Stack, secret: str, fields: str
) -> None:
    """Whoever commits to a stack says what is a secret there: a plan would show `web: [redacted]`."""
    text = written(f"environment: {{A_PASSWORD: '{secret}'}}, {fields}")
    found = engine.of(replace(stack(text), policy=PolicyLevel.ASK))
    with pytest.raises(NewPowersError, match=r"cannot be shown whole: .*\[redacted\]"):
        await found.releases.new_powers(await found.resolve(None), ())


@pytest.mark.parametrize(
    ("word", "fields", "power"),
    [
        ("privileged", "privileged: true", "web: privileged"),
        ("docker-socket", "volumes: ['/run/docker.sock:/s']", "web: docker-socket /run/docker.sock"),
        ("network_mode", "network_mode: host", "web: network_mode host"),
        ("others-network", "networks: [n]\nnetworks: {n: {external: true, name: proxy}}", "n: others-network proxy"),
    ],
)
async def test_word_of_a_power_is_no_secret(engine: Stacks, stack: Stack, word: str, fields: str, power: str) -> None:
    text = written(f"environment: {{A_PASSWORD: '{word}'}}, {fields}")
    found = engine.of(replace(stack(text), policy=PolicyLevel.ASK))
    assert await found.releases.new_powers(await found.resolve(None), ()) == {power: power}
