"""An engine of one container that runs a proxy, and of those that are thrown away to check its configuration."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from roas.stack.docker.api_errors import ApiError

PROXY = "p" * 64
OFFICIAL = ("docker-entrypoint.sh", "haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg")
MASTER = ("haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg", "haproxy -sf 8 -x sockpair@4 -W")


class FakeDocker:
    """Be the client and the engine. `says` is what a check prints, by the names that lead nowhere."""

    def __init__(self, argv: Collection[str] = OFFICIAL, processes: Collection[str] = MASTER) -> None:
        self.project = "shop-dev"
        self.argv = list(argv)
        self.processes = processes
        self.mounts: list[dict[str, str]] = []
        self.variables: list[str] = []
        self.place = ""
        self.says: Callable[[Collection[str]], str] = lambda _: ""
        self.has_shell = True
        self.commands: list[list[str]] = []
        self.checks: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self.left: list[dict[str, Any]] = []

    async def call(self, question: Callable[[Any], Any]) -> Any:
        return question(self)

    async def local(self, work: Callable[[], Any]) -> Any:
        return work()

    def mount(self, source: Path, target: str) -> None:
        self.mounts.append({"Type": "bind", "Source": str(source), "Destination": target})

    def containers(self, *, filters: dict[str, Any], **_: object) -> list[dict[str, Any]]:
        return self.left if "configuration-check" in str(filters) else [{"Id": PROXY}]

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {
            "Id": PROXY,
            "Image": "image",
            "State": {"Running": True},
            "Path": self.argv[0],
            "Args": self.argv[1:],
            "Config": {
                "Entrypoint": self.argv[:1],
                "Cmd": self.argv[1:],
                "Env": self.variables,
                "WorkingDir": self.place,
            },
            "Mounts": self.mounts,
        }

    def inspect_image(self, _: str) -> dict[str, Any]:
        return {"Config": {"Entrypoint": self.argv[:1], "Cmd": self.argv[1:]}}

    def top(self, _: str) -> dict[str, Any]:
        return {"Processes": [["99", str(number), line] for number, line in enumerate(self.processes)]}

    def exec_create(self, _: str, command: list[str]) -> dict[str, str]:
        self.commands.append(command)
        if not self.has_shell:
            raise ApiError(400, 'exec: "sh": executable file not found in $PATH')
        return {"Id": "exec"}

    def exec_start(self, _: str) -> bytes:
        return b""

    def exec_inspect(self, _: str) -> dict[str, int]:
        return {"ExitCode": 0}

    def put_archive(self, *_: object) -> bool:
        return True

    def create_host_config(self, **given: Any) -> dict[str, Any]:
        return given

    def create_container(self, image: str, **given: Any) -> dict[str, str]:
        self.checks.append({"image": image, **given})
        return {"Id": f"check {len(self.checks)}"}

    def start(self, _: str) -> None:
        """Nothing runs."""

    def wait(self, _: str, **__: object) -> dict[str, int]:
        return {"StatusCode": int(bool(self._said()))}

    def logs(self, _: str) -> bytes:
        return self._said().encode()

    def remove_container(self, container: str, **_: object) -> None:
        self.removed.append(container)

    def _said(self) -> str:
        return self.says(self.checks[-1]["host_config"]["extra_hosts"])
