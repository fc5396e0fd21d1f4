"""Which engine is used, and what is said where there is none."""

import pytest

from testbed import engine


@pytest.fixture(autouse=True)
def no_engine(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "answers", lambda _host: False)


def choose(tmp_path):
    with engine.find_or_start_engine(tmp_path) as found:
        return found


def test_docker_host_engine_preferred(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere/docker.sock")
    monkeypatch.setattr(engine, "answers", lambda host: host == "unix:///somewhere/docker.sock")
    assert choose(tmp_path) == engine.Engine("unix:///somewhere/docker.sock")


def test_unresponsive_docker_host_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(engine.NoEngineError, match="unset DOCKER_HOST"):
        choose(tmp_path)


def test_missing_docker_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.shutil, "which", lambda _name: None)
    with pytest.raises(engine.NoEngineError, match="script/bootstrap --engine"):
        choose(tmp_path)


def test_missing_root_says_how_to_start_docker(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.shutil, "which", lambda _name: "/usr/sbin/dockerd")
    monkeypatch.setattr(engine.os, "geteuid", lambda: 1000)
    with pytest.raises(engine.NoEngineError, match="systemctl start docker"):
        choose(tmp_path)
