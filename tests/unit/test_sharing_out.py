"""What is said of files, by which tests are shared out, is still true of the files that there are."""

from collections import Counter
from pathlib import Path

import pytest

from tests.sharing_out import LAST, LONGEST, TOGETHER, scope_of

ROOT = Path(__file__).parents[2]
FILES = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]


@pytest.mark.parametrize("path", sorted({*LONGEST, *(path for paths in TOGETHER for path in paths)}))
def test_named_tests_exist(path: str):
    assert any(file.startswith(path) for file in FILES)


def test_handovers_share_an_engine():
    scopes = Counter(scope_of(f"{file}::test_x") for file in FILES if file.startswith("tests/e2e/handover/"))
    assert scopes.pop(LAST) == 1, "what is alone comes last"
    assert len(scopes) == 1
    assert scope_of("tests/unit/ui/test_limits.py::test_x[a::b]") == "tests/unit/ui/test_limits.py"
