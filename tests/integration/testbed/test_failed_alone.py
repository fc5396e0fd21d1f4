"""What failed beside other tests is asked once more, alone, by script/test: a few of them, and in plain sight."""

import pytest

from tests.integration.testbed.script_project import make_project, run_fast_lane

FAILS_FIRST = """
from pathlib import Path

import pytest

# A tool that every other test uses: where it fails, they do.
pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", {names})
def test_it(name):
    seen = Path("seen " + name)
    first = not seen.exists()
    seen.touch()
    assert {passes}
"""


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project")


def run(project, names, passes, workers=1, files=1):
    for n in range(files):
        name = "test_it.py" if n == 0 else f"test_it_{n}.py"
        (project / "tests" / name).write_text(FAILS_FIRST.format(names=names, passes=passes))
    return run_fast_lane(project, project.parent / "cache", workers)


def test_what_passes_alone_passes_and_is_named(project):
    code, said, _ = run(project, ["a b", "c"], "not first or name == 'c'")
    assert code == 0, said
    assert "tests/test_it.py::test_it[a b] failed beside other tests and passed alone" in said
    assert "[c] failed" not in said
    assert said.count("= FAILURES =") == 1  # the first failure is there to be read


@pytest.mark.long
def test_what_fails_again_fails(project):
    code, said, faults = run(project, ["a"], "False", workers=0)
    assert code == 1
    assert said.count("= FAILURES =") == 2
    assert "Failed: pytest" in faults


def test_fixture_that_failed_for_many_is_one_fault(project):
    code, said, _ = run(project, list("abcdefghij"), "not first", workers=0)
    assert code == 0, said
    assert said.count("failed beside other tests and passed alone") == 10


@pytest.mark.long
def test_more_than_a_few_files_are_not_asked_again(project):
    code, said, _ = run(project, ["a"], "'test_it' not in __file__", workers=0, files=9)
    assert code == 1
    assert "once more" not in said


@pytest.mark.long
def test_nothing_is_asked_again_where_all_passed(project):
    code, said, _ = run(project, ["a"], "True", workers=0)
    assert code == 0
    assert "once more" not in said
    assert "passed alone" not in said


def test_what_is_not_run_is_said_in_the_end(project):
    """Whoever reads that all passed reads which claims nobody looked at."""
    (project / "tests" / "test_it.py").write_text("""
import pytest

@pytest.mark.parametrize("n", range(3))
def test_it(n):
    if n:
        pytest.skip("Python 3.11 is not on this machine")
""")
    code, said, _ = run_fast_lane(project, project.parent / "cache")
    assert (code, said.splitlines()[-2:]) == (
        0,
        ["All checks passed.", "Not run: Python 3.11 is not on this machine (tests: 2)"],
    )
