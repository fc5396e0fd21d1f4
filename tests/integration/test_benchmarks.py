"""A context is measured beside `cp`, and what a bot takes beside the libraries alone."""

from pathlib import Path

import pytest

from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from tools.benchmarks import context, services
from tools.benchmarks.processes import bare_bot, core_shares, memory_of, time_python


def test_context_is_measured_beside_cp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "FILES", 20)
    monkeypatch.setattr(context, "BYTES", 1 << 20)
    result = context.measure(2)
    assert 0 < result.size <= 1 << 20
    assert all(len(times) == 2 and min(times) > 0 for times in (result.hashed, result.copied, result.peer))
    assert result.as_table().count("\n") == 4
    assert "| `cp -r` |" in result.as_table()
    assert result.as_table().endswith("| 1.00 |")


@pytest.mark.long
def test_each_turn_begins_from_nothing(private_daemon: PrivateDaemon, tmp_path: Path) -> None:
    result = services.measure(Engine(private_daemon.docker_host, private_daemon), tmp_path, 2, sizes=(1,))
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in result.taken.values())


@pytest.mark.long
async def test_libraries_alone_sync_a_command_and_rest(tmp_path: Path) -> None:
    async with bare_bot(tmp_path / "bare.log") as bare:
        assert bare.start_seconds > 0
        assert 30 < memory_of(bare.pid) < 200
        (share,) = await core_shares(bare.pid, seconds=0.5)
        assert 0 <= share < 50
    assert not Path(f"/proc/{bare.pid}").exists()
    assert time_python() > 0
