"""One way to break the product, and the tests of which one should fail."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace one piece of a file, and name the tests of which one should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def mutation(name: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    """Write a mutation down."""
    return Mutation(name, file, old, new, tests)
