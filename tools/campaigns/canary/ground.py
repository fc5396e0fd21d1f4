"""The documentation's stack behind HAProxy, many times on one engine, each with users and a version of its own."""

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.models.canary import CanaryPolicy
from testbed.daemon import PrivateDaemon
from testbed.home_stack import forget_releases
from testbed.proxy_images import haproxy_image, web_image
from tools.campaigns.canary.playing import LEAK_AT, SHAPE, USUAL_MS, Version
from tools.campaigns.requests.recipe import AdminSocket, write_recipe
from tools.campaigns.requests.scene import QUICK_CHECK, SLOW_CHECK
from tools.campaigns.requests.users import Users, users

PORT = 8080
OLD = Version("old", 0.005)
OBSERVATION_SECONDS = 0.5
# The page's stack is made for one on a machine. Of thirty on two cores, checks and DNS would take all the time.
SELDOM = {
    '    ports: ["127.0.0.1:0:8080"]\n': "",
    "        websockets: [web-sockets]\n": "",
    "    use_backend web-sockets if { hdr(Upgrade) -i websocket }\n": "",
    "\nbackend web-sockets\n    server-template web 1 web:8080 init-addr last,libc,none\n"
    "    server-template web 2-6 web:8080\n": "",
    "web 2-6": "web 2-3",
    "check inter 250ms": "check inter 2s fastinter 250ms",
    "timeout resolve 500ms": "timeout resolve 2s",
    "hold valid 500ms": "hold valid 2s",
    SLOW_CHECK: QUICK_CHECK,
    "interval: 5s": "interval: 120s",
    "replicas: 2": "replicas: 1",
}
PROXY_LINE = "      proxy:\n        service: haproxy"


def tag_of(version: Version) -> str:
    """Return what a version is deployed as."""
    if version is OLD:
        return OLD.name
    parts = [f"fails-{version.rate:g}", *(["later"] if version.leaks else []), f"takes-{version.times:g}"]
    return "-".join(parts)


def canary_lines(policy: CanaryPolicy) -> str:
    """Write a policy as a compose file has it; its checks are `errors`, and `response_time` where it has that."""
    checks = "[errors, response_time]" if policy.times is not None else "[errors]"
    values = {
        "steps": list(policy.shares),
        "pause": f"{policy.pause_seconds:g}s",
        "deadline": f"{policy.deadline_seconds:g}s",
        "checks": checks,
    }
    return "      canary:\n" + "".join(f"        {key}: {value}\n" for key, value in values.items())


@dataclass(frozen=True)
class Lane:
    """One of the stacks: an environment of its own, in which one canary after the other is played."""

    name: str
    base_name: str
    client: docker.DockerClient

    @property
    def project(self) -> str:
        """Return the name of its project."""
        return f"{self.base_name}-{self.name}"

    def users(self, rate: float) -> AbstractContextManager[Users]:
        """Let users ask its proxy, by the address that this has just now."""
        return users(PORT, rate=rate, host=self._address("haproxy"), by_moment=True)

    def runs_alone(self, tag: str) -> bool:
        """Return whether one container of a version is all there is, and the proxy sends everything there."""
        try:
            (only,) = self._of("web")
            admin = self._admin()
            up = {address for address, status in admin.states().values() if status == "UP"}
            weights = {line[7] for line in _servers(admin.ask("show servers state web"))}
            is_whole = up == {f"{self._address('web')}:{PORT}"} and not admin.set_aside()
        except (ValueError, OSError):  # there are two, or it is being started
            return False
        image = str(only.attrs["Config"]["Image"]).rpartition(":")[2]
        return is_whole and weights == {"1"} and image.startswith(tag)

    def _admin(self) -> AdminSocket:
        volume = self.client.volumes.get(f"{self.project}_haproxy")
        return AdminSocket(Path(volume.attrs["Mountpoint"]) / "admin.sock")

    def _of(self, service: str) -> list[Container]:
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return list(self.client.containers.list(all=True, ignore_removed=True, filters={"label": labels}))

    def _address(self, service: str) -> str:
        (only,) = self._of(service)
        (network,) = only.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])


def _servers(answer: str) -> list[list[str]]:
    lines = [line.split() for line in answer.splitlines()]
    return [line for line in lines if len(line) > 7 and line[0].isdigit()]


@dataclass(frozen=True)
class Ground:
    """Hold the engine, and the stacks on it."""

    folder: Path
    docker_host: str
    lanes: tuple[Lane, ...]

    @property
    def settings(self) -> Settings:
        """Return the settings of a bot for all of them."""
        lanes = [lane.name for lane in self.lanes]
        own = EnvironmentSettings(observation_seconds=OBSERVATION_SECONDS)
        return Settings(
            _env_file=None,
            stack_dir=self.folder / "stack",
            state_dir=self.folder / "state",
            docker_host=self.docker_host,
            compose_project_name=self.lanes[0].base_name,
            environment_names=tuple(lanes),
            environments=dict.fromkeys(lanes, own),
        )


@contextmanager
def ground(
    folder: Path, versions: tuple[Version, ...], policy: CanaryPolicy, lanes: int, engine: PrivateDaemon | None = None
) -> Iterator[Ground]:
    """Write the stack with a canary, and make the images of versions on an engine, by default one of its own."""
    with nullcontext(engine) if engine else PrivateDaemon(folder / "engine") as daemon:
        client = daemon.client()
        forget_releases(client, None)
        haproxy_image(client)
        for version in {OLD, *versions}:
            web_image(client, f"shop/web:{tag_of(version)}", version=tag_of(version), **_flaws(version))
        folder.mkdir(parents=True, exist_ok=True)
        changes = SELDOM | {PROXY_LINE: canary_lines(policy) + PROXY_LINE}
        write_recipe(folder / "stack", "HAProxy", 0, **changes)
        # Whoever plays beside this, on another engine, has other projects.
        base_name = f"canary{secrets.token_hex(3)}"
        found = tuple(Lane(f"lane{number}", base_name, client) for number in range(lanes))
        try:
            yield Ground(folder, daemon.docker_host, found)
        finally:
            _remove(client, {lane.project for lane in found})
            client.close()


def _flaws(version: Version) -> dict[str, str]:
    return {
        "FAILS_PERCENT": f"{version.rate * 100:g}",
        "FAILS_FROM": f"{LEAK_AT if version.leaks else 0:g}",
        "TAKES_MS": f"{USUAL_MS * version.times:g}",
        "TAKES_SHAPE": f"{SHAPE:g}",
        "ORDERS": "/tmp/orders",  # noqa: S108 - in its container, where nobody reads it
    }


def _remove(client: docker.DockerClient, projects: set[str]) -> None:
    """Remove what the stacks consist of."""
    label = "com.docker.compose.project"
    for container in client.containers.list(all=True, sparse=True, filters={"label": label}):
        if container.attrs["Labels"][label] in projects:
            container.remove(force=True, v=True)
    for resources in (client.networks, client.volumes):
        for resource in resources.list(filters={"label": label}):
            if (resource.attrs.get("Labels") or {}).get(label) in projects:
                resource.remove()
