"""The engine that stacks are started on, and what is typed on its machine: Docker's commands and ours."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from testbed.clearing import remove_containers
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.daemon import PrivateDaemon
from testbed.inherited import inherited
from testbed.preloaded import run_preloaded
from tools.campaigns.corpus.apart import hide_socket, show_socket
from tools.campaigns.corpus.images import SOURCE, name_by_digest

ROOT = Path(__file__).parents[3]
TYPED_SECONDS = 150
NO_ANSWER = 124
Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True, slots=True)
class Typed:
    """Hold how a command ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """Return the line that says most: the last error, without what Compose logs of its progress."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(frozen=True, slots=True)
class Look:
    """Hold what `docker inspect` says of one container."""

    service: str
    started_at: str
    status: str
    exit_code: int
    restarts: int
    health: str
    image: str

    @property
    def settled(self) -> bool:
        """Return whether it stays as it is: it runs and is not unhealthy, has ended well, or was never started."""
        if self.restarts or self.health == "unhealthy":
            return False
        return self.status in {"running", "created"} or (self.status == "exited" and self.exit_code == 0)


class Ground:
    """Type commands where nothing but the stacks of the corpus is."""

    def __init__(self, daemon: PrivateDaemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self.client = daemon.client()

    def compose(self, folder: Path, *arguments: str, **variables: str) -> Typed:
        """Type a Compose command in a folder."""
        return self._type(_run, ["docker-compose", *arguments], folder, variables)

    def roas(self, home: Path, *arguments: str, **variables: str) -> Typed:
        """Type a command of ours, with a state folder and no settings but those of its `roas.toml`."""
        own = {"PYTHONPATH": str(ROOT), "STATE_DIR": str(home / "state"), "COLUMNS": "200", **variables}
        return self._type(run_preloaded, ["roas", *arguments], home, own)

    def looks(self, project: str) -> Mapping[str, Look]:
        """Return the containers of a project by id."""
        found = {}
        for container in self.client.api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={project}"}):
            try:
                inspected = self.client.api.inspect_container(container["Id"])
            except docker.errors.NotFound:
                continue
            found[container["Id"]] = _look(inspected)
        return found

    @property
    def takes_digests(self) -> bool:
        """Say whether the engine believes what a digest is of: containerd's store looks at the content."""
        return not any("containerd" in str(value) for _, value in self.client.info().get("DriverStatus") or ())

    def pulled_by_digest(self, by_digest: dict[str, str]) -> None:
        """Let the engine know images by a digest, as one that pulled them does."""
        hide_socket()
        self.client.close()
        self.daemon.stop()
        name_by_digest(self.daemon.folder / "data", by_digest)
        self.daemon.start()
        self.client = self.daemon.client()
        show_socket(self.daemon.docker_host)

    def clear(self) -> None:
        """Remove whatever a stack left on the engine."""
        remove_containers(self.client)
        for volume in self.client.volumes.list():
            volume.remove(force=True)
        for image in self.client.api.images():
            for name in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())):
                if not name.startswith((f"{SOURCE}:", f"{SOURCE}@")) and "<none>" not in name:
                    with suppress(docker.errors.ImageNotFound):  # in containerd's store the digest goes with the tag
                        self.client.api.remove_image(name, force=True, noprune=True)

    def _type(self, run: Run, command: list[str], folder: Path, variables: Mapping[str, str]) -> Typed:
        try:
            done = run(*command, cwd=folder, env=inherited() | dict(variables), timeout=TYPED_SECONDS)
        except subprocess.TimeoutExpired as error:
            so_far = (error.stderr or error.stdout or b"").decode(errors="replace").split("\n")[-3:]
            return Typed(NO_ANSWER, "", f"no end within {TYPED_SECONDS} s: {' / '.join(so_far)}")
        return Typed(done.returncode, done.stdout, done.stderr)


def _run(*command: str, cwd: Path, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def _look(inspected: Mapping[str, Any]) -> Look:
    state = inspected["State"]
    return Look(
        str((inspected["Config"].get("Labels") or {}).get(SERVICE_LABEL)),
        state["StartedAt"],
        state["Status"],
        state["ExitCode"],
        inspected["RestartCount"],
        (state.get("Health") or {}).get("Status", ""),
        inspected["Image"],
    )


def document(typed: Typed) -> Mapping[str, Any]:
    """Return the document that a command of ours printed; nothing where it printed none."""
    try:
        found = json.loads(typed.out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def opened_ground(folder: Path) -> Iterator[Ground]:
    """Start an engine where everybody looks for one."""
    with PrivateDaemon(folder / "engine") as daemon:
        show_socket(daemon.docker_host)
        ground = Ground(daemon, folder)
        try:
            yield ground
        finally:
            ground.client.close()
            hide_socket()
    shutil.rmtree(folder / "engine", ignore_errors=True)
