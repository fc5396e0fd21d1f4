"""The campaign of mutations says what tests catch, and leaves the files as they were."""

from campaigns.mutations.__main__ import is_caught
from campaigns.mutations.mutations import Mutation

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
