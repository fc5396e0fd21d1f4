"""Read the notes of a version from CHANGELOG.md (Keep a Changelog)."""

import re

from tools.release.errors import ReleaseError

HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
ENTRY = re.compile(r"^- \S", re.MULTILINE)
UNRELEASED = "Unreleased"


def notes(changelog: str, version: str, *, snapshot: bool = False) -> str:
    """Return the notes of a version. A snapshot may leave entries under Unreleased. Raises ReleaseError."""
    sections = _sections(changelog)
    if version not in sections:
        known = ", ".join(sections) or "none"
        raise ReleaseError(f"CHANGELOG.md has no entry `## [{version}] - YYYY-MM-DD`; it has {known}.")
    date, text = sections[version]
    faults = [] if date else [f"CHANGELOG.md: the heading of {version} has no date."]
    if not ENTRY.search(text):
        faults.append(f"CHANGELOG.md: {version} has no entry.")
    if not snapshot and ENTRY.search(sections.get(UNRELEASED, ("", ""))[1]):
        faults.append(f"CHANGELOG.md has entries under Unreleased: move them below {version}, or raise the version.")
    if faults:
        raise ReleaseError(*faults)
    return f"# ROAS Bot {version}\n\n{text}\n"


def _sections(changelog: str) -> dict[str, tuple[str, str]]:
    """Return date and text of each version."""
    found = list(HEADING.finditer(changelog))
    ends = [*(match.start() for match in found[1:]), len(changelog)]
    return {
        match["version"]: (match["date"] or "", _without_links(changelog[match.end() : end]).strip())
        for match, end in zip(found, ends, strict=True)
    }


def _without_links(text: str) -> str:
    """Leave out the definitions of links at the end of the file."""
    return re.sub(r"^\[[^\]]+\]: \S+$", "", text, flags=re.MULTILINE)
