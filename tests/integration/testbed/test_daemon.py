"""The private engine: alone on its bridge, restarted at will, gone without a trace."""

import json
import subprocess
from pathlib import Path

import pytest

from testbed.daemon import PrivateDaemon
from testbed.leftovers import is_running
from testbed.network import run
from testbed.waiting import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def running(private_daemon, docker_client, sample_image):
    sample_image("testbed/app:v1", healthcheck=True)
    container = docker_client.containers.run("testbed/app:v1", detach=True, ports={"8080/tcp": ("127.0.0.1", None)})
    yield container
    container.remove(force=True)


def health(container):
    container.reload()
    return container.attrs["State"]["Health"]["Status"]


def test_sample_container_healthy_and_serves_version(running):
    assert wait_until(lambda: health(running) == "healthy", 60)
    assert running.exec_run("wget -qO- http://127.0.0.1:8080/version").output == b"v1"


def test_containers_resolve_each_other_by_name(docker_client, sample_image):
    """Unknown names fail at once."""
    sample_image("testbed/app:v1", healthcheck=True)
    network = docker_client.networks.create("testbed-names")
    options = {"detach": True, "network": "testbed-names"}
    store = docker_client.containers.run("testbed/app:v1", name="testbed-store", **options)
    web = docker_client.containers.run("testbed/app:v1", **options)
    try:
        assert wait_until(lambda: health(store) == "healthy", 60)
        assert web.exec_run("wget -T 30 -qO- http://testbed-store:8080/version").output == b"v1"
        assert b"bad address" in web.exec_run("wget -T 5 -qO- http://nobody:8080/").output
    finally:
        for container in (web, store):
            container.remove(force=True)
        network.remove()


def default_bridge():
    return [link["ifindex"] for link in json.loads(run("ip", "-json", "link")) if link["ifname"] == "docker0"]


def test_restart_keeps_images_and_other_bridges(fresh_daemon):
    before = default_bridge()
    first = fresh_daemon.pid
    fresh_daemon.restart()
    fresh_daemon.restart(kill=True)
    assert fresh_daemon.pid != first
    assert fresh_daemon.answers()
    assert default_bridge() == before


def test_stalled_engine_answers_after_resume(fresh_daemon):
    fresh_daemon.pause()
    assert not fresh_daemon.answers(seconds=1)
    fresh_daemon.resume()
    assert fresh_daemon.answers()


def test_two_engines_isolated(private_daemon, fresh_daemon):
    assert not private_daemon.slot.range.overlaps(fresh_daemon.slot.range)
    assert private_daemon.docker_host != fresh_daemon.docker_host


def test_close_leaves_nothing(tmp_path):
    with PrivateDaemon(tmp_path / "engine") as daemon:
        from testbed.sample import sample_image

        client = daemon.client()
        sample_image(client, "testbed/app:v1")
        network = client.networks.create("left")
        container = client.containers.run("testbed/app:v1", detach=True, network="left")
        container.reload()
        inside = container.attrs["State"]["Pid"]
        client.close()
        slot, pid = daemon.slot, daemon.pid
    assert not is_running(inside)
    assert not is_running(pid)
    assert not slot.folder.exists()
    assert not (tmp_path / "engine" / "data").exists()
    links = run("ip", "-brief", "link").split()
    assert slot.name not in links
    assert f"br-{network.id[:12]}" not in links


def test_next_session_cleans_up_killed_one(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, sys, pathlib\n"
        "from testbed.daemon import PrivateDaemon\n"
        "from testbed.sample import sample_image\n"
        "daemon = PrivateDaemon(pathlib.Path(sys.argv[1])).__enter__()\n"
        "client = daemon.client()\n"
        "sample_image(client, 'testbed/app:v1')\n"
        "container = client.containers.run('testbed/app:v1', detach=True)\n"
        "container.reload()\n"
        "print(daemon.slot.number, daemon.pid, container.attrs['State']['Pid'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[3]
    import sys

    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "engine")],
        env={"PYTHONPATH": str(root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    number, pid, inside = map(int, done.stdout.split())
    assert is_running(pid)
    with PrivateDaemon(tmp_path / "next") as daemon:
        if daemon.slot.number != number:
            pytest.skip("another session took the slot first")
        assert not is_running(pid)
        assert not is_running(inside)
        assert not (tmp_path / "engine" / "data").exists()


def test_failed_start_shows_log(tmp_path):
    from testbed.slot_holder import DaemonError

    with (
        pytest.raises(DaemonError, match="no-such-driver"),
        PrivateDaemon(tmp_path / "engine", settings={"storage-driver": "no-such-driver"}),
    ):
        pass
