"""Single services are stopped, started and restarted by what a person types; `status` says by whom and why."""

from tests.e2e.cli.conftest import CommandLine


def test_stop_status_start_and_restart(on_v1: CommandLine) -> None:
    refused = on_v1.run("stop", "dev", "nobody")
    assert refused.returncode == 2
    assert "has no service nobody" in refused.stderr
    stopped = on_v1.run("stop", "dev", "database", "--reason", "moving house")
    assert stopped.returncode == 0, stopped.stderr
    assert "web needs database, and goes on without." in stopped.stdout
    assert on_v1.running().keys() == {"web"}
    assert "moving house" in on_v1.run("status", "dev").stdout
    document = on_v1.document("restart", "dev", "web", code=1)
    assert document["outcome"] == "failed", "what web needs does not run, and nobody asked for that"
    assert "needs database" in document["problem"]["message"]
    assert on_v1.run("start", "dev", "database").returncode == 0
    assert on_v1.running() == {"database": "v1", "web": "v1"}
    assert "moving house" not in on_v1.run("status", "dev").stdout
