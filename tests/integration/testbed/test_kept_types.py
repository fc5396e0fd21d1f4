"""What mypy found out of a clone is known in the next one, by script/test; of a clone that has faults nothing is."""

import sys

import pytest

from tests.integration.testbed.script_project import executable, make_project, run_fast_lane

pytestmark = pytest.mark.long

# As mypy does, in short: find all out where nothing is known, and remember it.
COUNTS = "mkdir -p .mypy_cache && echo known >> .mypy_cache/files && wc -l < .mypy_cache/files && exit {code}"


@pytest.fixture
def run_in_new_clone(tmp_path):
    """Give `run(name, code)`: run the lane in a new clone, and return how often mypy has been there; it ends so."""

    def run(name, code=0):
        clone = make_project(tmp_path / name)
        executable(clone / ".venv" / "bin" / "mypy", COUNTS.format(code=code))
        no_test = f'test "$2" = pytest || exec {sys.executable} "$@"'
        executable(clone / ".venv" / "bin" / "python", no_test)
        ended, said, _ = run_fast_lane(clone, tmp_path / "cache")
        assert bool(ended) is bool(code), said
        return int(said.partition("── mypy\n")[2].split()[0])

    return run


def test_new_clone_takes_over_what_is_known(run_in_new_clone):
    assert [run_in_new_clone("one"), run_in_new_clone("two"), run_in_new_clone("three")] == [1, 2, 3]


def test_faulty_clone_leaves_nothing(run_in_new_clone, tmp_path):
    assert [run_in_new_clone("faulty", code=1), run_in_new_clone("good")] == [1, 1]
    assert [path.name for path in (tmp_path / "cache" / "roas-bot").glob("mypy*")] == ["mypy"]
