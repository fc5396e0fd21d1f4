"""Images without a registry: what is in them, and how the sample app behaves."""

import shutil

import pytest

from testbed.busybox import busybox
from testbed.rootfs import is_static
from testbed.waiting import wait_until

pytestmark = pytest.mark.long


def test_busybox_is_static(docker_client):
    assert is_static(busybox(docker_client))


def test_packaged_busybox_used_as_fallback(docker_client, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    which = shutil.which
    monkeypatch.setattr("testbed.busybox.shutil.which", lambda name: None if name == "busybox" else which(name))
    found = busybox(docker_client)
    assert found.is_relative_to(tmp_path)
    assert is_static(found)


@pytest.fixture
def run(docker_client, sample_image):
    started = []

    def start(behaviour, **options):
        sample_image(f"testbed/{behaviour}:v1", behaviour=behaviour, healthcheck=True, **options)
        started.append(docker_client.containers.run(f"testbed/{behaviour}:v1", detach=True))
        return started[-1]

    yield start
    for container in started:
        container.remove(force=True)


def state(container):
    container.reload()
    return container.attrs["State"]


def health(container):
    return state(container)["Health"]["Status"]


@pytest.mark.parametrize(("behaviour", "code"), [("exits", 3), ("ends", 0)])
def test_sample_app_ends(run, behaviour, code):
    container = run(behaviour)
    assert wait_until(lambda: state(container)["Status"] == "exited", 10)
    assert state(container)["ExitCode"] == code


def test_slow_sample_app_healthy_later(run):
    container = run("slow", delay_seconds=0.5)
    assert health(container) == "starting"
    assert wait_until(lambda: health(container) == "healthy", 10)


def test_fading_sample_app_healthy_first(run):
    container = run("fades", delay_seconds=1)
    assert wait_until(lambda: health(container) == "healthy", 10)
    assert wait_until(lambda: health(container) == "unhealthy", 20)


def test_sample_app_stops_at_once_on_request(run):
    container = run("healthy")
    # Until its init listens, a signal is lost: nothing stops at once that has not begun.
    assert wait_until(lambda: b"sample app" in container.logs(), 10)
    container.stop(timeout=10)
    assert state(container)["ExitCode"] == 0, container.logs()


def test_missing_registry_noticed_soon(docker_client):
    from testbed.images import pull_if_reachable

    assert not pull_if_reachable(docker_client, "127.0.0.1:1/nobody/nothing:v1")
