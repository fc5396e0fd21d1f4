"""What a release runs on is described completely, and the same each time."""

import json
from pathlib import Path

import pytest

from tools.release.errors import ReleaseError
from tools.release.sbom import debian_packages, describe_release

LOCK = (Path(__file__).resolve().parents[3] / "requirements.lock").read_text()


def test_same_release_gives_same_document():
    assert describe_release("1.0", LOCK, "1700000000") == describe_release("1.0", LOCK, "1700000000")


def test_marker_and_hashes_of_a_package_kept():
    hashes = " \\\n    ".join(f"--hash=sha256:{digit * 64}" for digit in "01")
    lock = f"# comment\na==1.0 ; python_version >= '3.13' \\\n    {hashes}\n"
    (one,) = json.loads(describe_release("1.0", lock, "0"))["components"]
    assert (one["name"], one["purl"], len(one["externalReferences"])) == ("a", "pkg:pypi/a@1.0", 2)
    assert "3.13" in one["properties"][0]["value"]


@pytest.mark.parametrize("lock", ["a>=1.0 --hash=sha256:" + "0" * 64, "a==1.0", "a b c"])
def test_package_that_is_not_pinned_is_a_fault(lock: str):
    with pytest.raises(ReleaseError, match=r"requirements\.lock"):
        describe_release("1.0", lock, "0")


def test_packages_of_debian_listed():
    listed = "libc6 2.41-12 amd64 installed\ngone 1 all config-files\nlib+x 1:2+b1 all installed\n"
    assert [debian_package["purl"] for debian_package in debian_packages(listed)] == [
        "pkg:deb/debian/libc6@2.41-12?arch=amd64",
        "pkg:deb/debian/lib%2Bx@1%3A2%2Bb1?arch=all",
    ]
