"""Hosts that are reached by ssh: each is a dockerd and a real OpenSSH server in a network namespace of their own."""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from testbed.daemon import UNFILTERED
from testbed.network import Slot, run
from testbed.node import NodeDaemon
from testbed.slot_holder import SlotHolder
from testbed.ssh_server import Place, SshServer, make_key, ssh_server

# All that the key of a bot needs.
FORWARDS = "restrict,port-forwarding"


class RemoteHost(NodeDaemon):
    """Run one host: `SshHosts` makes it, and gives it its place. It can be lost, stalled or cut off, and be back."""

    kind = "host"

    def __init__(self, folder: Path, slot: Slot, number: int, settings: dict[str, Any], key: Path) -> None:
        super().__init__(folder, slot, number, settings)
        self.key = key
        self._serving = ExitStack()
        self._ssh: SshServer | None = None

    @property
    def url(self) -> str:
        """Return the address for `docker_host`; the engine's socket is where Docker has it."""
        return self.ssh.url

    @property
    def ssh(self) -> SshServer:
        """Return the server as it ran last: what it logged stays readable."""
        assert self._ssh is not None, "it has not started"
        return self._ssh

    def start(self) -> None:
        """Start the engine and the server; a host that is back has the key that it had."""
        self.start_engine()
        place = Place(self.address, self.namespace, self.run_folder / "docker.sock")
        self._ssh = self._serving.enter_context(ssh_server(self.folder / "ssh", FORWARDS, place, self.key))

    def lose(self) -> None:
        """Kill the server, its connections, the engine and its containers at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        self.stop(kill=True)

    def stop(self, *, kill: bool = False) -> None:
        """Stop the engine and the server."""
        self.stop_engine(kill=kill)
        self._serving.close()

    def start_engine(self) -> None:
        """Start the engine alone, and wait until it answers."""
        super().start()

    def stop_engine(self, *, kill: bool = False) -> None:
        """Stop the engine alone; the server lives on."""
        super().stop(kill=kill)

    def pause(self) -> None:
        """Stall the server, its connections and the engine: nothing is answered, and nothing is closed."""
        super().pause()
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stalled host continue."""
        super().resume()
        if self._ssh is not None:
            self._signal(signal.SIGCONT)

    def cut_off(self) -> None:
        """Take the network away: packets are lost, and nobody hears of it."""
        self._link("down")

    def connect(self) -> None:
        """Give the network back."""
        self._link("up")

    def _link(self, state: str) -> None:
        run("ip", "link", "set", self.slot.outside_end(self.number), state)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to all that serves its connections."""
        for process in self.ssh.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)


class SshHosts(SlotHolder):
    """Run hosts for the time of a `with` block, all of which take one key. Raises PackageError without sshd.

    `prepare` is called with each that has started, such as to give it images. A name in `settings` is one of dockerd's.
    """

    def __init__(
        self,
        folder: Path,
        hosts: int = 5,
        *,
        prepare: Callable[[RemoteHost], object] = bool,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder)
        self.hosts: list[RemoteHost] = []
        self._wanted = hosts
        self._prepare = prepare
        self._settings = {**UNFILTERED, **(settings or {})}

    def __enter__(self) -> Self:
        """Start all hosts, and write down their keys."""
        super().__enter__()
        self.known_hosts.write_text("".join(host.ssh.known_hosts for host in self.hosts))
        return self

    @property
    def key(self) -> Path:
        """Return the private key that every host takes, for `docker_key_file`."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """Return the hosts' own keys, for `docker_known_hosts_file`."""
        return self.folder / "known_hosts"

    def _begin(self) -> None:
        make_key(self.key)
        for number in range(1, 1 + self._wanted):
            host = RemoteHost(self.folder / f"host{number}", self.slot, number, self._settings, self.key)
            self.hosts.append(host)
            host.__enter__()
            self._prepare(host)

    def _end(self) -> None:
        for host in self.hosts:
            host.close()
