"""A stack gets no rights that the settings do not allow by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roas.configuration.environments import environments
from roas.configuration.loading import load_settings
from roas.errors import ComposePolicyError
from roas.models.environment import EngineKind, Environment, PolicyLevel
from roas.stack.model.service_keys import SERVICE_KEYS
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.keys import KEYS
from tools.campaigns.hostile.every_key import schema_keys

FOLDER = Path("/srv/stack")
STATE = Path("/srv/stack/state")
COMPOSE_FILE = FOLDER / "docker-compose.yml"
# What no entry names is refused.
REFUSES = PolicyLevel.DEFAULT
STACK = Environment("dev", "p", FOLDER, (COMPOSE_FILE,), docker_host="unix:///run/other.sock", policy=REFUSES)


def bind(source: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/t"}]}


def read_only(source: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/t", "read_only": True}]}


def entries(model: dict[str, Any], *allowed: str, environment: Environment = STACK) -> set[str]:
    """Return the entries that would allow what is refused."""
    try:
        ComposePolicy(allowed, STATE).check(model, environment)
    except ComposePolicyError as error:
        return set(error.entries)
    return set()


REFUSED: list[tuple[dict[str, Any], set[str]]] = [
    ({"privileged": True}, {"privileged:web"}),
    ({"gpus": [{}]}, {"devices:web"}),  # what Compose makes of `count: 0`, and reads as all of them
    ({"network_mode": "host"}, {"network_mode:web"}),
    ({"network_mode": "container:abc"}, {"network_mode:web"}),
    ({"network_mode": "prod_default"}, {"network_mode:web"}),
    ({"network_mode": "ns:/proc/1/ns/net"}, {"network_mode:web"}),
    ({"external_links": ["prod-db-1"]}, {"external_links:web"}),
    ({"build": {"context": "/srv/stack/app", "network": "prod_default"}}, {"build:web"}),
    ({"pid": "host"}, {"pid:web"}),
    ({"ipc": "host"}, {"ipc:web"}),
    ({"uts": "host"}, {"uts:web"}),
    ({"userns_mode": "host"}, {"userns_mode:web"}),
    ({"cgroup": "host"}, {"cgroup:web"}),
    ({"cgroup_parent": "/system.slice"}, {"cgroup_parent:web"}),
    ({"devices": ["/dev/sda:/dev/sda"]}, {"devices:web"}),
    ({"device_cgroup_rules": ["c 1:3 mr"]}, {"devices:web"}),
    ({"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}}, {"devices:web"}),
    ({"security_opt": ["seccomp:unconfined"]}, {"security_opt:web"}),
    ({"security_opt": ["no-new-privileges:false"]}, {"security_opt:web"}),
    ({"cap_add": ["SYS_ADMIN"]}, {"cap_add:web"}),
    ({"runtime": "runc-wild"}, {"runtime:web"}),
    ({"provider": {"type": "program"}}, {"provider:web"}),
    ({"volumes_from": ["container:abc"]}, {"volumes_from:web"}),
    ({"post_start": [{"command": "x", "privileged": True}]}, {"privileged:web"}),
    (bind("/etc"), {"bind:/etc"}),
    (bind("/srv/stack/../other"), {"bind:/srv/other"}),
    (bind("/srv/stack-two"), {"bind:/srv/stack-two"}),
    (bind("/var/run/docker.sock"), {"docker_socket:web"}),
    (bind("/run/other.sock"), {"docker_socket:web"}),
    (bind("/run"), {"bind:/run", "docker_socket:web"}),
    (bind("/"), {"bind:/", "docker_socket:web", "state_dir:web", f"replaceable:{COMPOSE_FILE}"}),
    (bind("/srv/stack/state"), {"state_dir:web"}),
    (bind("/srv/stack/state/models"), {"state_dir:web"}),
    (bind("/srv/stack"), {"state_dir:web", f"replaceable:{COMPOSE_FILE}"}),
    (bind("/srv/stack/docker-compose.yml"), {f"replaceable:{COMPOSE_FILE}"}),
    (bind("/etc/localtime"), {f"bind:{Path('/etc/localtime').resolve()}"}),
    ({"build": {"context": "/etc"}}, {"build:web"}),
    ({"build": {"context": "https://example.test/x.git"}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "dockerfile": "/etc/Dockerfile"}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "additional_contexts": {"x": "/etc"}}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "network": "host"}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "privileged": True}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "ssh": ["default"]}}, {"build:web"}),
    ({"logging": {"driver": "syslog", "options": {"syslog-address": "tcp://127.0.0.1:6379"}}}, {"logging:web"}),
    ({"logging": {"driver": "vendor/plugin"}}, {"logging:web"}),
    ({"logging": {"driver": "splunk", "options": {"splunk-url": "http://127.0.0.1"}}}, {"logging:web"}),
    ({"logging": {"driver": "fluentd"}}, {"logging:web"}),
    ({"logging": {"options": {"syslog-address": "tcp://127.0.0.1:6379"}}}, {"logging:web"}),
    ({"annotations": {"run.oci.handler": "krun"}}, {"annotations:web"}),
    ({"blkio_config": {"device_read_bps": [{"path": "/dev/sda", "rate": 1}]}}, {"blkio_config:web"}),
    ({"cpu_rt_runtime": 950000}, {"realtime:web"}),
    ({"oom_kill_disable": True}, {"oom:web"}),
    ({"oom_score_adj": -1000}, {"oom:web"}),
    ({"sysctls": {"kernel.core_pattern": "|/x"}}, {"sysctls:web"}),
    ({"sysctls": ["vm.overcommit_memory=1"]}, {"sysctls:web"}),
    ({"ulimits": {"rtprio": 99}}, {"ulimits:web"}),
    ({"storage_opt": {"dm.basesize": "1"}}, {"storage_opt:web"}),
    ({"isolation": "hyperv"}, {"isolation:web"}),
    ({"models": {"llm": None}}, {"models:web"}),
    ({"volumes": [{"type": "image", "source": "roas-bot", "target": "/t"}]}, {"mount:web"}),
    ({"volumes": [{"type": "cluster", "source": "x", "target": "/t"}]}, {"mount:web"}),
    (
        {"volumes": [{"type": "bind", "source": "/srv/stack/d", "target": "/t", "bind": {"propagation": "rshared"}}]},
        {"mount:web"},
    ),
    ({"build": {"context": "/srv/stack/app", "isolation": "process"}}, {"build:web"}),
    ({"build": {"context": "/srv/stack/app", "ulimits": {"rtprio": 1}}}, {"ulimits:web"}),
]


def in_words(value: object) -> str:
    """Name a case the same in every process: a set has an order of its own in each."""
    return str(sorted(value) if isinstance(value, set) else value)[:60]


@pytest.mark.parametrize(("service", "wanted"), REFUSED, ids=in_words)
def test_right_refused_until_allowed(service: dict[str, Any], wanted: set[str]) -> None:
    model = {"services": {"web": service}}
    assert entries(model) == wanted
    is_home = "state_dir:web" in wanted
    assert entries(model, *wanted, environment=replace(STACK, is_home=is_home)) == set()
    assert not is_home or entries(model, *wanted) == {"state_dir:web"}
    others = {entry.replace(":web", ":other") if entry.endswith(":web") else entry + "x" for entry in wanted}
    assert entries(model, *others) == wanted


@pytest.mark.parametrize(
    "service",
    [
        {"security_opt": ["no-new-privileges:true"]},
        {"network_mode": "service:db"},
        {"network_mode": "none"},
        {"ipc": "shareable"},
        {"cap_drop": ["ALL"]},
        {"privileged": False},
        {"logging": {"driver": "json-file", "options": {"max-size": "1m"}}},
        {"logging": {"driver": "local"}},
        {"logging": {"driver": "none"}},
        {"logging": {"options": {"max-size": "1m"}}},
        {"logging": {"driver": "json-file", "options": {"max-file": "3", "labels": "a", "tag": "{{.Name}}"}}},
        {"sysctls": {"net.core.somaxconn": "1024"}, "ulimits": {"nofile": {"soft": 1, "hard": 2}, "memlock": -1}},
        {"oom_score_adj": 500, "oom_kill_disable": False, "storage_opt": {"size": "1G"}, "isolation": "default"},
        {"labels": {"traefik.enable": "true", "com.docker.composer": "x"}, "x-own": {"privileged": True}},
        {"build": {"context": "/srv/stack/app", "cache_from": ["shop/web:v1", "type=registry,ref=shop/web"]}},
        {"build": {"context": "/srv/stack/app", "cache_to": ["type=inline"]}},
        {"ports": [{"target": 80, "published": "80"}]},
        bind("/srv/stack/data"),
        read_only("/etc/localtime"),
        read_only("/etc/timezone"),
        read_only("/srv/stack/conf"),
        {"volumes": [{"type": "volume", "source": "data", "target": "/t"}, {"type": "tmpfs", "target": "/tmp"}]},
        {"build": {"context": "/srv/stack/app", "dockerfile": "Dockerfile", "additional_contexts": {"b": "service:b"}}},
    ],
    ids=str,
)
def test_ordinary_service_passes(service: dict[str, Any]) -> None:
    assert entries({"services": {"web": service}}) == set()


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ({"volumes": {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/etc"}}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver_opts": {"o": "rw,rbind"}}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver_opts": {"type": "ext4", "device": "/dev/sda"}}}}, {"volume:v"}),
        ({"networks": {"n": {"external": True, "name": "host"}}}, {"network:n", "external_network:host"}),
        ({"networks": {"n": {"driver": "host"}}}, {"network:n"}),
        ({"secrets": {"s": {"file": "/etc/shadow"}}}, {"bind:/etc/shadow"}),
        ({"configs": {"c": {"file": "/srv/stack/c.ini"}}}, set()),
        ({"volumes": {"v": {"driver_opts": {"type": "nfs", "o": "addr=1.2.3.4", "device": ":/x"}}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver_opts": {"type": "proc", "device": "proc"}}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver_opts": {"type": "overlay", "o": "lowerdir=/etc:/srv"}}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver": "vieux/sshfs"}}}, {"volume:v"}),
        ({"volumes": {"v": {"driver": "local", "name": "p_v"}, "w": None}}, set()),
        ({"volumes": {"v": {"external": True, "name": "theirs"}}}, {"external_volume:theirs"}),
        ({"volumes": {"v": {"external": True}}}, {"external_volume:v"}),
        ({"volumes": {"v": {"name": "q_v"}}}, {"external_volume:q_v"}),
        ({"networks": {"n": {"name": "q_default"}}}, {"external_network:q_default"}),
        ({"networks": {"default": {"external": True, "name": "proxy"}}}, {"external_network:proxy"}),
        ({"networks": {"n": {"driver": "macvlan"}}}, {"network:n"}),
        ({"networks": {"n": {"driver_opts": {"com.docker.network.bridge.name": "docker0"}}}}, {"network:n"}),
        ({"networks": {"n": {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}}}, set()),
        ({"networks": {"n": {"ipam": {"driver": "program"}}}}, {"network:n"}),
        ({"networks": {"n": {"driver": "bridge", "internal": True, "ipam": {"config": []}}}}, set()),
    ],
    ids=in_words,
)
def test_shared_resources_checked(model: dict[str, Any], wanted: set[str]) -> None:
    assert entries(model) == wanted


def test_what_a_swarm_has_of_others_is_asked_for_by_name() -> None:
    """On one machine nothing can be external, which is said otherwise."""
    model = {"secrets": {"s": {"external": True, "name": "db"}}, "configs": {"c": {"external": True}}}
    on_swarm = replace(STACK, engine=EngineKind.SWARM)
    assert entries(model, environment=on_swarm) == {"external_secret:db", "external_config:c"}
    assert entries(model, "external_secret:db", "external_config:c", environment=on_swarm) == set()
    assert entries(model) == set()


STRICT: list[tuple[dict[str, Any], set[str]]] = [
    ({"services": {"web": bind("/srv/stack/data")}}, {"replaceable:/srv/stack/data"}),
    ({"services": {"web": read_only("/srv/stack/conf")}}, {"replaceable:/srv/stack/conf"}),
    ({"services": {"web": bind("/srv/data")}}, set()),
    ({"services": {"web": read_only("/etc/localtime")}}, set()),
]
LIVE = {"services": {"web": {"secrets": [{"source": "s"}]}}, "secrets": {"s": {"file": "/srv/stack/s"}}}


@pytest.mark.parametrize(("model", "wanted"), STRICT, ids=in_words)
def test_strict_policy_binds_nothing_of_a_checkout(model: dict[str, Any], wanted: set[str]) -> None:
    policy, strict = ComposePolicy((), STATE), replace(STACK, policy=PolicyLevel.STRICT)
    policy.check_bound(model, STACK)
    found = set()
    try:
        policy.check_bound(model, strict)
    except ComposePolicyError as error:
        found = set(error.entries)
    assert found == wanted
    policy.check_bound(model, replace(strict, allowed=tuple(wanted)))


@pytest.mark.parametrize("level", [PolicyLevel.STRICT, PolicyLevel.DEFAULT])
def test_secret_that_is_no_copy_is_refused(level: PolicyLevel) -> None:
    policy, stack = ComposePolicy((), STATE), replace(STACK, policy=level)
    with pytest.raises(ComposePolicyError) as caught:
        policy.check_bound(LIVE, stack)
    assert caught.value.entries == ("replaceable:/srv/stack/s",)
    policy.check_bound(LIVE, replace(stack, allowed=caught.value.entries))
    policy.check_bound({**LIVE, "secrets": {"s": {"file": "/srv/s"}}}, stack)
    assert policy.check_bound(LIVE, replace(stack, policy=PolicyLevel.TRUSTED))


def test_trust_allows_powers_and_names_them() -> None:
    model = {"services": {"web": {"privileged": True, **bind("/var/run/docker.sock")}}}
    trusted = replace(STACK, policy=PolicyLevel.TRUSTED)
    powers = ComposePolicy(("docker_socket:web",), STATE).check(model, trusted)
    assert [power.entry for power in powers] == ["privileged:web"]


def test_trust_alone_moves_no_volume() -> None:
    """A local volume whose task may move loses its data; that is no power of a stack, so trust says nothing of it."""
    entry, trusted = "unpinned_volume:data", replace(STACK, policy=PolicyLevel.TRUSTED)
    assert not ComposePolicy((), STATE).allows_by_name(entry, trusted)
    assert ComposePolicy((), STATE).allows(entry, trusted)
    assert ComposePolicy((entry,), STATE).allows_by_name(entry, STACK)
    assert ComposePolicy((), STATE).allows_by_name(entry, replace(STACK, allowed=(entry,)))


OF_THE_BOT: list[dict[str, Any]] = [
    {"services": {"web": bind("/srv/stack/state")}},
    {"services": {"web": {"provider": {"type": "program"}}}},
]


@pytest.mark.parametrize("model", OF_THE_BOT, ids=in_words)
def test_trust_gives_nothing_of_the_bot(model: dict[str, Any]) -> None:
    with pytest.raises(ComposePolicyError):
        ComposePolicy((), STATE).check(model, replace(STACK, policy=PolicyLevel.TRUSTED))


def test_refusal_has_the_lines_for_roas_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is pasted, and the very same stack passes."""
    binds = [bind(f"/srv/media/{name}")["volumes"][0] for name in ("a", "b")]
    model = {"services": {"web": {"privileged": True, "volumes": [*binds, *bind("/run/docker.sock")["volumes"]]}}}
    with pytest.raises(ComposePolicyError) as caught:
        ComposePolicy((), STATE).check(model, STACK)
    told, *lines = caught.value.hint.splitlines()
    assert told == "Deploy a version without it, or add to roas.toml:"
    assert lines[2:4] == ['  "docker_socket:web",', '  "privileged:web",']
    assert '  # or all of it: "bind:/srv/media",' in lines
    assert sum("docker" in line for line in lines) == 1
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "roas.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    read = environments(load_settings(needs_discord=False, environ={}))
    allowed = replace(STACK, allowed=read["dev"].allowed)
    ComposePolicy((), STATE).check(model, allowed)
    assert read["staging"].allowed == ()


TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@pytest.mark.parametrize(
    "service",
    [
        {"environment": {"A": TOKEN}},
        {"command": ["sh", "-c", f"echo {TOKEN}"]},
        {"build": {"context": "/srv/stack/app", "args": {"T": f"x{TOKEN}"}}},
        {"labels": {"a": TOKEN}},
        {"configs": [{"source": "c", "target": "/c"}]},
    ],
    ids=lambda service: next(iter(service)),
)
def test_the_token_is_for_the_bot_only(service: dict[str, Any]) -> None:
    model = {"services": {"web": service}, "configs": {"c": {"content": TOKEN}}}
    home, own = replace(STACK, is_home=True), ("state_dir:web",)
    for stack, allowed in ((STACK, ()), (STACK, own), (home, ()), (home, ("state_dir:db",))):
        with pytest.raises(ComposePolicyError) as caught:
            ComposePolicy(allowed, STATE, TOKEN).check(model, stack)
        assert caught.value.entries == ("bot_token:web",)
        assert TOKEN not in caught.value.message + caught.value.hint
        assert ("nothing allows that" in caught.value.message) is not stack.is_home
    ComposePolicy(own, STATE, TOKEN).check(model, home)


@pytest.mark.parametrize(
    ("service", "is_refused"),
    [
        (read_only("{folder}/.env"), True),
        (read_only("{folder}"), True),
        (read_only("{folder}/app"), False),
    ],
)
def test_a_file_with_the_token_is_for_the_bot_only(tmp_path: Path, service: dict[str, Any], is_refused: bool) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"DISCORD_TOKEN={TOKEN}\n")
    filled = json.loads(json.dumps(service).replace("{folder}", str(tmp_path)))
    model = {"services": {"web": filled}}
    environment = replace(STACK, folder=tmp_path, env_files=(env_file,))
    found = set()
    try:
        ComposePolicy((), STATE, TOKEN).check_bound(model, environment)
    except ComposePolicyError as error:
        found = set(error.entries)
    assert found == ({"bot_token:web"} if is_refused else set())


