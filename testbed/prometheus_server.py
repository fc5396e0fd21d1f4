"""A real Prometheus, a real Alertmanager and a real cAdvisor of one's own, on loopback and in a hurry."""

import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import yaml

from testbed.debian_packages import unpacked
from testbed.ports import free_port
from testbed.waiting import wait_until

INTERVAL = "1s"
# Debian's last release that has it; it measures by cgroups of both versions.
HAS_CADVISOR = "bullseye"


class Server:
    """Run one program that answers HTTP on a port, with its files in a folder."""

    ready = "/-/ready"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return what starts it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(self.command(), stdout=output, stderr=output, cwd=self.folder)
        if not wait_until(self._answers, 20, poll=0.05):
            raise TimeoutError(f"{self.command()[0]} does not answer: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self.ready}", timeout=1) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class PrometheusServer(Server):
    """Scrape targets every second and judge one rule."""

    def __init__(
        self, folder: Path, target: str, rule: dict[str, object], alertmanager: str | None = None, *more_targets: str
    ) -> None:
        super().__init__(folder)
        (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": [rule]}]}))
        managers = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
        configuration = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": managers},
            "scrape_configs": [{"job_name": "roas-bot", "static_configs": [{"targets": [target, *more_targets]}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))

    def command(self) -> list[str]:
        """Return what starts it."""
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        return ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", listen]


class CAdvisor(Server):
    """Measure the containers of one engine every second, as a task of a `global` service does on each node."""

    ready = "/healthz"

    def __init__(self, folder: Path, docker_host: str) -> None:
        super().__init__(folder)
        self._docker_host = docker_host

    @property
    def target(self) -> str:
        """Return what Prometheus scrapes."""
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return what starts it. Raises PackageError where it cannot be had."""
        program = str(unpacked("cadvisor", ("cadvisor",), suite=HAS_CADVISOR) / "usr/bin/cadvisor")
        listen = ["-listen_ip=127.0.0.1", f"-port={self.port}", "-housekeeping_interval=1s"]
        return [program, f"-docker={self._docker_host}", "-docker_only", "-containerd=", *listen]


class AlertmanagerServer(Server):
    """Send what comes in as the shipped configuration says, but to another place and at once."""

    def __init__(self, folder: Path, shipped: Path, receiver: str, token: str) -> None:
        super().__init__(folder)
        configuration = yaml.safe_load(shipped.read_text())
        configuration["route"].update(group_wait="0s", group_interval=INTERVAL)
        (webhook,) = configuration["receivers"][0]["webhook_configs"]
        webhook["url"] = receiver
        webhook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
        (folder / "token").write_text(token)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))

    def command(self) -> list[str]:
        """Return what starts it."""
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        storage = ["--storage.path=data", "--cluster.listen-address="]
        return ["prometheus-alertmanager", "--config.file=alertmanager.yml", listen, *storage]
