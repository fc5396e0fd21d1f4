"""List what a hostile stack may ask for, by key, and what reaches the stack alone."""

from collections.abc import Mapping
from typing import Any

Values = Mapping[str, tuple[Any, ...]]

HUGE = "x" * 20_000
DEEP: Any = "x"
for _ in range(40):
    DEEP = [DEEP]


def _bind(source: str, **fields: Any) -> list[Any]:
    return [{"type": "bind", "source": source, "target": "/t", **fields}]


OUTSIDE = (
    "/",
    "/etc",
    "/proc/1",
    "/run/docker.sock",
    "/var/run",
    "../x",
    "./link",
    "./chain",
    "./state",
    "./state/models",
)
BUILT = {"context": "./app"}

# Each of these is refused, or the policy has a hole.
HOSTILE: Values = {
    "services.annotations": ({"run.oci.handler": "krun"}, ["a=b"]),
    "services.blkio_config": ({"weight": 1000}, {"device_write_bps": [{"path": "/dev/sda", "rate": 1}]}),
    "services.build": (
        *({"context": item} for item in (*OUTSIDE[:-2], "https://example.test/x.git", "git@example.test:x.git")),
        *(BUILT | {"dockerfile": item} for item in ("/etc/passwd", "../../x", "../link/passwd")),
        *(BUILT | {"additional_contexts": {"x": item}} for item in ("/etc", "./link", "https://example.test/")),
        *(BUILT | {"network": item} for item in ("host", "prod_default", "container:prod-db-1")),
        BUILT | {"privileged": True},
        BUILT | {"ssh": ["default"]},
        BUILT | {"ulimits": {"rtprio": 99}},
        BUILT | {"ulimits": {"nice": {"soft": 20, "hard": 40}}},
        BUILT | {"isolation": "process"},
        BUILT | {"labels": {"com.docker.compose.project": "prod"}},
    ),
    "services.cap_add": (["SYS_ADMIN"], ["ALL"], ["CAP_SYS_PTRACE"], ["sys_module"]),
    "services.cgroup": ("host",),
    "services.cgroup_parent": ("/", "system.slice"),
    "services.cpu_rt_runtime": (950000, "400000"),
    "services.credential_spec": ({"file": "x.json"}, {"registry": "x"}),
    "services.deploy": (
        {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "driver": "nvidia"}]}}},
        {"labels": {"com.docker.compose.project": "prod"}},
    ),
    "services.device_cgroup_rules": (["a *:* rwm"], ["c 1:3 mr"]),
    "services.devices": (["/dev/sda:/dev/sda"], ["/dev/mem"], ["vendor.com/device=all"]),
    "services.env_file": (
        "/proc/self/environ",
        ["../outside.env"],
        "./link/passwd",
        [{"path": "/etc/passwd"}],
        [{"path": "/etc/passwd", "required": False}],
        [{"path": "/etc/passwd", "format": "raw"}],
        "./state/journal",
    ),
    "services.extends": ({"file": "/etc/x.yml", "service": "x"}, {"file": "../x.yml", "service": "x"}),
    "services.external_links": (["prod-db-1"], ["prod-db-1:db"]),
    "services.ipc": ("host", "container:prod-db-1"),
    "services.isolation": ("process", "hyperv"),
    "services.label_file": ("/etc/passwd", ["./link/passwd"]),
    "services.labels": ({"com.docker.compose.project": "prod"}, ["com.docker.compose.service=db"]),
    "services.logging": (
        *({"driver": item} for item in ("syslog", "fluentd", "gelf", "splunk", "awslogs", "vendor/plugin:latest")),
        {"driver": "json-file", "options": {"cache-disabled": "x"}},
        {"options": {"syslog-address": "tcp://127.0.0.1:6379"}},
    ),
    "services.network_mode": ("host", "container:prod-db-1", "prod_default", "ns:/proc/1/ns/net"),
    "services.oom_kill_disable": (True,),
    "services.oom_score_adj": (-1000, -1),
    "services.pid": ("host", "container:prod-db-1"),
    "services.privileged": (True,),
    "services.runtime": ("runc-wild", "io.containerd.kata.v2"),
    "services.security_opt": (
        ["seccomp:unconfined"],
        ["apparmor=unconfined"],
        ["no-new-privileges:false"],
        ["label=disable"],
    ),
    "services.storage_opt": ({"dm.basesize": "1G"},),
    "services.sysctls": ({"kernel.core_pattern": "|/x"}, ["vm.panic_on_oom=1"], {"kernel.modprobe": "/x"}),
    "services.ulimits": ({"rtprio": 99}, {"nice": {"soft": 20, "hard": 40}}),
    "services.userns_mode": ("host",),
    "services.uts": ("host",),
    "services.volumes": (
        *(_bind(item) for item in OUTSIDE),
        *(_bind(item, read_only=True) for item in ("/etc/shadow", "/run/docker.sock", "./link/shadow", "./state")),
        _bind("./data", bind={"propagation": "rshared"}),
        [{"type": "image", "source": "prod/web", "target": "/t"}],
        [{"type": "image", "source": "prod/web", "target": "/t", "image": {"subpath": "etc"}}],
        [{"type": "volume", "target": "/t", "volume": {"labels": {"com.docker.compose.project": "prod"}}}],
        [{"type": "cluster", "source": "x", "target": "/t"}],
        [{"type": "npipe", "source": "/pipe/docker_engine", "target": "/t"}],
        ["/etc:/t"],
        ["/:/t:ro"],
        ["/run/docker.sock:/t"],
        ["../../x:/t"],
        ["./docker-compose.yml:/t"],
    ),
    "services.volumes_from": (["container:prod-db-1"],),
    "volumes": (
        {"driver": "vieux/sshfs"},
        {"driver_opts": {"type": "proc", "device": "proc"}},
        {"driver_opts": {"type": "overlay", "device": "overlay", "o": "lowerdir=/etc:/srv"}},
        {"driver_opts": {"type": "none", "o": "bind", "device": "/etc"}},
        {"external": True},
        {"name": "prod_data"},
        {"external": True, "name": "prod_data"},
        {"external": {"name": "prod_data"}},
        {"labels": {"com.docker.compose.project": "prod"}},
    ),
    "networks": (
        {"driver": "host"},
        {"driver": "macvlan"},
        {"driver": "ipvlan", "driver_opts": {"parent": "eth0"}},
        {"driver_opts": {"com.docker.network.bridge.name": "docker0"}},
        {"external": True},
        {"external": {"name": "prod_default"}},
        {"name": "prod_default"},
        {"ipam": {"driver": "vendor/ipam"}},
        {"ipam": {"options": {"a": "b"}}},
        {"ipam": {"config": [{"subnet": "8.8.8.0/24"}]}},
        {"ipam": {"config": [{"subnet": "10.9.0.0/16", "ip_range": "8.8.8.0/24"}]}},
        {"ipam": {"config": [{"subnet": "169.254.0.0/16"}]}},
        {"labels": {"com.docker.compose.project": "prod"}},
    ),
    "secrets": ({"file": "/etc/shadow"}, {"file": "./link/shadow"}, {"file": "./state/journal"}, {"file": "../x"}),
    "configs": ({"file": "/etc/shadow"}, {"file": "./link/shadow"}, {"file": "./state/journal"}, {"file": "../x"}),
}

