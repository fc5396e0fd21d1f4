"""What engines and Compose say of their version is compared by its numbers."""

import pytest

from roas.validation.versions import numbers_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1.44", (1, 44)),
        ("v2.40.0", (2, 40, 0)),
        ("2.26.1-4", (2, 26, 1)),
        ("26.1.5+dfsg1", (26, 1, 5)),
        ("2.40.3~ds1-1", (2, 40, 3)),
        ("29", (29,)),
        ("dev", ()),
        ("2.x", ()),
        ("", ()),
    ],
)
def test_numbers_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert numbers_of(text) == numbers


def test_numbers_compare_as_versions() -> None:
    assert numbers_of("2.9") < numbers_of("2.20") <= numbers_of("2.20.0")
