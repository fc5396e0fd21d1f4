"""A program that is started with its modules loaded is a process like any other."""

import json
import os
import signal
import subprocess

import pytest

from roas.cli import COMMANDS
from testbed.preloaded import PreloadedPopen, can_be_preloaded

# A tool that every other test uses: where it fails, they do.
pytestmark = pytest.mark.long

OWN = {"PATH": "/usr/bin:/bin", "WHO": "dora"}


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*arguments, module="shown_process"):
        command = [f"tests.integration.testbed.{module}", *arguments]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(PreloadedPopen(command, cwd=tmp_path, env=OWN, text=True, **pipes))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_program_gets_what_was_asked_for(start, tmp_path):
    child = start("one", "two words")
    out, err = child.communicate("go on\n", timeout=60)
    shown = json.loads(out)
    assert (shown["arguments"], shown["environment"]) == (["one", "two words"], OWN)
    assert (shown["folder"], shown["parent"]) == (str(tmp_path), os.getpid())
    assert (shown["files"], shown["threads"]) == ([0, 1, 2], 1)
    assert (err, child.returncode) == ("said beside\n", 7)


def test_what_commands_and_the_bot_need_is_loaded(start):
    needed = {f"roas.cli.{module}" for module, _ in (place.split(":") for place, _ in COMMANDS.values())}
    loaded = json.loads(start().communicate("\n", timeout=60)[0])["loaded"]
    assert needed | {"roas.service"} <= set(loaded)


def test_programs_share_nothing(start):
    shown = [json.loads(start().communicate("\n", timeout=60)[0]) for _ in range(2)]
    assert shown[0]["random"] != shown[1]["random"]


def test_signals_reach_the_program(start):
    child = start()
    assert child.stdout.readline()
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    other = start()
    assert other.stdout.readline()
    other.send_signal(signal.SIGINT)
    out, err = other.communicate(timeout=60)
    assert (other.returncode, "KeyboardInterrupt" in err) == (-signal.SIGINT, True), out


@pytest.mark.parametrize(
    ("how", "code", "out", "err"),
    [
        ("returns", 0, "begun\nthe thread's word\nthe last word\n", ""),
        ("exits", 9, "begun\nthe thread's word\nthe last word\n", ""),
        ("says", 1, "begun\nthe thread's word\nthe last word\n", "said at the end"),
        ("raises", 1, "begun\nthe thread's word\nthe last word\n", "ValueError: raised"),
        ("closes", 0, "begun\n", ""),
    ],
)
def test_program_ends_as_under_python(start, how, code, out, err):
    """Its threads are waited for, what it wished to do at its end is done, and what it wrote last is written."""
    ends = start(how, module="ending_process")
    said = ends.communicate(timeout=60)
    assert (ends.returncode, said[0]) == (code, out)
    assert err in said[1] if err else said[1] == ""


def test_nobody_reads_the_last_words(start):
    ends = start("returns", module="ending_process")
    ends.stdout.close()
    _, err = ends.communicate(timeout=60)
    assert (ends.returncode, "BrokenPipeError" in err) == (120, True)


@pytest.mark.parametrize(("variable", "can"), [("PYTHONPATH", True), ("PYTHONWARNINGS", False), ("HOME", True)])
def test_told_how_python_starts_is_not_preloaded(variable, can):
    assert can_be_preloaded({variable: "x"}) is can