def test_an_ignored_file_is_not_built(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\n")
    (tmp_path / ".dockerignore").write_text("*.md\n.env\n")
    environment = replace(STACK, folder=tmp_path, env_files=(tmp_path / ".env",))
    model = {"services": {"web": {"build": {"context": str(tmp_path)}}}}
    ComposePolicy((), STATE, TOKEN).check(model, environment)


@pytest.mark.parametrize(("is_home", "wanted"), [(True, {"state_dir:web", "state_dir:thief"}), (False, set())])
def test_a_volume_with_the_state_is_the_bots(is_home: bool, wanted: set[str]) -> None:
    """The bot mounts it where its state is; whoever else mounts it reads every secret."""

    def mount(target: str) -> dict[str, Any]:
        return {"volumes": [{"type": "volume", "source": "state", "target": target}]}

    model = {"services": {"web": mount(str(STATE)), "thief": mount("/anywhere"), "db": {}}}
    assert entries(model, environment=replace(STACK, is_home=is_home)) == wanted


UNKNOWN: list[dict[str, Any]] = [
    {"services": {"web": {"teleport": "x"}}},
    {"services": {"web": {"teleport": False}}},
    {"services": {"web": {"build.args": "x"}}},
    {"services": {"web": {"x-deploy": {"critical": True, "teleport": "x"}}}},
    {"services": {"web": {"build": {"context": "/srv/stack/app", "teleport": "x"}}}},
    {"services": {"web": {"volumes": [{"type": "volume", "target": "/t", "volume": {"teleport": "x"}}]}}},
    {"services": {"web": {"deploy": {"resources": {"teleport": "x"}}}}},
    {"networks": {"n": {"ipam": {"config": [{"teleport": "x"}]}}}},
    {"volumes": {"v": {"teleport": "x"}}},
    {"teleport": {"x-a": 1}},
]


@pytest.mark.parametrize("model", UNKNOWN, ids=in_words)
def test_unknown_key_is_a_power_by_its_name(model: dict[str, Any]) -> None:
    """A newer Compose may act upon it: whoever is asked for it knows what it does, or says no."""
    (entry,) = entries(model)
    assert entry.startswith("key:")
    assert entries(model, entry) == set()
    (power,) = ComposePolicy((), STATE).check(model, replace(STACK, policy=PolicyLevel.ASK))
    assert power.is_root
    assert ("teleport" in power.name) or ("build/args" in power.name) or ("build.args" in power.name)


def test_every_key_of_the_specification_is_judged() -> None:
    """The corpus of attacks lists every key of the specification's JSON schema, `*` for names of the file's own."""
    known = [path for path, _ in schema_keys()]
    places = {path[:at] for path in KEYS for at, sign in enumerate(path) if sign == "."}
    above = {path[:at] for path in known for at, sign in enumerate(path) if sign == "."}
    assert len(known) > 300
    assert [key for key in known if not _is_judged(key, places)] == []
    ours = {key for key in KEYS if key.startswith("services.*.x-deploy.")}
    assert [key for key in KEYS if key not in known and key not in above and key not in ours] == []


def test_table_has_every_key_of_a_service() -> None:
    """Nothing is compared, read back or written to a Swarm but by that table: a key that nobody knew is seen here."""
    known = {path.split(".")[2] for path, _ in schema_keys() if path.startswith("services.*.")}
    assert known == SERVICE_KEYS.keys()


def _is_judged(key: str, places: set[str]) -> bool:
    """Return whether a key, or one that it lies in, has a judgement; or all its own keys have theirs."""
    above = (key[:at] for at, sign in enumerate(key + ".") if sign == ".")
    return key in places or any(path in KEYS for path in above)


@pytest.mark.parametrize("kind", ["services", "volumes", "networks"])
def test_labels_of_compose_are_refused(kind: str) -> None:
    """By them the bot itself would take a container for one of another project."""
    model = {kind: {"web": {"labels": {"com.docker.compose.project": "prod"}}}}
    with pytest.raises(ComposePolicyError, match=r"Compose's own \(nothing allows that\)"):
        ComposePolicy((), STATE).check(model, STACK)


def test_allowed_path_excludes_socket_and_state() -> None:
    """An allowed path allows what is below it, but not the socket and the state folder."""
    assert entries({"services": {"web": bind("/var/log/nginx")}}, "bind:/var/log") == set()
    assert entries({"services": {"web": bind("/var/logs")}}, "bind:/var/log") == {"bind:/var/logs"}
    assert entries({"services": {"web": bind("/var/run/docker.sock")}}, "bind:/") == {"docker_socket:web"}


PORTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"target": 80, "published": "80"}, {"ports:web"}),
    ({"target": 80}, {"ports:web"}),
    ({"target": 80, "published": "80", "host_ip": "0.0.0.0"}, {"ports:web"}),  # noqa: S104 - refused
    ({"target": 80, "published": "80", "host_ip": "::"}, {"ports:web"}),
    ({"target": 80, "published": "80", "host_ip": "192.168.0.1"}, {"ports:web"}),
    ({"target": 80, "published": "80", "host_ip": "127.0.0.1"}, set()),
    ({"target": 80, "published": "80", "host_ip": "127.9.9.9"}, set()),
    ({"target": 80, "published": "80", "host_ip": "::1"}, set()),
]


