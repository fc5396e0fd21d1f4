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

from testbed.cache import cache_folder

ROOT = Path(__file__).parents[3]
# What the demo may inherit; the rest is what building the bot's image needs to reach a package index from here.
KEPT = ("PATH", "DOCKER_CONFIG", "DISCORD_OPENAPI", "PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
pytestmark = [pytest.mark.wire, pytest.mark.timeout(480)]


@pytest.fixture
def environment(building_engine, tmp_path):
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    own = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(cache_folder().parent)}
    return {**kept, **own, "DOCKER_HOST": building_engine.docker_host, "COLUMNS": "200"}


@pytest.fixture
def leftovers(building_engine, tmp_path):
    """Return what a demo left on the engine or in its temporary folder."""
    client = building_engine.client()

    def find():
        containers = [container.name for container in client.containers.list(all=True, ignore_removed=True)]
        networks = [network.name for network in client.networks.list()]
        images = [tag for image in client.images.list() for tag in image.tags]
        made = [name for name in (*containers, *networks, *images) if "roas-demo" in name]
        return [*made, *map(str, tmp_path.glob("roas-demo-*"))]

    yield find
    client.close()


def command(*arguments):
    return [sys.executable, "-m", "demo", *arguments]


def play(environment, *arguments, seconds=170):
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=seconds
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
    """Return all that was said up to the first line that matches."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return "".join(seen)
    pytest.fail(f"never said {pattern!r}:\n{''.join(seen)}")


def test_demo_passes_and_keep_leaves_it_running(environment, leftovers):
    with playing(environment, "--keep") as process:
        answer_text = read_until(process, "The channel:")
        assert "All 8 steps went as promised" in answer_text
        assert answer_text.count("Docker shows:") == 8
        assert "one bot runs v2" in answer_text
        assert "How long nobody was listening while the bot was replaced: never." in answer_text
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(re.search(r"http://\S+", answer_text).group(), timeout=10) as page:
            assert page.status == 200
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stdout.read()
    assert leftovers() == []


@pytest.mark.long
@pytest.mark.parametrize("plant", ["v3-healthy", "v2-broken"])
def test_version_that_is_not_as_told_fails_demo(environment, leftovers, plant):
    code, answer_text = play(environment, "--plant", plant)
    assert code == 1, answer_text
    assert "should end with" in answer_text
    assert leftovers() == []


@pytest.mark.long
@pytest.mark.timeout(400)
def test_swarm_loses_the_leader_and_keeps_its_promises(environment, leftovers):
    code, answer_text = play(environment, "--swarm", seconds=380)
    assert code == 0, answer_text
    assert "All 6 steps went as promised" in answer_text
    (lost,) = re.findall(r"(node\d) is dead: its engine, all its containers, and the bot that led", answer_text)
    assert answer_text.index(f"{lost} is dead") < answer_text.index("web runs v2, on")
    assert re.search(rf"After the death of {lost}: Swarm noticed in .* the bot on node\d led in", answer_text)
    assert leftovers() == []


@pytest.mark.long
def test_unresponsive_new_bot_fails_demo(environment, leftovers):
    code, answer_text = play(environment, "--plant", "bot-v2-deaf")
    assert code == 1, answer_text
    assert re.search(r"[1-9]\d* were never answered", answer_text), answer_text
    assert "nobody was listening for" in answer_text
    assert leftovers() == []


@pytest.mark.long
def test_ctrl_c_cleans_up(environment, leftovers):
    with playing(environment) as process:
        read_until(process, "the bot in a container, as project")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 130, rest
        assert "Everything was cleared away" in rest
    assert leftovers() == []


def test_missing_engine_says_what_to_do(environment):
    code, answer_text = play({**environment, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert code == 69, answer_text
    assert "unset DOCKER_HOST" in answer_text
