"""A bridge and a range of addresses of one's own, so that several Docker Engines share a machine without meeting.

Every slot owns the bridge `roas-t<N>` and the range 10.213.<8N>.0/21. A lock on a file, which the kernel gives back
when its holder dies, shows who owns a slot; its next owner removes what a killed one left.
"""

import fcntl
import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RUN_FOLDER = Path("/run/roas-testbed")
SLOTS = 32
NODE_ADDRESSES = 10  # the nodes of a Swarm have the addresses above
BRIDGED_TRAFFIC_IS_FILTERED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class NoSlotError(RuntimeError):
    """Every slot is taken, or this user may not make a bridge."""


def run(*command: str, check: bool = True) -> str:
    """Run a command and return its output; raise with its error output when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@dataclass
class Slot:
    """A bridge, a range and a short folder below /run, held until `release`."""

    number: int
    lock: int

    @property
    def name(self) -> str:
        """Return the bridge's name, which also names the containerd namespace."""
        return f"roas-t{self.number}"

    @property
    def range(self) -> ipaddress.IPv4Network:
        """Return the whole range of the slot."""
        return ipaddress.IPv4Network(f"10.213.{8 * self.number}.0/21")

    @property
    def address(self) -> str:
        """Return the address of this machine on the slot's bridge: what containers reach it by."""
        return str(self.range.network_address + 1)

    @property
    def pool(self) -> str:
        """Return the half of the range that user-defined networks are cut from."""
        return str(list(self.range.subnets())[1])

    @property
    def folder(self) -> Path:
        """Return the slot's folder, short enough for unix sockets."""
        return RUN_FOLDER / str(self.number)

    def make_bridge(self) -> None:
        """Create the bridge, and let its traffic pass where the machine's firewall filters bridged packets."""
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", f"{self.address}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        if _filters_bridges():
            run("iptables", "--wait", "-I", "FORWARD", *self._pass_rule())

    def remove_bridges(self) -> None:
        """Remove the bridge, those that its engine made beside it, and the firewall rule."""
        for name in list(self._bridges()):
            run("ip", "link", "delete", name, check=False)
        if _filters_bridges():
            while self._rule_exists():
                run("iptables", "--wait", "-D", "FORWARD", *self._pass_rule())

    def make_node(self, number: int) -> str:
        """Create a network namespace with an address on the bridge, for an engine of its own; returns its name."""
        name, outside = f"{self.name}-{number}", self.outside_end(number)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", outside, "master", self.name, "up")
        run("ip", "-n", name, "address", "add", f"{self.node_address(number)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", name, "link", "set", device, "up")
        return name  # without a route to the world: a name server that is out of reach is not waited for

    def outside_end(self, number: int) -> str:
        """Return the name of the link that joins a node's namespace to the bridge."""
        return f"{self.name}v{number}"

    def connect_node(self, number: int, *, connected: bool) -> None:
        """Cut a node off from the bridge, or connect it again: what runs on it goes on, and nobody reaches it."""
        run("ip", "link", "set", self.outside_end(number), "up" if connected else "down")

    def node_address(self, number: int) -> str:
        """Return the address of a node's namespace on the bridge."""
        return str(self.range.network_address + NODE_ADDRESSES + number)

    def remove_nodes(self) -> None:
        """Remove the nodes' ends on the bridge, and their namespaces with what is in them."""
        for link in json.loads(run("ip", "-json", "link")):
            if link["ifname"].startswith(f"{self.name}v"):
                run("ip", "link", "delete", link["ifname"], check=False)
        for line in run("ip", "netns", "list", check=False).splitlines():
            name = line.split()[0] if line.strip() else ""
            if name.startswith(f"{self.name}-"):
                run("ip", "netns", "delete", name, check=False)

    def release(self) -> None:
        """Release the slot."""
        os.close(self.lock)

    def _bridges(self) -> Iterator[str]:
        for link in json.loads(run("ip", "-json", "-4", "address")):
            for address in link.get("addr_info", []):
                if ipaddress.IPv4Address(address["local"]) in self.range:
                    yield link["ifname"]
        with suppress(RuntimeError):
            run("ip", "link", "show", self.name)
            yield self.name

    def _pass_rule(self) -> list[str]:
        return ["-s", str(self.range), "-d", str(self.range), "-m", "comment", "--comment", self.name, "-j", "ACCEPT"]

    def _rule_exists(self) -> bool:
        check = ["iptables", "--wait", "-C", "FORWARD", *self._pass_rule()]
        return subprocess.run(check, capture_output=True, check=False, timeout=60).returncode == 0


def take_slot() -> Slot:
    """Acquire the first free slot whose range is not in use elsewhere on this machine."""
    if os.geteuid() != 0:
        raise NoSlotError("a private Docker Engine needs root: run this as root, or start Docker and set DOCKER_HOST")
    RUN_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(SLOTS):
        slot = lock_slot(number)
        if slot is None:
            continue
        if _used_by_others(slot):
            slot.release()
            continue
        return slot
    raise NoSlotError(f"all {SLOTS} slots for private Docker Engines are taken (see {RUN_FOLDER})")


def lock_slot(number: int) -> Slot | None:
    """Acquire a slot, or return None where somebody holds it."""
    lock = os.open(RUN_FOLDER / f"{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return Slot(number, lock)


def _used_by_others(slot: Slot) -> bool:
    """Return whether a route into the range exists over an interface other than a Docker bridge."""
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all") or "[]"):
        device = str(route.get("dev", ""))
        if device.startswith(("roas-t", "br-", "docker", "lo")) or route.get("dst") in {None, "default"}:
            continue
        with suppress(ValueError):
            if ipaddress.IPv4Network(route["dst"]).overlaps(slot.range):
                return True
    return False


def _filters_bridges() -> bool:
    try:
        return BRIDGED_TRAFFIC_IS_FILTERED.read_text().strip() == "1"
    except OSError:
        return False