@pytest.mark.parametrize(("port", "wanted"), PORTS, ids=in_words)
def test_strict_policy_keeps_ports_on_loopback(port: dict[str, Any], wanted: set[str]) -> None:
    model = {"services": {"web": {"ports": [port]}}}
    strict = replace(STACK, policy=PolicyLevel.STRICT)
    assert entries(model) == set()
    assert entries(model, environment=strict) == wanted
    assert entries(model, "ports:web", environment=strict) == set()


def test_option_values_are_not_shown() -> None:
    """A volume's options may hold a password."""
    model = {"volumes": {"v": {"driver_opts": {"o": "username=me,password=s3cret"}}}}
    with pytest.raises(ComposePolicyError) as caught:
        ComposePolicy((), STATE).check(model, STACK)
    assert "s3cret" not in caught.value.message


def test_all_violations_listed_with_setting() -> None:
    """Each is named with the entry that allows it."""
    model = {"services": {"web": {"privileged": True, **bind("/etc")}, "db": {"cap_add": ["X"]}}}
    with pytest.raises(ComposePolicyError) as caught:
        ComposePolicy((), STATE).check(model, STACK)
    for entry in ("privileged:web", "bind:/etc", "cap_add:db"):
        assert entry in caught.value.message
        assert entry in caught.value.hint


