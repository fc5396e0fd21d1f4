"""A private Docker Engine with its own bridge, folders, socket and namespace, to be restarted at will."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from testbed.leftovers import end_engine
from testbed.slot_holder import DaemonError, SlotHolder
from testbed.stopping import stop_process
from testbed.unstable_engine import IMAGE_STORE_VARIABLE
from testbed.waiting import wait_until

START_SECONDS = 40.0
STOP_SECONDS = 20.0
LOG_LINES = 40
# The engine and all that it starts live for moments in tests, and need not look for garbage as often as usual.
CALM_COLLECTOR = {"GOGC": "400"}
# For engines of sample images alone: to filter system calls costs each start and each probe 15 ms of a core.
UNFILTERED = {"seccomp-profile": "unconfined"}


def answers(docker_host: str, seconds: int = 5) -> bool:
    """Return whether an engine answers a ping at an address."""
    with suppress(docker.errors.DockerException, requests.exceptions.RequestException):
        client = docker.DockerClient(base_url=docker_host, version="1.41", timeout=seconds)
        try:
            return bool(client.ping())
        finally:
            client.close()
    return False


class PrivateDaemon(SlotHolder):
    """Run a dockerd of one's own for the time of a `with` block.

    Containers reach this machine at `host_address`, and each other; they do not reach the world, and neither does
    the engine need to. Ports published to 127.0.0.1 work. An engine that builds from a network, with
    `docker build --network host`, needs `settings={"dns": []}`: the machine's own name servers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        live_restore: bool = False,
        settings: dict[str, Any] | None = None,
        beside_containerd: bool = False,
    ) -> None:
        """Prepare one; `beside_containerd`, as packages install it, that is a process apart, which may be away."""
        super().__init__(folder)
        self._beside_containerd = beside_containerd
        self._containerd: subprocess.Popen[bytes] | None = None
        self._live_restore = live_restore
        self._settings = settings or {}
        self._api_version: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def run_folder(self) -> Path:
        """Return the folder of the engine's socket and pid file."""
        return self.slot.folder

    @property
    def namespace(self) -> str:
        """Return the engine's namespace in containerd."""
        return self.slot.name

    @property
    def docker_host(self) -> str:
        """Return the engine's address for DOCKER_HOST."""
        return f"unix://{self.run_folder}/docker.sock"

    @property
    def pid(self) -> int | None:
        """Return the process id of the running engine."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """Return the engine's own log."""
        return self.folder / "dockerd.log"

    def client(self, timeout: float = 60) -> docker.DockerClient:
        """Return a new SDK client of this engine; the caller closes it.

        Which API the engine has is asked by the first one alone: the engine starts two programs to tell its version.
        """
        client = docker.DockerClient(base_url=self.docker_host, version=self._api_version, timeout=int(timeout))
        self._api_version = client.api.api_version
        return client

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        if shutil.which("dockerd") is None:
            raise DaemonError("dockerd is not installed: run script/bootstrap --engine")
        if self._beside_containerd:
            self.start_containerd()
        # Without live-restore an engine with address pools of its own removes `docker0` when it starts, whose ever it
        # is. So every start is one with live-restore, and the wanted setting is applied once it runs.
        self._write_configuration(live_restore=True)
        self._start_process([])
        if not self._live_restore:
            self._set_live_restore(wanted=False)

    def _start_process(self, prefix: list[str]) -> None:
        """Start dockerd by its configuration, and wait until it answers."""
        self._drop_stale_pid_files()
        command = [*prefix, "dockerd", *self._flags()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**CALM_COLLECTOR, **os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not wait_until(lambda: self.pid is None or self.answers(), START_SECONDS) or self.pid is None:
            raise DaemonError(f"the private engine did not start\n{self.log_tail()}")

    def stop(self, *, kill: bool = False) -> None:
        """Stop the engine by its pid; with `kill`, as a crash of it and (without live_restore) its containers would."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            kill = True  # its containerd is left
        self._process = None
        if kill:
            end_engine(self.run_folder, self.namespace, with_containers=not self._live_restore)

    def restart(self, *, kill: bool = False) -> None:
        """Stop the engine and start it again on the same data."""
        self.stop(kill=kill)
        self.start()

    def keep_containers(self, *, wanted: bool) -> None:
        """Let containers outlive the engine from now on (live-restore), or not."""
        if wanted != self._live_restore:
            self._live_restore = wanted
            self._set_live_restore(wanted=wanted)

    def start_containerd(self) -> None:
        """Start the containerd beside it, where it does not run; the engine connects by itself."""
        if self._containerd is not None:
            return
        run = self.run_folder / "containerd"
        run.mkdir(exist_ok=True)
        (run / "config.toml").write_text(
            f'version = 2\nroot = "{self.folder}/containerd"\nstate = "{run}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{self._containerd_socket}"\n'
        )
        with self.log.open("ab") as log:
            command = ["containerd", "--config", str(run / "config.toml"), "--log-level", "warn"]
            self._containerd = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        if not wait_until(self._containerd_socket.exists, START_SECONDS):
            raise DaemonError(f"containerd did not start\n{self.log_tail()}")

    def kill_containerd(self) -> None:
        """Kill the containerd beside it; containers go on running, and nothing can be started, stopped or probed."""
        if self._containerd is not None:
            self._containerd.kill()
            self._containerd.wait(STOP_SECONDS)
            self._containerd_socket.unlink(missing_ok=True)
        self._containerd = None

    def pause_containerd(self) -> None:
        """Stall the containerd beside it: what the engine asks of it is taken, and never answered."""
        if self._containerd is not None:
            stop_process(self._containerd.pid)

    def resume_containerd(self) -> None:
        """Let a stalled containerd continue."""
        if self._containerd is not None:
            self._containerd.send_signal(signal.SIGCONT)

    @property
    def _containerd_socket(self) -> Path:
        return self.run_folder / "containerd" / "containerd.sock"

    def pause(self) -> None:
        """Stall the engine: connections are taken and never answered."""
        if self._process:
            stop_process(self._process.pid)

    def resume(self) -> None:
        """Let a stalled engine continue."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def answers(self, seconds: int = 5) -> bool:
        """Return whether the engine answers a ping."""
        return answers(self.docker_host, seconds)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """Return the last lines of the engine's log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    @property
    def _data_folder(self) -> Path:
        return self.folder / "data"

    def _begin(self) -> None:
        self.start()

    def _end(self) -> None:
        self.resume()
        if self._beside_containerd:
            self.start_containerd()
        if self.pid is not None:
            self._remove_containers()
        self.stop()
        self.kill_containerd()

    def _remove_containers(self) -> None:
        with suppress(docker.errors.DockerException, requests.exceptions.RequestException):
            client = self.client(timeout=STOP_SECONDS)
            try:
                for container in client.containers.list(all=True, sparse=True, ignore_removed=True):
                    with suppress(docker.errors.APIError):
                        container.remove(force=True)
            finally:
                client.close()

    def _drop_stale_pid_files(self) -> None:
        """Delete the pid files of an engine that died: their PIDs may belong to other processes by now."""
        for name in ("docker.pid", "exec/containerd/containerd.pid"):
            (self.run_folder / name).unlink(missing_ok=True)

    def _set_live_restore(self, *, wanted: bool) -> None:
        self._write_configuration(live_restore=wanted)
        if self._process:
            self._process.send_signal(signal.SIGHUP)
        client = self.client()
        try:
            if not wait_until(lambda: client.info()["LiveRestoreEnabled"] is wanted, START_SECONDS):
                raise DaemonError(f"the private engine did not take its settings\n{self.log_tail()}")
        finally:
            client.close()

    def _flags(self) -> list[str]:
        run = self.run_folder
        return [
            *(("--containerd", str(self._containerd_socket)) if self._beside_containerd else ()),
            *("--config-file", str(self.folder / "daemon.json")),
            *("--host", f"unix://{run}/docker.sock"),
            *("--exec-root", f"{run}/exec"),
            *("--pidfile", f"{run}/docker.pid"),
            *("--data-root", str(self.folder / "data")),
            *("--containerd-namespace", self.namespace),
            *("--containerd-plugins-namespace", f"{self.namespace}-plugins"),
        ]

    def _base_settings(self) -> dict[str, Any]:
        return {
            "bridge": self.slot.name,
            "default-address-pools": [{"base": self.slot.pool, "size": 27}],
            # An engine that writes firewall rules flushes those of every other one.
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            # Nobody listens there, so that a name that no container has fails at once.
            "dns": [self.slot.address],
            "shutdown-timeout": 5,
            # Beside one group for the containers of all engines, each process of a test counts as much as they all.
            "cgroup-parent": f"/{self.slot.name}",
        }

    def _write_configuration(self, *, live_restore: bool) -> None:
        settings = {**self._base_settings(), **self._settings, "live-restore": live_restore, **_image_store()}
        (self.folder / "daemon.json").write_text(json.dumps(settings, indent=2))


def _image_store() -> dict[str, Any]:
    """Return the setting for containerd's image store, where this run of the tests asks for it."""
    if os.environ.get(IMAGE_STORE_VARIABLE) != "containerd":
        return {}
    return {"features": {"containerd-snapshotter": True}}
