"""Write what a release runs on as a CycloneDX document: the locked packages, and an image's Debian packages.

https://cyclonedx.org/docs/1.5/json/; the same release gives the same text.
"""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.release.errors import ReleaseError

FORMAT, FORMAT_VERSION = "CycloneDX", "1.5"
HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")
LIST_PACKAGES = ("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture} ${db:Status-Status}\\n")
MARKER = "roas:environment_marker"


def describe_release(version: str, lock: str, commit_time: str) -> str:
    """Return the document of wheel and sdist: what requirements.lock pins. Raises ReleaseError."""
    return _document(f"pkg:pypi/roas-bot@{version}", version, list(_locked(lock)), commit_time)


def describe_image(tag: str, version: str, lock: str, commit_time: str) -> str:
    """Return the document of an image: its Python packages, and those that Debian brought. Raises ReleaseError."""
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", LIST_PACKAGES[0], tag, *LIST_PACKAGES[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"the image's packages cannot be listed:\n{done.stderr.strip()[-2000:]}")
    components = [*_locked(lock), *debian_packages(done.stdout)]
    return _document(f"pkg:oci/roas-bot@{version}", version, components, commit_time)


def debian_packages(listed: str) -> Iterator[dict[str, Any]]:
    """Yield a component for each installed package of `dpkg-query`'s list."""
    for line in listed.splitlines():
        name, version, architecture, status = line.split(" ")
        if status == "installed":
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _locked(lock: str) -> Iterator[dict[str, Any]]:
    """Yield a component for each package of a lock file that pins each to a version and hashes."""
    for entry in _entries(lock):
        text = HASH.sub("", entry).strip()
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise ReleaseError(f"requirements.lock: {text!r} is no requirement: {error}") from error
        pins = [item.version for item in requirement.specifier if item.operator == "=="]
        digests = [match["digest"] for match in HASH.finditer(entry)]
        if len(pins) != 1 or not digests:
            raise ReleaseError(f"requirements.lock: {requirement.name} is not pinned to a version and hashes")
        name = canonicalize_name(requirement.name)
        purl = f"pkg:pypi/{name}@{pins[0]}"
        component: dict[str, Any] = {"type": "library", "name": name, "version": pins[0], "purl": purl}
        # A file of any of these hashes may be what is installed: which one depends on the machine.
        files = [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": digest}]}
            for digest in digests
        ]
        component |= {"bom-ref": purl, "externalReferences": files}
        if requirement.marker is not None:
            component["properties"] = [{"name": MARKER, "value": str(requirement.marker)}]
        yield component


def _entries(lock: str) -> Iterator[str]:
    """Yield each requirement with its hashes as one line, without comments."""
    lines = (line.split(" #")[0].strip() for line in lock.splitlines() if not line.lstrip().startswith("#"))
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        if entry.strip():
            yield entry


def _document(purl: str, version: str, components: list[dict[str, Any]], commit_time: str) -> str:
    made = datetime.fromtimestamp(int(commit_time), UTC).isoformat()
    subject = {"type": "application", "bom-ref": purl, "name": "roas-bot", "version": version, "purl": purl}
    ordered = sorted(components, key=lambda one: str(one["purl"]))
    document: Mapping[str, Any] = {
        "bomFormat": FORMAT,
        "specVersion": FORMAT_VERSION,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([purl, ordered])).urn,
        "version": 1,
        "metadata": {"timestamp": made, "component": subject | {"licenses": [{"license": {"id": "MIT"}}]}},
        "components": ordered,
        "dependencies": [{"ref": purl, "dependsOn": [item["bom-ref"] for item in ordered]}],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