# Each of these passes, or ordinary stacks could not be deployed.
ORDINARY: Values = {
    "services.build": (
        BUILT,
        BUILT | {"args": {"A": "1"}, "cache_from": ["shop/web:v1"], "target": "x"},
        # Of these a build keeps what reaches its own image alone.
        *(BUILT | {"cache_to": [item]} for item in ("type=local,dest=state", "type=registry,ref=prod/web", "prod/web")),
        *(
            BUILT | {"cache_from": [item]}
            for item in ("type=local,src=/etc", "type=s3,bucket=x", "src=/etc,type=local")
        ),
        BUILT | {"tags": ["prod/web:latest"]},
    ),
    "services.cap_drop": (["ALL"],),
    "services.command": ("sh -c 'cat /etc/passwd'", ["--privileged", "--pid=host"], ["x"] * 500),
    "services.cpus": (0.5, "2"),
    "services.deploy": ({"replicas": 2, "resources": {"limits": {"cpus": "1", "memory": "1G"}}},),
    "services.dns": ("8.8.8.8", ["1.1.1.1"]),
    "services.environment": ({"A": "/etc/passwd", "HUGE": HUGE}, ["A=container:x"]),
    "services.expose": (["80"],),
    "services.extra_hosts": (["a:127.0.0.1"],),
    "services.group_add": (["999"],),
    "services.healthcheck": ({"test": ["CMD", "true"], "interval": "5s"},),
    "services.hostname": ("host",),
    "services.init": (True,),
    "services.ipc": ("private", "shareable"),
    "services.labels": ({"traefik.enable": "true"}, ["a=b"]),
    "services.logging": ({"driver": "json-file", "options": {"max-size": "1m"}}, {"driver": "none"}),
    "services.mem_limit": ("1g", 1000000000),
    "services.network_mode": ("none", "bridge"),
    "services.oom_score_adj": (500,),
    "services.pids_limit": (100,),
    "services.ports": (["127.0.0.1:80:80"], ["80"]),
    "services.privileged": (False,),
    "services.read_only": (True,),
    "services.restart": ("always", "on-failure"),
    "services.security_opt": (["no-new-privileges:true"],),
    "services.shm_size": ("64m",),
    "services.stop_signal": ("SIGTERM",),
    "services.sysctls": ({"net.core.somaxconn": 1024},),
    "services.tmpfs": ("/tmp", ["/run:mode=1777"]),  # noqa: S108 - a path in a container
    "services.ulimits": ({"nofile": 1024},),
    "services.user": ("root", "0:0"),
    "services.volumes": (_bind("./data"), ["./data:/t"], _bind("./fifo"), _bind("./device"), ["/etc/localtime:/l:ro"]),
    "services.working_dir": ("/etc",),
    "services.x-own": (DEEP, {"privileged": True, "volumes": ["/:/x"]}),
    "volumes": ({"driver": "local"}, {"labels": {"a": "b"}}),
    "networks": ({"driver": "bridge", "internal": True}, {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}),
    "secrets": ({"file": "./own.txt"},),
    "configs": ({"file": "./own.txt"}, {"content": "x"}),
}
