"""Verify by cosign who signed an image, and what built it: by digest, before a plan is shown and again when it is made.

Whatever cannot be verified is refused. Only what was verified is remembered, for as long as this process lives.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from roas.concurrency import in_thread, run_concurrently
from roas.errors import (
    EngineError,
    ImageNotVerifiedError,
    NotVerifiableNowError,
    cannot_read,
    correct_setting,
    not_installed,
)
from roas.log import get_logger
from roas.messages.message import Message, said
from roas.models.environment import SignaturePolicy
from roas.models.stack import WantedImage
from roas.stack.compose.processes import end_process, start_process
from roas.stack.images.reference import split_reference
from roas.stack.images.registry import ImageName
from roas.temporary import temporary_folder

log = get_logger(__name__)

COSIGN = "cosign"
VERIFY_SECONDS = 60.0
MOST_REMEMBERED = 10_000
LONGEST_CAUSE = 300
# How cosign calls a signature, in a bundle and under a tag: an attestation by the same key signs something else.
SIGNATURES = frozenset({"https://sigstore.dev/cosign/sign/v1", "cosign container image signature"})
PREDICATES = ("slsaprovenance1", "slsaprovenance02")
# What cosign says of an image that is not signed as it is asked; anything else says nothing of the image.
UNSIGNED = re.compile(r"no signatures found|no matching|none of the attestations matched|no attestations found")
AWAY = re.compile(
    r"dial tcp|\bGET http|\bGet \"|\bno such host|timeout|connection re|\bEOF\b|TOOMANYREQUESTS", re.IGNORECASE
)
# What of this process's environment leads to registries and to the keys of a transparency log.
KEPT_VARIABLES = ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


class ImageVerifier:
    """Ask cosign of images; `state_dir` keeps what it learns of a transparency log's keys."""

    def __init__(self, state_dir: Path, configuration: Callable[[], Path], redact: Callable[[str], str]) -> None:
        self._state_dir = state_dir
        self._configuration = configuration
        self._redact = redact
        self._verified: dict[tuple[str, str], None] = {}

    async def verify(self, policy: SignaturePolicy, images: Mapping[str, WantedImage]) -> None:
        """Require that the image of each service is signed as the policy asks.

        Raises ImageNotVerifiedError, and NotVerifiableNowError where it could not be found out.
        """
        wanted = {image.digest or "": image for image in images.values() if covers(policy, image.reference)}
        for image in wanted.values():
            if image.build_hash:
                raise _refused(image.reference, said("it is built here, and nobody signs what is built here"))
            if not image.digest:
                raise _refused(image.reference, said("it did not come from a registry"))
        if not wanted:
            return
        trusted = await in_thread(lambda: _fingerprint(policy))
        await run_concurrently(self._verify(policy, digest, trusted) for digest in sorted(wanted))

    async def _verify(self, policy: SignaturePolicy, digest: str, trusted: str) -> None:
        if (digest, trusted) in self._verified:
            return
        faults: list[ImageNotVerifiedError | NotVerifiableNowError] = []
        for signer in _signers(policy):
            try:
                await self._verify_by(policy, signer, digest)
            except (ImageNotVerifiedError, NotVerifiableNowError) as fault:
                faults.append(fault)
                continue
            while len(self._verified) >= MOST_REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest, trusted] = None
            log.info("image verified", image=digest)
            return
        raise next((fault for fault in faults if fault.transient), faults[0])

    async def _verify_by(self, policy: SignaturePolicy, signer: Sequence[str], digest: str) -> None:
        options = [*signer, *_common(policy)]
        if policy.builder is None:
            found = await self._ask(digest, "verify", "--output", "json", *options)
            if not any(item["type"] in SIGNATURES and _is_of(item, digest) for item in _signed(found)):
                raise _refused(digest, said("it has no signature"))
            return
        fault: ImageNotVerifiedError | None = None
        for predicate in PREDICATES:
            try:
                found = await self._ask(digest, "verify-attestation", "--type", predicate, *options)
            except ImageNotVerifiedError as error:
                fault = fault or error
                continue
            why_not = [_why_not_built(statement, policy, digest) for statement in _statements(found)]
            if "" in why_not:
                return
            raise _refused(digest, next(iter(why_not), said("it has no provenance")))
        raise fault or _refused(digest, said("it has no provenance"))

    async def _ask(self, digest: str, command: str, *options: str) -> str:
        """Run cosign for one image, and return what it prints."""
        program = shutil.which(COSIGN)
        if program is None:
            raise NotVerifiableNowError(
                not_installed(f"{COSIGN} 3"),
            )
        with temporary_folder(COSIGN) as home:
            process = await start_process((program, command, *options, "--", digest), self._variables(home), home)
            try:
                async with asyncio.timeout(VERIFY_SECONDS):
                    output, errors = await process.communicate()
            except TimeoutError as error:
                cause = said("{program} did not end within {seconds} s", program=COSIGN, seconds=f"{VERIFY_SECONDS:g}")
                raise _not_now(digest, cause) from error
            finally:
                await end_process(process)
        if not process.returncode:
            return output.decode(errors="replace")
        said_by = errors.decode(errors="replace")
        reason = self._redact(_cause(said_by))
        if UNSIGNED.search(said_by) and not AWAY.search(said_by):
            raise _refused(digest, reason)
        raise _not_now(digest, reason)

    def _variables(self, home: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT_VARIABLES}
        return {
            **kept,
            "HOME": str(home),
            "TUF_ROOT": str(self._state_dir / "sigstore"),
            "DOCKER_CONFIG": str(self._configuration().parent),
        }


