"""What script/release makes of this repository is fit to be published, as it stands there."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "tools.release", "--snapshot", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Nothing was uploaded" in done.stdout
    return output


def test_wheel_holds_the_package_alone(made: Path):
    (path,) = made.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (top,) = [name for name in names if name.endswith("/top_level.txt")]
        assert archive.read(top).decode().split() == ["roas"]
    assert {name.partition("/")[0] for name in names} - {top.partition("/")[0]} == {"roas"}
    assert "roas/py.typed" in names


def test_sdist_holds_what_builds_the_wheel(made: Path):
    (path,) = made.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "roas/__init__.py"} <= names
    assert [name for name in names if name.startswith(("tests", "sandbox"))] == []


def test_checksums_are_those_of_the_files(made: Path):
    lines = (made / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        told, name = line.split("  ")
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == told


def test_sbom_names_every_locked_package(made: Path):
    (path,) = made.glob("*.cdx.json")
    document = json.loads(path.read_text())
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "roas-bot")
    pinned = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(pinned) > 20
    assert {(item["name"], item["version"]) for item in document["components"]} == set(pinned)
    assert all(item["externalReferences"] for item in document["components"])
