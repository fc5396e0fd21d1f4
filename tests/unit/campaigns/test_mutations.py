"""The campaign of mutations says what tests catch, and leaves the files as they were."""

from pathlib import Path

import pytest

from campaigns.mutations.__main__ import is_caught
from campaigns.mutations.mutation import Mutation
from campaigns.mutations.mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = "answer = 42  # asked for\n"
TEST = """
from pathlib import Path

def test_answer():
    assert Path("product.py").read_text().startswith("answer = 42")
"""


def test_mutations_are_caught_or_survive(tmp_path, capsys):
    product = tmp_path / "product.py"
    product.write_text(PRODUCT)
    (tmp_path / "test_product.py").write_text(TEST)

    def tried(old: str, new: str) -> bool:
        return is_caught(Mutation(new, "product.py", old, new, ("test_product.py",)), tmp_path)

    assert tried("42", "43")
    assert not tried("asked for", "a guess")
    assert not tried("nowhere", "anywhere")
    assert product.read_text() == PRODUCT
    caught, survived, impossible = capsys.readouterr().out.splitlines()
    assert caught.startswith("caught")
    assert "test_product.py::test_answer" in caught
    assert survived.startswith("SURVIVED")
    assert impossible.startswith("CANNOT BE MADE")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_every_mutation_can_be_made(mutation: Mutation):
    """A change of the product may have moved what a mutation replaces."""
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    files = [test.partition("::")[0] for test in mutation.tests if test.startswith("tests/")]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
