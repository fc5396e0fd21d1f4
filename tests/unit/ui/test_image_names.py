"""An image is shown by the name that people know, also where a container has the bot's own name of it."""

import pytest

from roas.cli.output import image as on_terminal
from roas.stack.images.readable_names import readable_reference
from roas.ui.formatting import image, image_change

ID = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64


@pytest.mark.parametrize(
    ("reference", "shown", "in_full"),
    [
        ("shop/web:1.2", "web:1.2", "shop/web:1.2"),
        ("ghcr.io/team/app:v1", "app:v1", "team/app:v1"),
        ("nginx", "nginx:latest", "nginx:latest"),
    ],
)
def test_own_name_shown_as_people_know_it(reference: str, shown: str, in_full: str) -> None:
    own = readable_reference(reference, ID)
    assert (image(own), on_terminal(own)) == (shown, in_full)


@pytest.mark.parametrize("reference", ["roas/tool:v1", "roas-bot:1.0-abc", "team/app:v1-0123456789ab"])
def test_other_names_stay(reference: str) -> None:
    assert image(reference) == reference.rpartition("/")[2]
    assert on_terminal(reference) == reference


def test_change_from_own_name_is_no_change_of_registry() -> None:
    """After a bot was killed in the middle, what runs is compared with what its release has."""
    for reference in ("shop/web", "ghcr.io/shop/web"):
        old = readable_reference(f"{reference}:1.2", ID)
        assert image_change(old, f"{reference}:1.1") == "1.2 → 1.1"
        assert image_change(old, readable_reference(f"{reference}:1.1", OTHER)) == "1.2 → 1.1"
    told = image_change(readable_reference("shop/web:1.2", ID), "shop/other:1.2")
    assert told == "shop/web:1.2 → shop/other:1.2"
    assert image_change("shop/web:1", "evil.example/shop/web:1") == "shop/web:1 → evil.example/shop/web:1"


@pytest.mark.parametrize(
    ("new", "shown"),
    [
        ("registry.example/theirs/redis:7", "registry.example/theirs/redis:7"),
        (f"localhost:5000/theirs/redis:7@{ID}", "localhost:5000/theirs/redis:7"),
        (f"registry.example/theirs/redis@{ID}", f"registry.example/theirs/redis@{ID[7:19]}"),
        ("redis:7", "redis:7"),
        (ID, ID[7:19]),
    ],
)
def test_new_service_shows_whose_image_it_is(new: str, shown: str) -> None:
    assert image_change(None, new) == shown