def covers(policy: SignaturePolicy, reference: str) -> bool:
    """Return whether a policy asks for the signature of an image."""
    name = split_reference(reference)[0]
    return any(fnmatchcase(spelled, pattern) for pattern in policy.images for spelled in (name, _whole(name)))


def _whole(name: str) -> str:
    return str(ImageName.read(name))


def _fingerprint(policy: SignaturePolicy) -> str:
    """Return a hash of whom a policy trusts, by the content of its files. Raises NotVerifiableNowError."""
    found = hashlib.sha256(repr(policy).encode())
    for path in (*policy.key_files, *filter(None, [policy.trusted_root_file])):
        try:
            found.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise EngineError(cannot_read(path, error), hint=correct_setting("verify")) from error
    return found.hexdigest()


def _signers(policy: SignaturePolicy) -> Iterator[tuple[str, ...]]:
    """Yield how cosign is told of each key and each identity: one of them is enough."""
    yield from (("--key", str(path)) for path in policy.key_files)
    for issuer, subject in policy.identities:
        whole = ".*".join(map(re.escape, subject.split("*")))
        yield "--certificate-oidc-issuer", issuer, "--certificate-identity-regexp", f"^{whole}$"


def _common(policy: SignaturePolicy) -> Iterator[str]:
    if policy.trusted_root_file is not None:
        yield from ("--trusted-root", str(policy.trusted_root_file))
    if not policy.transparency_log:
        yield from ("--insecure-ignore-tlog=true", "--insecure-ignore-sct=true")


def _signed(output: str) -> Iterator[Mapping[str, Any]]:
    """Read what `cosign verify` prints. A text that is none has no signature."""
    try:
        yield from (item["critical"] for item in json.loads(output))
    except (ValueError, LookupError, TypeError):
        return


def _is_of(item: Mapping[str, Any], digest: str) -> bool:
    try:
        return bool(item["image"]["docker-manifest-digest"] == digest.partition("@")[2])
    except (LookupError, TypeError):
        return False


def _statements(output: str) -> Iterator[Mapping[str, Any]]:
    """Read what `cosign verify-attestation` prints: an envelope in each line."""
    for line in output.splitlines():
        try:
            statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(statement, dict):
            yield statement


def _why_not_built(statement: Mapping[str, Any], policy: SignaturePolicy, digest: str) -> str:
    """Return why a provenance is not what a policy asks for; empty where it is."""
    try:
        subjects = {f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}
        builder, source = _origin(statement["predicate"])
    except (LookupError, TypeError, AttributeError):
        return said("its provenance is not written as SLSA writes it")
    if digest.partition("@")[2] not in subjects:
        return said("its provenance is of another image")
    if not fnmatchcase(builder, policy.builder or ""):
        return said("it was built by {builder}", builder=builder[:LONGEST_CAUSE])
    if policy.source is not None and not fnmatchcase(_repository(source), _repository(policy.source)):
        return said("it was built from {source}", source=source[:LONGEST_CAUSE] or "-")
    return ""


def _origin(predicate: Mapping[str, Any]) -> tuple[str, str]:
    """Return builder and source repository of SLSA's provenance 1 or 0.2, from what the builder itself vouches for."""
    if "runDetails" in predicate:
        given = predicate["buildDefinition"]["externalParameters"]
        source = (given.get("workflow") or {}).get("repository") or given.get("source") or ""
        source = source.get("uri", "") if isinstance(source, dict) else source
        return str(predicate["runDetails"]["builder"]["id"]), str(source)
    return str(predicate["builder"]["id"]), str(predicate["invocation"]["configSource"].get("uri", ""))


def _repository(address: str) -> str:
    """Return an address of a repository without scheme, ref and ending."""
    return re.sub(r"^(git\+)?https?://", "", address).partition("@")[0].removesuffix(".git").rstrip("/").lower()


def _cause(errors: str) -> str:
    lines = [line.removeprefix("Error: ") for line in errors.splitlines() if line.startswith("Error: ")]
    return (lines[0] if lines else errors.strip())[:LONGEST_CAUSE].rstrip(". :")


def _refused(image: str, cause: str | Message) -> ImageNotVerifiedError:
    return ImageNotVerifiedError(
        said("{image} is not signed as `verify` asks: {cause}.", image=image, cause=cause),
    )


def _not_now(image: str, cause: str | Message) -> NotVerifiableNowError:
    return NotVerifiableNowError(
        said("{image} is not verifiable now: {cause}.", image=image, cause=cause),
        hint=said("Nothing was changed. Try again when the registry and the transparency log answer."),
    )
