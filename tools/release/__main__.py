"""`tools.release`: make and check wheel, sdist, notes, SBOM and image of the version that the code says it is."""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.release import distributions, image, sbom, traces, wheel
from tools.release.changelog import notes
from tools.release.errors import ReleaseError
from tools.release.source import commit_time, export, scrubbed_environment

ROOT = Path(__file__).resolve().parents[2]
NOTES = "release-notes.md"
LOCK = "requirements.lock"
EXPECTED = ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml")


def main() -> int:
    """Read the command line, make and check everything, and return the exit code."""
    parser = argparse.ArgumentParser(prog="script/release", description=__doc__)
    parser.add_argument("--image", action="store_true", help="build and check the image, too (needs Docker)")
    parser.add_argument(
        "--build-option", action="append", default=[], metavar="OPTION", help="an option for `docker build`, as it is"
    )
    parser.add_argument(
        "--snapshot", action="store_true", help="try it: uncommitted files and entries under Unreleased are no fault"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to put it (default: dist/)")
    arguments = parser.parse_args()
    try:
        made = release(ROOT, arguments.output, snapshot=arguments.snapshot)
        version = wheel.metadata(next(path for path in made if path.suffix == ".whl"))["Version"]
        if arguments.image:
            made_image, described = release_image(ROOT, version, arguments.build_option, snapshot=arguments.snapshot)
            made = [*made, _put_beside(f"roas-bot-{version}-image.cdx.json", described, arguments.output)]
            print(f"image {made_image}")
    except ReleaseError as error:
        print(f"release: not fit to be published:\n{error}", file=sys.stderr)
        return 1
    for path in made:
        print(path)
    print(f"Version {version} is checked. Nothing was uploaded.")
    return 0


def release(root: Path, output: Path, *, snapshot: bool) -> list[Path]:
    """Make and check sdist, wheel, notes and their checksums, and put them into a folder. Raises ReleaseError."""
    with tempfile.TemporaryDirectory(prefix="roas-release-") as scratch:
        folder = Path(scratch)
        source = folder / "source"
        export(root, source, snapshot=snapshot)
        text = (source / "CHANGELOG.md").read_text(encoding="utf-8")
        built = distributions.build(source, folder, commit_time(root))
        version = wheel.metadata(built.wheel)["Version"]
        written = built.wheel.with_name(NOTES)
        written.write_text(notes(text, version, snapshot=snapshot), encoding="utf-8")
        parts = built.wheel.with_name(f"roas-bot-{version}.cdx.json")
        lock = (source / LOCK).read_text(encoding="utf-8")
        parts.write_text(sbom.describe_release(version, lock, commit_time(root)), encoding="utf-8")
        made = [built.wheel, built.sdist, written, parts]
        _check(built, made, traces.traces(root))
        return _put(made, output)


def release_image(root: Path, version: str, options: list[str], *, snapshot: bool) -> tuple[str, str]:
    """Build and check the image, and return its tag and its SBOM. Raises ReleaseError."""
    with tempfile.TemporaryDirectory(prefix="roas-release-") as scratch:
        source = Path(scratch) / "source"
        export(root, source, snapshot=snapshot)
        tag = image.build_image(source, version, options)
        lock = (source / LOCK).read_text(encoding="utf-8")
    if faults := list(image.faults(tag, version, traces.traces(root))):
        raise ReleaseError(*faults)
    return tag, sbom.describe_image(tag, version, lock, commit_time(root))


def _put_beside(name: str, text: str, output: Path) -> Path:
    """Add one more file, and its checksum, to those that were put there."""
    path, sums = output / name, output / "SHA256SUMS"
    path.write_text(text, encoding="utf-8")
    with sums.open("a", encoding="utf-8") as file:
        file.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    return path


def _check(built: distributions.Distributions, made: list[Path], unwanted: set[str]) -> None:
    """Raise ReleaseError that names every fault."""
    faults = list(wheel.faults(built.wheel, built.direct_wheel))
    faults += [f"sdist: {name} is missing" for name in EXPECTED if name not in _names(built.sdist)]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)],
        env=scrubbed_environment(NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode != 0:
        faults.append(f"twine check --strict:\n{(checked.stdout + checked.stderr).strip()}")
    faults += [fault for path in made for fault in traces.found_in(path, unwanted)]
    if faults:
        raise ReleaseError(*faults)


def _names(sdist: Path) -> set[str]:
    return set(distributions.sdist_names(sdist))


def _put(made: list[Path], output: Path) -> list[Path]:
    output.mkdir(parents=True, exist_ok=True)
    placed = [Path(shutil.copy(path, output)) for path in made]
    sums = output / "SHA256SUMS"
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in placed)
    sums.write_text("".join(lines), encoding="utf-8")
    return [*placed, sums]


if __name__ == "__main__":
    sys.exit(main())
