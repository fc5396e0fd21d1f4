"""A port that a test is given is given to nobody else, neither by us nor by the kernel."""

from pathlib import Path

import pytest

from testbed import ports


def test_port_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    first_given_to_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    monkeypatch.setattr(ports, "PORTS", ports.PORTS[:20])
    given = [ports.free_port() for _ in range(10)]
    assert len(set(given)) == 10
    assert max(given) < first_given_to_clients
