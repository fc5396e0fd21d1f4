"""The demo: it ends well when all goes as promised, badly when a promise is broken, and leaves nothing either way."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.engine, pytest.mark.wire, pytest.mark.timeout(180)]


@pytest.fixture
def environment(docker_host, tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "DISCORD_OPENAPI") if name in os.environ}
    return {**kept, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "DOCKER_HOST": docker_host, "COLUMNS": "200"}


@pytest.fixture
def leftovers(docker_client, tmp_path):
    """Return what a demo left on the engine or in its temporary folder."""

    def find():
        containers = [
            one.name for one in docker_client.containers.list(all=True, ignore_removed=True) if "roas-demo" in one.name
        ]
        networks = [one.name for one in docker_client.networks.list() if "roas-demo" in one.name]
        images = [tag for one in docker_client.images.list() for tag in one.tags if "roas-demo" in tag]
        return [*containers, *networks, *images, *map(str, tmp_path.glob("roas-demo-*"))]

    return find


def command(*arguments):
    return [sys.executable, "-m", "demo", *arguments]


def play(environment, *arguments):
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=170
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def playing(environment, *arguments):
    """Start a demo and yield it; it is ended whatever happens."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        process.stdout.close()


def read_until(process, pattern):
    """Return the first line that matches."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return line
    pytest.fail(f"never said {pattern!r}:\n{''.join(seen)}")


def test_the_main_job_is_shown_and_proved(environment, leftovers):
    code, said = play(environment)
    assert code == 0, said
    assert "All 5 steps went as promised" in said
    assert said.count("Docker shows:") == 5
    assert leftovers() == []


def test_a_v3_that_is_healthy_fails_the_demo(environment, leftovers):
    code, said = play(environment, "--plant", "v3-healthy")
    assert code == 1, said
    assert "should end with" in said
    assert leftovers() == []


def test_a_v2_that_does_not_come_up_fails_the_demo(environment, leftovers):
    code, said = play(environment, "--plant", "v2-broken")
    assert code == 1, said
    assert "should end with" in said
    assert leftovers() == []


def test_ctrl_c_in_the_middle_clears_everything_away(environment, leftovers):
    with playing(environment) as process:
        read_until(process, "Docker shows:")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 130, rest
        assert "Everything was cleared away" in rest
    assert leftovers() == []


def test_keep_stays_up_and_says_where_the_page_is(environment, leftovers):
    with playing(environment, "--keep") as process:
        address = re.search(r"http://\S+", read_until(process, "The channel:")).group()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address, timeout=10) as page:
            assert page.status == 200
        assert process.poll() is None
    assert leftovers() == []


def test_without_an_engine_it_says_what_to_do(environment):
    code, said = play({**environment, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert code == 69, said
    assert "unset DOCKER_HOST" in said
