"""Each check of a release fails on what it is there for."""

import zipfile
from pathlib import Path

import pytest

from tools.release import traces, wheel
from tools.release.changelog import notes
from tools.release.errors import ReleaseError

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-01-02

### Added

- A thing.

## [1.1.0]

- Older.

## [1.0.0] - 2025-01-01

[1.2.0]: https://example.com/1.2.0
"""
METADATA = "Metadata-Version: 2.4\nName: roas-bot\nVersion: 1.2.0\nLicense-Expression: MIT\n"
MAIN = "import sys\nprint('roas', '1.2.0')\n"
GOOD = {
    "roas/__init__.py": "",
    "roas/__main__.py": MAIN,
    "roas/py.typed": "",
    "roas/ui/locale/zh_TW/LC_MESSAGES/roas.mo": "x",
    "roas_bot-1.2.0.dist-info/METADATA": METADATA,
    "roas_bot-1.2.0.dist-info/licenses/LICENSE": "MIT",
    "roas_bot-1.2.0.dist-info/entry_points.txt": "[console_scripts]\nroas = roas.__main__:run\n",
}


def make(path: Path, files: dict[str, str | None]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (GOOD | files).items():
            if text is not None:
                archive.writestr(name, text)
    return path


def faults(tmp_path: Path, files: dict[str, str | None]) -> list[str]:
    return list(wheel.faults(make(tmp_path / "one.whl", files), make(tmp_path / "two.whl", files)))


def test_good_wheel_has_no_fault(tmp_path: Path):
    assert faults(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"bot/__init__.py": ""}, "top-level names are bot, roas"),
        ({"roas/py.typed": None}, "py.typed is missing"),
        ({"roas/ui/locale/zh_TW/LC_MESSAGES/roas.mo": None}, "no compiled catalogue"),
        ({"roas/tests/test_x.py": ""}, "is a test"),
        ({"roas_bot-1.2.0.dist-info/licenses/LICENSE": None}, "LICENSE is missing"),
        ({"roas_bot-1.2.0.dist-info/entry_points.txt": "[console_scripts]\n"}, "no console script"),
        ({"roas/__main__.py": "print('roas 1.1.0')"}, "prints '1.1.0'"),
        ({"roas/__main__.py": "raise SystemExit('broken')"}, "prints 'broken'"),
        ({"roas_bot-1.2.0.dist-info/METADATA": METADATA.replace("MIT", "GPL-3.0")}, "not MIT"),
    ],
)
def test_fault_of_a_wheel_is_named(tmp_path: Path, files: dict[str, str | None], said: str):
    found = faults(tmp_path, files)
    assert len(found) == 1
    assert said in found[0]


def test_wheel_that_the_sdist_changes_is_named(tmp_path: Path):
    one = make(tmp_path / "one.whl", {})
    found = list(wheel.faults(one, make(tmp_path / "two.whl", {"roas/lost.py": ""})))
    assert len(found) == 1
    assert "roas/lost.py" in found[0]


def test_notes_are_those_of_the_version():
    assert notes(CHANGELOG, "1.2.0") == "# ROAS Bot 1.2.0\n\n### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("version", "said"), [("2.0.0", "has no entry"), ("1.1.0", "has no date"), ("1.0.0", "has no entry")]
)
def test_version_without_notes_is_refused(version: str, said: str):
    with pytest.raises(ReleaseError, match=said):
        notes(CHANGELOG, version)


def test_unreleased_entries_stop_all_but_a_snapshot():
    changelog = CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n- New.\n")
    with pytest.raises(ReleaseError, match="Unreleased"):
        notes(changelog, "1.2.0")
    assert "A thing" in notes(changelog, "1.2.0", snapshot=True)


def test_traces_of_the_machine_are_found_in_archives(tmp_path: Path):
    one = make(tmp_path / "one.whl", {"roas/x.py": "PATH = '/home/somebody/roas'"})
    assert list(traces.found_in(one, {"/home/somebody", "packages.example"})) == [
        "one.whl: roas/x.py holds '/home/somebody', which belongs to this machine"
    ]


def test_index_of_this_machine_is_a_trace(tmp_path: Path):
    told = {"PIP_INDEX_URL": "https://user:word@packages.example/simple", "UV_INDEX_URL": "https://pypi.org/simple"}
    found = traces.traces(tmp_path, told)
    assert "packages.example" in found
    assert "pypi.org" not in found
