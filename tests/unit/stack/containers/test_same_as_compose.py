"""The stack by which containers are compared with Compose's has every key, or says why not."""

import os

import yaml

from testbed.unstable_engine import FOLDER_VARIABLE
from tools.campaigns.hostile.every_key import schema_keys

# Every key of a service that this Compose knows and this engine can do; NOT_PLAYED says why others are not here.
STACK = """
x-common: &common {image: "tiny:v1", stop_grace_period: 0s}
services:
  process:
    <<: *common
    annotations: {note: "5$$"}
    attach: false
    command: ["sleep", "1000"]
    entrypoint: ["/bin/env"]
    env_file: [web.env]
    environment: {A: "1", PRICE: "5$$", EMPTY: ""}
    expose: ["9000"]
    group_add: ["123"]
    healthcheck:
      {test: ["CMD", "true"], interval: 2s, timeout: 1500ms, retries: 4, start_period: 5s, start_interval: 1s}
    hostname: webby
    domainname: example.test
    init: true
    labels: {own: "yes$$"}
    logging: {driver: local, options: {max-size: 1m}}
    restart: on-failure:3
    stdin_open: true
    stop_signal: SIGINT
    tty: true
    user: "1000:1000"
    working_dir: /tmp
  host:
    <<: *common
    blkio_config:
      weight: 300
      device_read_bps: [{path: "${DISK}", rate: 100mb}]
      device_write_iops: [{path: "${DISK}", rate: 5000}]
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    cgroup: host
    cgroup_parent: tenants
    cpu_count: 0
    cpu_period: 100000
    cpu_quota: 50000
    cpu_shares: 512
    cpuset: "0"
    device_cgroup_rules: ["c 1:3 mr"]
    devices: ["/dev/null:/dev/nothing:r"]
    ipc: shareable
    mem_limit: 64m
    mem_reservation: 32m
    mem_swappiness: 10
    memswap_limit: 128m
    oom_kill_disable: false
    oom_score_adj: 100
    pid: host
    pids_limit: 100
    privileged: false
    read_only: true
    runtime: runc
    security_opt: ["no-new-privileges:true"]
    shm_size: 32m
    sysctls: {net.core.somaxconn: "1024"}
    tmpfs: ["/run:size=65536,mode=755"]
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 500}
    userns_mode: host
    uts: host
  resources:
    <<: *common
    deploy:
      labels: {only: swarm}
      resources: {limits: {cpus: "0.5", memory: 64M, pids: 50}, reservations: {memory: 32M}}
      restart_policy: {condition: on-failure, max_attempts: 2}
  networked:
    <<: *common
    dns: ["9.9.9.9"]
    dns_opt: [ndots:1]
    dns_search: [example.test]
    extra_hosts: ["other:10.9.8.7", "host:host-gateway"]
    networks:
      default: {aliases: [www], mac_address: "02:42:ac:11:65:43", priority: 10}
      back: {ipv4_address: 10.213.251.9, link_local_ips: [169.254.7.7]}
    ports: ["127.0.0.1::8080", "8081/udp", {target: 8082, protocol: tcp, mode: host}]
    links: ["mounted:store"]
  shared:
    <<: *common
    network_mode: "service:networked"
    pid: "service:host"
    ipc: "service:host"
    depends_on: [mounted]
  delayed: {<<: *common, deploy: {restart_policy: {delay: 5s}}}
  addressed: {<<: *common, cpus: 0.25, mac_address: "02:42:ac:11:65:44"}
  again: {<<: *common, deploy: {restart_policy: {condition: any}}}
  twice: {<<: *common, restart: always, deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}}
  bounded:
    <<: *common
    deploy: {resources: {limits: {cpus: "0.333", memory: 64M, pids: 50}, reservations: {memory: 32M, cpus: "0.1"}}}
  mounted:
    <<: *common
    configs: [{source: settings, target: /etc/settings.ini}, inline]
    secrets: [password, {source: token, target: key}]
    volumes:
      - ./site:/site:ro
      - ./data:/data
      - store:/store
      - /anonymous
      - {type: bind, source: ./data, target: /slave, bind: {propagation: private}}
      - {type: volume, source: store, target: /plain, read_only: true, volume: {nocopy: true}}
      - {type: tmpfs, target: /scratch, tmpfs: {size: 65536, mode: 448}}
  borrowing:
    <<: *common
    volumes_from: ["lender:ro"]
  lender: {<<: *common, volumes: ["store:/lent", "./data:/data"]}
  extended: {extends: {service: lender}, cpu_count: 0, cpu_percent: 0, isolation: default}
  beyond: {<<: *common, external_links: ["${NAME}-outside:outside", "${NAME}-outside"]}
  built:
    stop_grace_period: 0s
    build: {context: ./app, args: {OF: us}}
    develop: {watch: [{path: ./app, action: rebuild}]}
  named: {<<: *common, container_name: "${NAME}", platform: linux/amd64, pull_policy: never, network_mode: none}
  many: {<<: *common, scale: 2, volumes: ["./data:/data"]}
  idle: {<<: *common, profiles: [sometimes]}
networks:
  back:
    attachable: true
    driver: bridge
    driver_opts: {com.docker.network.bridge.name: "${BRIDGE}"}
    internal: true
    labels: {of: us}
    ipam: {config: [{subnet: 10.213.251.0/24, gateway: 10.213.251.1}]}
volumes: {store: {labels: {of: us}}}
configs: {settings: {file: ./settings.ini}, inline: {content: "costs 5$$"}}
secrets: {password: {file: ./password}, token: {environment: TOKEN}}
"""

# What Compose has learned since 2.26.
NEWER = """
  hooked:
    <<: *common
    label_file: ./own.labels
    post_start: [{command: ["touch", "/started"]}]
    pre_stop: [{command: ["touch", "/stopping"]}]
"""

NOT_PLAYED = {
    "cpu_rt_period": "this kernel has no real-time groups",
    "cpu_rt_runtime": "this kernel has no real-time groups",
    "credential_spec": "is for Windows",
    "gpus": "is shown by test_adopted_devices.py, on an engine that believes to have some",
    "models": "needs a model runner, and is refused unless it is allowed",
    "provider": "makes no container, and is refused unless it is allowed",
    "pull_refresh_after": "is in the schema alone: no Compose reads it",
    "storage_opt": "needs a file system with quotas",
    "use_api_socket": "is refused: Compose would give the bot's logins to registries",
}

# Engine 28 forgets what `host-gateway` stands for when it reads its settings again, as a private one does.
if FOLDER_VARIABLE in os.environ:
    STACK = STACK.replace("host-gateway", "10.9.8.6").replace("\n  idle:", f"{NEWER}  idle:")


def test_every_key_is_in_the_stack() -> None:
    """Whoever adds a key to the schema's list has to say how it compares."""
    known = {path.split(".")[2] for path, _ in schema_keys() if path.startswith("services.*.")}
    played = {key for item in yaml.safe_load(STACK)["services"].values() for key in item}
    newest = yaml.safe_load(f"x-common: &common {{}}\nservices:{NEWER}")["services"]
    newer = {key for item in newest.values() for key in item}
    assert known - played - newer == NOT_PLAYED.keys()
