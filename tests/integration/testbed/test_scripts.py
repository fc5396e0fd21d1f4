"""The scripts: harmless when there is nothing to do, plain about what they do not know."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = {"container-pass-signals", "container-roas"}
SCRIPTS = [*sorted((ROOT / "script").iterdir()), ROOT / ".ci" / "run"]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("script", [path for path in SCRIPTS if path.name not in PYTHON], ids=str)
def test_scripts_parse(script):
    shell = script.read_text().splitlines()[0].rpartition("/")[2].removeprefix("env ")
    assert run(shell, "-n", str(script)).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts_executable(script):
    assert script.stat().st_mode & 0o111


def test_second_bootstrap_quick_and_quiet():
    began = time.monotonic()
    done = run("script/bootstrap", "--test")
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert time.monotonic() - began < 10


@pytest.mark.long
def test_next_clone_takes_over_what_was_installed(tmp_path):
    """Also where it is taken over again; the environment that was there first stays as it is."""
    for clone in ("first", "second", "third"):
        folder = tmp_path / clone
        (folder / "script").mkdir(parents=True)
        shutil.copy(ROOT / "script" / "bootstrap", folder / "script")
        (folder / "requirements-dev.lock").touch()
        command = [folder / "script" / "bootstrap"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        assert ("installing" in done.stderr) is (clone == "first")
        (kept,) = tmp_path.glob("cache/roas-bot/venv-*")
        (kept / "mark").touch()
    assert not (tmp_path / "first" / ".venv" / "mark").exists()
    for clone in ("first", "second", "third"):
        folder = tmp_path / clone / ".venv"
        assert (folder / "bin" / "pip").read_text().startswith(f"#!{folder}/bin/python")
        assert str(folder) in (folder / "pyvenv.cfg").read_text()
    assert (folder / "mark").exists()
    said = subprocess.run(
        [folder / "bin" / "pip", "--version"], capture_output=True, text=True, check=True, timeout=100
    )
    assert f"from {folder}/" in said.stdout


def test_unknown_option_refused():
    done = run("script/bootstrap", "--everything")
    assert done.returncode == 1
    assert "unknown option: --everything" in done.stderr


def test_lanes_exclude_each_other():
    done = run("script/test", "--fast", "--long")
    assert done.returncode == 2
    assert "choose one lane" in done.stderr


@pytest.mark.parametrize(("lane", "kept"), [((), False), (("--long",), True)], ids=["default", "long"])
def test_long_tests_run_in_long_lane_only(lane, kept):
    files = ("tests/e2e/campaigns/test_swarm.py", "tests/e2e/campaigns/test_corpus.py")  # they import little
    listed = run(sys.executable, "-m", "pytest", "--collect-only", "-q", *files, *lane)
    assert ("test_each_end_is_honest" in listed.stdout) is kept
    assert "test_sample_of_stacks_is_taken_over" in listed.stdout