def test_symlink_judged_by_target(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "innocent").symlink_to("/etc")
    environment = replace(STACK, folder=folder)
    with pytest.raises(ComposePolicyError, match="bind:/etc"):
        ComposePolicy((), STATE).check({"services": {"web": bind(str(folder / "innocent"))}}, environment)


def test_entry_of_one_environment_counts_there_only():
    """What the shipped stack allows its bot is not for another environment's service of the same name."""
    model = {"services": {"web": bind("/var/run/docker.sock")}}
    refused = entries(model)
    allowed = [f"{STACK.name}/{entry}" for entry in refused]
    assert refused
    assert entries(model, *allowed) == set()
    assert entries(model, *allowed, environment=replace(STACK, name="other")) == refused
    assert entries(model, *refused, environment=replace(STACK, name="other")) == set()


@pytest.mark.parametrize("subnet", ["162.159.128.0/19", "169.254.169.0/24", "127.0.0.0/8", "0.0.0.0/0", "no subnet"])
def test_network_takes_no_foreign_subnet(subnet):
    network = {"name": f"{STACK.project}_inner", "ipam": {"config": [{"subnet": subnet}]}}
    assert entries({"networks": {"inner": network}}) == {"network:inner"}
    assert entries({"networks": {"inner": network | {"ipam": {"config": [{"subnet": "172.28.0.0/16"}]}}}}) == set()


def test_process_namespace_of_the_bot_is_not_shared():
    model = {"services": {"web": {"pid": "service:bot"}}}
    assert entries(model, environment=replace(STACK, is_home=True)) == {"pid:web"}
    for field in ("network_mode", "ipc"):
        beside = {"services": {"bot": {}, "web": {field: "service:bot"}, "db": {field: "service:web"}}}
        at_home = replace(STACK, is_home=True)
        assert entries(beside, "state_dir:bot", environment=at_home) == {f"{field}:web", f"{field}:db"}
    assert entries(model) == set()
