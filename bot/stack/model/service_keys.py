"""Say of each key of a service, once, all that is to be known of it: a key is added here, in one line.

Powers, the comparison of containers, adoption and Swarm's form read this table.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roas.messages.message import said
from roas.stack.model import common_form as form
from roas.stack.model import key_values as values
from roas.stack.model import power_values
from roas.stack.model import read_back as read
from roas.stack.model.common_form import WrittenService
from roas.stack.model.read_back import ShownContainer, beyond_image, config, host, namespace, size
from roas.stack.model.services import restart_policy, restart_text

SHM_BYTES = 64 << 20
STOP_SECONDS = 10.0
# What says nothing, whatever it is said of.
NOTHING: tuple[object, ...] = (None, "", False, [], {}, ())


class KeyPolicy(StrEnum):
    """Say what the policy thinks of a key."""

    CONTAINED = "concerns the stack alone: every value is allowed"
    BY_VALUE = "a rule looks at the value, and allows those that are known to be harmless"
    ON_REQUEST = "refused whenever it says anything, unless an entry allows it"
    READ = "names files that Compose reads: judged in the files as they are written"


CONTAINED, BY_VALUE, ON_REQUEST, READ = KeyPolicy


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """Say what is known of a key.

    `policy` is the judgement of it and of all below it, or which keys below it have which one, `*` for names of the
    file's own; `powers` are those of its values that are one. `entry` is the entry of the settings that allows it,
    where that is not called like it. What has a power that `is_root` can do on the machine what root can.

    A container has it as `read` tells, or as the key of its configuration that is called `image`, in which its image
    may say it, too. `form` brings a whole service, and `normal` a value, to the form in which it is compared; `default`
    is that of a container that asks for nothing. One that is not compared makes no container different. A container
    that differs is told, but where the engine shows it in other words (`is_told`). `docker update` changes what is
    `updated`, where the engine says that it can do this.

    `deploy` says the same below that key. `swarm` is the key of a ContainerSpec with the same value, empty where
    `swarm/writing/` has code for it, and None where a Swarm has nothing like it: then there may be something else to
    use `instead`.
    """

    policy: KeyPolicy | Mapping[KeyPolicy, str] = CONTAINED
    entry: str = ""
    is_root: bool = False
    powers: Callable[[Any], Iterable[str]] | None = None
    read: Callable[[ShownContainer], Any] | None = None
    image: str = ""
    form: Callable[[WrittenService], object] | None = None
    normal: Callable[[Any], object] | None = None
    default: object = None
    is_told: bool = True
    is_compared: bool = True
    updated: str | None = None
    deploy: str = ""
    swarm: str | None = None
    instead: str = ""

    def of(self, container: ShownContainer) -> Any:
        """Return how it has to be written for a container to be as it is; what says nothing is empty."""
        if self.read is not None:
            return self.read(container)
        return beyond_image(self.image, container) if self.image else None

    def form_of(self, key: str, service: WrittenService) -> Any:
        """Return what a service says of it, however that is written; what is so anyway is empty."""
        if self.form is not None:
            found = self.form(service)
        else:
            found = service.fields.get(key) or (service.below_deploy(self.deploy) if self.deploy else None)
            found = found or (service.usual.get(self.image) if self.image else service.fields.get(key))
            found = self.normal(found) if self.normal is not None and found is not None else found
        default = self.default(service) if callable(self.default) else self.default
        return None if found == default or found in NOTHING else found


def use_instead(what: str) -> str:
    """Say what to write in the place of a key."""
    return said("use {allowed}", allowed=f"`{what}`")


ON_EACH_NODE = said("a task runs on any node, so put this into an image, a config, a secret or a volume")
NO_NAMESPACES = said("tasks share no namespaces: let the services reach each other by a network")
BY_RESOURCES = use_instead("deploy.resources")
BY_GENERIC_RESOURCES = use_instead("deploy.resources.reservations.generic_resources")
# What Compose runs beside a container's own start and end, and the bot does not; of a container, nothing tells of it.
HOOK = ServiceKey({CONTAINED: "command environment user working_dir", ON_REQUEST: "privileged"}, is_compared=False)
SERVICE_KEYS: Mapping[str, ServiceKey] = {
    "annotations": ServiceKey(ON_REQUEST, is_root=True, read=host("Annotations")),
    "attach": ServiceKey(is_compared=False, swarm=""),
    "blkio_config": ServiceKey(ON_REQUEST, read=read.blkio_config, form=form.blkio_config, is_told=False),
    "build": ServiceKey(
        {
            CONTAINED: """args cache_from cache_to dockerfile_inline extra_hosts no_cache platforms provenance pull sbom
                secrets shm_size tags target""",
            BY_VALUE: "additional_contexts context dockerfile isolation labels network ulimits",
            ON_REQUEST: "entitlements privileged ssh",
        },
        is_compared=False,
        swarm="",
    ),
    "cap_add": ServiceKey(
        ON_REQUEST, is_root=True, read=host("CapAdd"), normal=values.capabilities, swarm="CapabilityAdd"
    ),
    "cap_drop": ServiceKey(read=host("CapDrop"), normal=values.capabilities, swarm="CapabilityDrop"),
    "cgroup": ServiceKey(
        BY_VALUE,
        powers=power_values.namespace,
        is_root=True,
        read=read.cgroup,
        default=lambda service: values.usual_cgroup(service.engine),
        instead=NO_NAMESPACES,
    ),
    "cgroup_parent": ServiceKey(ON_REQUEST, is_root=True, read=host("CgroupParent")),
    "command": ServiceKey(read=read.command, form=form.command, swarm=""),
    "configs": ServiceKey(swarm=""),
    "container_name": ServiceKey(
        BY_VALUE,
        form=form.container_name,
        instead=said("Swarm names tasks itself: remove it, other services find this one by its service's name"),
    ),
    "cpu_count": ServiceKey(instead=BY_RESOURCES),
    "cpu_percent": ServiceKey(instead=BY_RESOURCES),
    "cpu_period": ServiceKey(read=host("CpuPeriod"), updated="CpuCfsPeriod", instead=BY_RESOURCES),
    "cpu_quota": ServiceKey(read=host("CpuQuota"), updated="CpuCfsQuota", instead=BY_RESOURCES),
    "cpu_rt_period": ServiceKey(ON_REQUEST, entry="realtime", read=host("CpuRealtimePeriod")),
    "cpu_rt_runtime": ServiceKey(ON_REQUEST, entry="realtime", read=host("CpuRealtimeRuntime")),
    "cpu_shares": ServiceKey(read=host("CpuShares"), normal=values.number, updated="CPUShares", instead=BY_RESOURCES),
    "cpus": ServiceKey(
        read=read.cpus, normal=values.processors, updated="CpuCfsQuota", deploy="resources.limits.cpus", swarm=""
    ),
    "cpuset": ServiceKey(read=host("CpusetCpus"), updated="CPUSet", instead=BY_RESOURCES),
    "credential_spec": ServiceKey(ON_REQUEST),
    "depends_on": ServiceKey(is_compared=False, swarm=""),
    "deploy": ServiceKey(
        {
            CONTAINED: """endpoint_mode mode placement replicas restart_policy rollback_config update_config
                resources.limits resources.reservations.cpus resources.reservations.generic_resources
                resources.reservations.memory""",
            BY_VALUE: "labels",
            ON_REQUEST: "resources.reservations.devices",
        },
        read=read.reservations,
        is_compared=False,
        swarm="",
    ),
    "develop": ServiceKey(is_compared=False, swarm=""),
    "device_cgroup_rules": ServiceKey(ON_REQUEST, entry="devices", read=host("DeviceCgroupRules")),
    "devices": ServiceKey(
        ON_REQUEST,
        is_root=True,
        read=read.devices,
        normal=values.devices,
        instead=said("a task gets no devices of its node: run this service on one machine, by Compose"),
    ),
    "dns": ServiceKey(read=host("Dns"), normal=list, swarm=""),
    "dns_opt": ServiceKey(read=host("DnsOptions"), normal=values.texts, swarm=""),
    "dns_search": ServiceKey(read=host("DnsSearch"), normal=list, swarm=""),
    "domainname": ServiceKey(read=config("Domainname"), instead=use_instead("hostname")),
    "entrypoint": ServiceKey(read=read.entrypoint, form=form.entrypoint, swarm=""),
    "env_file": ServiceKey(READ, swarm=""),
    "environment": ServiceKey(read=read.environment, form=form.environment, swarm=""),
    "expose": ServiceKey(read=read.expose, form=form.expose, swarm=""),
    "extends": ServiceKey(READ, swarm=""),
    "external_links": ServiceKey(
        ON_REQUEST,
        read=lambda container: read.links(container)[1],
        normal=values.external_links,
        is_told=False,
        instead=NO_NAMESPACES,
    ),
    "extra_hosts": ServiceKey(read=host("ExtraHosts"), normal=values.hosts, swarm=""),
    "gpus": ServiceKey(
        ON_REQUEST,
        entry="devices",
        form=form.reserved_devices,
        deploy="resources.reservations.devices",
        instead=BY_GENERIC_RESOURCES,
    ),
    "group_add": ServiceKey(read=host("GroupAdd"), normal=values.texts, swarm="Groups"),
    "healthcheck": ServiceKey(read=read.healthcheck, form=form.healthcheck, swarm=""),
    "hostname": ServiceKey(read=read.hostname, swarm="Hostname"),
    "image": ServiceKey(is_compared=False, swarm=""),
    "init": ServiceKey(read=host("Init"), swarm="Init"),
    "ipc": ServiceKey(
        BY_VALUE,
        is_root=True,
        powers=power_values.namespace,
        read=namespace("IpcMode"),
        default="private",
        is_told=False,
        instead=NO_NAMESPACES,
    ),
    "isolation": ServiceKey(BY_VALUE, powers=power_values.isolation, default="default", swarm=""),
    "label_file": ServiceKey(READ, swarm=""),
    "labels": ServiceKey(BY_VALUE, read=read.labels, form=form.labels, swarm=""),
    "links": ServiceKey(
        read=lambda container: read.links(container)[0],
        normal=values.links,
        is_told=False,
        instead=said("services find each other by name: remove it, or use network aliases"),
    ),
    "logging": ServiceKey({BY_VALUE: "driver options"}, read=read.logging, form=form.logging, swarm=""),
    "mac_address": ServiceKey(read=config("MacAddress"), is_told=False),
    "mem_limit": ServiceKey(
        read=size("Memory"), normal=values.number, updated="MemoryLimit", deploy="resources.limits.memory", swarm=""
    ),
    "mem_reservation": ServiceKey(
        read=size("MemoryReservation"),
        normal=values.number,
        updated="MemoryLimit",
        deploy="resources.reservations.memory",
        swarm="",
    ),
    "mem_swappiness": ServiceKey(
        read=host("MemorySwappiness"), form=form.mem_swappiness, default=values.UNLIMITED, is_told=False
    ),
    "memswap_limit": ServiceKey(read=size("MemorySwap"), form=form.memswap_limit, updated="SwapLimit"),
    "models": ServiceKey(ON_REQUEST),
    "network_mode": ServiceKey(BY_VALUE, read=read.network_mode, instead=use_instead("networks")),
    "networks": ServiceKey(
        {
            CONTAINED: """*.aliases *.gw_priority *.interface_name *.ipv4_address *.ipv6_address *.link_local_ips
                *.mac_address *.priority""",
            ON_REQUEST: "*.driver_opts",
        },
        read=read.networks,
        form=form.networks,
        swarm="",
    ),
    "oom_kill_disable": ServiceKey(BY_VALUE, read=host("OomKillDisable"), form=form.oom_kill_disable),
    "oom_score_adj": ServiceKey(BY_VALUE, read=host("OomScoreAdj")),
    "pid": ServiceKey(
        BY_VALUE, is_root=True, powers=power_values.namespace, read=namespace("PidMode"), instead=NO_NAMESPACES
    ),
    "pids_limit": ServiceKey(
        read=host("PidsLimit"),
        normal=values.number,
        default=values.UNLIMITED,
        updated="PidsLimit",
        deploy="resources.limits.pids",
        swarm="",
    ),
    "platform": ServiceKey(
        default=lambda service: "/".join(str(service.image.get(key)) for key in ("Os", "Architecture")),
        instead=use_instead("deploy.placement.constraints: [node.platform.arch == x86_64]"),
    ),
    "ports": ServiceKey(
        {CONTAINED: "app_protocol mode name protocol published target", BY_VALUE: "host_ip"},
        read=read.ports,
        normal=values.ports,
        swarm="",
    ),
    "post_start": HOOK,
    "pre_stop": HOOK,
    "privileged": ServiceKey(
        ON_REQUEST,
        is_root=True,
        read=host("Privileged"),
        instead=said("a task is never privileged: give it the capabilities it needs by `cap_add`"),
    ),
    "profiles": ServiceKey(is_compared=False, swarm=""),
    "provider": ServiceKey(ON_REQUEST),
    "pull_policy": ServiceKey(is_compared=False, swarm=""),
    "pull_refresh_after": ServiceKey(swarm=""),
    "read_only": ServiceKey(read=host("ReadonlyRootfs"), swarm="ReadOnly"),
    "restart": ServiceKey(
        read=read.restart,
        form=lambda service: restart_text(*restart_policy(service.fields)),
        updated="",
        deploy="restart_policy",
        swarm="",
    ),
    "runtime": ServiceKey(
        ON_REQUEST, is_root=True, read=read.runtime, default=lambda service: service.engine.get("DefaultRuntime")
    ),
    "scale": ServiceKey(is_compared=False, swarm=""),
    "secrets": ServiceKey(is_compared=False, swarm=""),
    "security_opt": ServiceKey(
        BY_VALUE, is_root=True, powers=power_values.security_opt, read=host("SecurityOpt"), form=form.security_opt
    ),
    "shm_size": ServiceKey(
        read=size("ShmSize", SHM_BYTES),
        normal=values.number,
        default=SHM_BYTES,
        instead=use_instead("volumes: [{type: tmpfs, target: /dev/shm, tmpfs: {size: SIZE}}]"),
    ),
    "stdin_open": ServiceKey(read=config("OpenStdin"), swarm="OpenStdin"),
    "stop_grace_period": ServiceKey(
        read=read.stop_grace_period, normal=values.duration, default=STOP_SECONDS, swarm=""
    ),
    "stop_signal": ServiceKey(image="StopSignal", default="SIGTERM", swarm="StopSignal"),
    "storage_opt": ServiceKey(BY_VALUE, powers=power_values.storage_opt, read=host("StorageOpt")),
    "sysctls": ServiceKey(
        BY_VALUE,
        is_root=True,
        powers=power_values.sysctls,
        read=host("Sysctls"),
        normal=values.settings,
        swarm="Sysctls",
    ),
    "tmpfs": ServiceKey(read=read.tmpfs, normal=values.texts, swarm=""),
    "tty": ServiceKey(read=config("Tty"), swarm="TTY"),
    "ulimits": ServiceKey(
        BY_VALUE,
        powers=power_values.ulimits,
        read=lambda container: read.read_limits(container.host),
        normal=values.limits,
        swarm="",
    ),
    "use_api_socket": ServiceKey(ON_REQUEST, instead=ON_EACH_NODE),
    "user": ServiceKey(image="User", swarm="User"),
    "userns_mode": ServiceKey(BY_VALUE, is_root=True, powers=power_values.namespace, read=host("UsernsMode")),
    "uts": ServiceKey(BY_VALUE, powers=power_values.namespace, read=host("UTSMode"), instead=NO_NAMESPACES),
    "volumes": ServiceKey(
        {
            CONTAINED: """consistency read_only target tmpfs bind.create_host_path bind.recursive bind.selinux
                volume.nocopy volume.subpath""",
            BY_VALUE: "image source type bind.propagation volume.labels",
        },
        read=read.volumes,
        form=form.volumes,
        swarm="",
    ),
    "volumes_from": ServiceKey(BY_VALUE, is_root=True, instead=said("name the volumes in both services")),
    "working_dir": ServiceKey(image="WorkingDir", swarm="Dir"),
}
HOOKS = tuple(key for key, known in SERVICE_KEYS.items() if known is HOOK)
