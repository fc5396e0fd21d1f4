"""Say of each key of a service, once, all that is to be known of it: a key is added here, in one line.

Powers, the comparison of containers, adoption and Swarm's form read this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roas.messages.message import said
from roas.stack.model import key_values as values

SHM_BYTES = 64 << 20
STOP_SECONDS = 10.0
UNLIMITED = -1


class KeyPolicy(StrEnum):
    """Say what the policy thinks of a key."""

    CONTAINED = "concerns the stack alone: every value is allowed"
    BY_VALUE = "a rule looks at the value, and allows those that are known to be harmless"
    ON_REQUEST = "refused whenever it says anything, unless an entry allows it"
    READ = "names files that Compose reads: judged in the files as they are written"


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """Say what is known of a key.

    `policy` is None where each key below it has its own judgement (`policy/keys.py`); `entry` is the entry of the
    settings that allows it, where that is not called like it. `host` is the key of a container's HostConfig with the
    same value, `size` the one with its bytes. A container that differs in it is told where it `is_told`: elsewhere the
    engine shows it in other words, or not at all. One that is not compared makes no container different. `normal`
    brings a value to one form, and `default` is what a container has that asks for nothing. `docker update` changes
    what is `updated`, where the engine says that it can do this. `deploy` says the same below that key. `swarm` is the
    key of a ContainerSpec with the same value, empty where `swarm/writing/` has code for it, and None where a Swarm
    has nothing like it: then there may be something else to use `instead`.
    """

    policy: KeyPolicy | None = KeyPolicy.CONTAINED
    entry: str = ""
    host: str = ""
    size: str = ""
    is_told: bool = False
    is_compared: bool = True
    normal: Callable[[Any], object] | None = None
    default: object = None
    updated: str | None = None
    deploy: str = ""
    swarm: str | None = None
    instead: str = ""


def use_instead(what: str) -> str:
    """Say what to write in the place of a key."""
    return said("use {allowed}", allowed=f"`{what}`")


ON_EACH_NODE = said("a task runs on any node, so put this into an image, a config, a secret or a volume")
NO_NAMESPACES = said("tasks share no namespaces: let the services reach each other by a network")
BY_RESOURCES = use_instead("deploy.resources")
BY_GENERIC_RESOURCES = use_instead("deploy.resources.reservations.generic_resources")
SERVICE_KEYS: Mapping[str, ServiceKey] = {
    "annotations": ServiceKey(policy=KeyPolicy.ON_REQUEST, host="Annotations", is_told=True),
    "attach": ServiceKey(is_compared=False, swarm=""),
    "blkio_config": ServiceKey(policy=KeyPolicy.ON_REQUEST, normal=values.blocks),
    "build": ServiceKey(policy=None, is_compared=False, swarm=""),
    "cap_add": ServiceKey(
        policy=KeyPolicy.ON_REQUEST, host="CapAdd", is_told=True, normal=values.capabilities, swarm="CapabilityAdd"
    ),
    "cap_drop": ServiceKey(host="CapDrop", is_told=True, normal=values.capabilities, swarm="CapabilityDrop"),
    "cgroup": ServiceKey(policy=KeyPolicy.BY_VALUE, is_told=True, instead=NO_NAMESPACES),
    "cgroup_parent": ServiceKey(policy=KeyPolicy.ON_REQUEST, host="CgroupParent", is_told=True),
    "command": ServiceKey(is_told=True, swarm=""),
    "configs": ServiceKey(swarm=""),
    "container_name": ServiceKey(
        policy=KeyPolicy.BY_VALUE,
        instead=said("Swarm names tasks itself: remove it, other services find this one by its service's name"),
    ),
    "cpu_count": ServiceKey(instead=BY_RESOURCES),
    "cpu_percent": ServiceKey(instead=BY_RESOURCES),
    "cpu_period": ServiceKey(host="CpuPeriod", is_told=True, updated="CpuCfsPeriod", instead=BY_RESOURCES),
    "cpu_quota": ServiceKey(host="CpuQuota", is_told=True, updated="CpuCfsQuota", instead=BY_RESOURCES),
    "cpu_rt_period": ServiceKey(policy=KeyPolicy.ON_REQUEST, entry="realtime", host="CpuRealtimePeriod", is_told=True),
    "cpu_rt_runtime": ServiceKey(
        policy=KeyPolicy.ON_REQUEST, entry="realtime", host="CpuRealtimeRuntime", is_told=True
    ),
    "cpu_shares": ServiceKey(
        host="CpuShares", is_told=True, normal=values.number, updated="CPUShares", instead=BY_RESOURCES
    ),
    "cpus": ServiceKey(is_told=True, updated="CpuCfsQuota", deploy="resources.limits.cpus", swarm=""),
    "cpuset": ServiceKey(host="CpusetCpus", is_told=True, updated="CPUSet", instead=BY_RESOURCES),
    "credential_spec": ServiceKey(policy=KeyPolicy.ON_REQUEST),
    "depends_on": ServiceKey(is_compared=False, swarm=""),
    "deploy": ServiceKey(policy=None, swarm=""),
    "develop": ServiceKey(is_compared=False, swarm=""),
    "device_cgroup_rules": ServiceKey(
        policy=KeyPolicy.ON_REQUEST, entry="devices", host="DeviceCgroupRules", is_told=True
    ),
    "devices": ServiceKey(
        policy=KeyPolicy.ON_REQUEST,
        is_told=True,
        normal=values.devices,
        instead=said("a task gets no devices of its node: run this service on one machine, by Compose"),
    ),
    "dns": ServiceKey(host="Dns", is_told=True, normal=list, swarm=""),
    "dns_opt": ServiceKey(host="DnsOptions", is_told=True, normal=values.texts, swarm=""),
    "dns_search": ServiceKey(host="DnsSearch", is_told=True, normal=list, swarm=""),
    "domainname": ServiceKey(is_told=True, instead=use_instead("hostname")),
    "entrypoint": ServiceKey(is_told=True, swarm=""),
    "env_file": ServiceKey(policy=KeyPolicy.READ, swarm=""),
    "environment": ServiceKey(is_told=True, swarm=""),
    "expose": ServiceKey(is_told=True, swarm=""),
    "extends": ServiceKey(policy=KeyPolicy.READ, swarm=""),
    "external_links": ServiceKey(policy=KeyPolicy.ON_REQUEST, normal=values.external_links, instead=NO_NAMESPACES),
    "extra_hosts": ServiceKey(host="ExtraHosts", is_told=True, normal=values.hosts, swarm=""),
    "gpus": ServiceKey(policy=KeyPolicy.ON_REQUEST, entry="devices", instead=BY_GENERIC_RESOURCES),
    "group_add": ServiceKey(host="GroupAdd", is_told=True, normal=values.texts, swarm="Groups"),
    "healthcheck": ServiceKey(is_told=True, swarm=""),
    "hostname": ServiceKey(is_told=True, swarm="Hostname"),
    "image": ServiceKey(is_compared=False, swarm=""),
    "init": ServiceKey(host="Init", is_told=True, swarm="Init"),
    "ipc": ServiceKey(policy=KeyPolicy.BY_VALUE, default="private", instead=NO_NAMESPACES),
    "isolation": ServiceKey(policy=KeyPolicy.BY_VALUE, default="default", swarm=""),
    "label_file": ServiceKey(policy=KeyPolicy.READ, swarm=""),
    "labels": ServiceKey(policy=KeyPolicy.BY_VALUE, is_told=True, swarm=""),
    "links": ServiceKey(
        normal=values.links, instead=said("services find each other by name: remove it, or use network aliases")
    ),
    "logging": ServiceKey(policy=None, is_told=True, swarm=""),
    "mac_address": ServiceKey(),
    "mem_limit": ServiceKey(
        size="Memory", is_told=True, updated="MemoryLimit", deploy="resources.limits.memory", swarm=""
    ),
    "mem_reservation": ServiceKey(
        size="MemoryReservation", is_told=True, updated="MemoryLimit", deploy="resources.reservations.memory", swarm=""
    ),
    "mem_swappiness": ServiceKey(host="MemorySwappiness", normal=values.whole, default=UNLIMITED),
    "memswap_limit": ServiceKey(size="MemorySwap", is_told=True, updated="SwapLimit"),
    "models": ServiceKey(policy=KeyPolicy.ON_REQUEST),
    "network_mode": ServiceKey(policy=KeyPolicy.BY_VALUE, is_told=True, instead=use_instead("networks")),
    "networks": ServiceKey(policy=None, is_told=True, swarm=""),
    "oom_kill_disable": ServiceKey(policy=KeyPolicy.BY_VALUE, host="OomKillDisable", is_told=True),
    "oom_score_adj": ServiceKey(policy=KeyPolicy.BY_VALUE, host="OomScoreAdj", is_told=True),
    "pid": ServiceKey(policy=KeyPolicy.BY_VALUE, is_told=True, instead=NO_NAMESPACES),
    "pids_limit": ServiceKey(
        host="PidsLimit", is_told=True, default=UNLIMITED, updated="PidsLimit", deploy="resources.limits.pids", swarm=""
    ),
    "platform": ServiceKey(instead=use_instead("deploy.placement.constraints: [node.platform.arch == x86_64]")),
    "ports": ServiceKey(policy=None, is_told=True, swarm=""),
    "post_start": ServiceKey(policy=None, is_compared=False),
    "pre_stop": ServiceKey(policy=None, is_compared=False),
    "privileged": ServiceKey(
        policy=KeyPolicy.ON_REQUEST,
        host="Privileged",
        is_told=True,
        instead=said("a task is never privileged: give it the capabilities it needs by `cap_add`"),
    ),
    "profiles": ServiceKey(is_compared=False, swarm=""),
    "provider": ServiceKey(policy=KeyPolicy.ON_REQUEST),
    "pull_policy": ServiceKey(is_compared=False, swarm=""),
    "pull_refresh_after": ServiceKey(swarm=""),
    "read_only": ServiceKey(host="ReadonlyRootfs", is_told=True, swarm="ReadOnly"),
    "restart": ServiceKey(is_told=True, updated="", deploy="restart_policy", swarm=""),
    "runtime": ServiceKey(policy=KeyPolicy.ON_REQUEST, is_told=True),
    "scale": ServiceKey(is_compared=False, swarm=""),
    "secrets": ServiceKey(swarm=""),
    "security_opt": ServiceKey(policy=KeyPolicy.BY_VALUE, host="SecurityOpt", is_told=True, normal=values.texts),
    "shm_size": ServiceKey(
        is_told=True,
        normal=values.number,
        default=SHM_BYTES,
        instead=use_instead("volumes: [{type: tmpfs, target: /dev/shm, tmpfs: {size: SIZE}}]"),
    ),
    "stdin_open": ServiceKey(is_told=True, swarm="OpenStdin"),
    "stop_grace_period": ServiceKey(is_told=True, default=STOP_SECONDS, swarm=""),
    "stop_signal": ServiceKey(is_told=True, swarm="StopSignal"),
    "storage_opt": ServiceKey(policy=KeyPolicy.BY_VALUE, host="StorageOpt", is_told=True),
    "sysctls": ServiceKey(
        policy=KeyPolicy.BY_VALUE, host="Sysctls", is_told=True, normal=values.settings, swarm="Sysctls"
    ),
    "tmpfs": ServiceKey(is_told=True, normal=values.texts, swarm=""),
    "tty": ServiceKey(is_told=True, swarm="TTY"),
    "ulimits": ServiceKey(policy=KeyPolicy.BY_VALUE, is_told=True, normal=values.limits, swarm=""),
    "use_api_socket": ServiceKey(policy=KeyPolicy.ON_REQUEST, instead=ON_EACH_NODE),
    "user": ServiceKey(is_told=True, swarm="User"),
    "userns_mode": ServiceKey(policy=KeyPolicy.BY_VALUE, host="UsernsMode", is_told=True),
    "uts": ServiceKey(policy=KeyPolicy.BY_VALUE, host="UTSMode", is_told=True, instead=NO_NAMESPACES),
    "volumes": ServiceKey(policy=None, is_told=True, swarm=""),
    "volumes_from": ServiceKey(policy=KeyPolicy.BY_VALUE, instead=said("name the volumes in both services")),
    "working_dir": ServiceKey(is_told=True, swarm="Dir"),
}
