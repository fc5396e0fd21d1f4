"""Who signed an image is found out by the real cosign, in a real registry, in both of the forms that it writes."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from roas.configuration.tables import VerifySettings
from roas.errors import ImageNotVerifiedError, NotVerifiableNowError, RoasError
from roas.models.environment import SignaturePolicy
from roas.models.stack import WantedImage
from roas.stack.images.provenance import ImageVerifier
from testbed.cosign import ISSUER, Authority, Signer, cosign_folder, transparency_log
from testbed.ports import free_port
from testbed.private_registry import PrivateRegistry, private_registry
from tests.integration.candidates.test_registry import push
from tests.integration.packages import packages_or_skip

SUBJECT = "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main"
BUILDER = "https://github.com/actions/runner/github-hosted"
SOURCE = "https://github.com/acme/shop"
SLSA_1 = {
    "buildDefinition": {
        "buildType": "https://actions.github.io/buildtypes/workflow/v1",
        "externalParameters": {"workflow": {"repository": SOURCE, "ref": "refs/heads/main"}},
    },
    "runDetails": {"builder": {"id": BUILDER}},
}
SLSA_02 = {
    "builder": {"id": BUILDER},
    "buildType": "x",
    "invocation": {"configSource": {"uri": f"git+{SOURCE}.git@refs/heads/main"}},
}


class Scene:
    """Push and sign images in one registry, and verify them by a policy."""

    def __init__(self, folder: Path, registry: PrivateRegistry) -> None:
        self.folder, self.registry, self.login = folder, registry, folder / "login"
        registry.write_login(self.login)
        self.signer = Signer(folder / "signer", self.login)
        self.policy = SignaturePolicy(key_files=(self.signer.public,), transparency_log=False)
        self.restart()

    def restart(self) -> None:
        """Forget what was verified."""
        self.verifier = ImageVerifier(self.folder / "state", lambda: self.login / "config.json", str)

    async def push(self, tag: str) -> str:
        return f"{self.registry.address}/shop/web@{await push(self.registry, 'shop/web', tag)}"

    async def verify(self, image: str, policy: SignaturePolicy | None = None) -> None:
        name = image.partition("@")[0]
        await self.verifier.verify(policy or self.policy, {"web": WantedImage(f"{name}:v1", digest=image)})

    async def is_refused(self, image: str, policy: SignaturePolicy | None = None) -> str:
        with pytest.raises(ImageNotVerifiedError) as caught:
            await self.verify(image, policy)
        assert not caught.value.transient
        return caught.value.message


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with packages_or_skip():
        path = f"{cosign_folder()}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path_factory.mktemp("provenance")
    with pytest.MonkeyPatch.context() as patch, private_registry(folder / "registry") as registry:
        patch.setenv("PATH", path)
        yield Scene(folder, registry)


@pytest.mark.parametrize("bundle", [True, False], ids=["bundle", "tag"])
async def test_signed_by_the_key_in_either_form(scene, tmp_path, bundle):
    image, other = await scene.push(f"signed-{bundle}"), await scene.push(f"unsigned-{bundle}")
    scene.signer.sign(image, bundle=bundle)
    await scene.verify(image)
    assert "no signature" in await scene.is_refused(other), "another digest has no signature"
    stranger = Signer(tmp_path / "stranger", scene.login)
    wrong = replace(scene.policy, key_files=(stranger.public,))
    await scene.is_refused(image, wrong)
    await scene.verify(image, replace(wrong, key_files=(stranger.public, scene.signer.public)))


@pytest.mark.parametrize("bundle", [True, False], ids=["bundle", "tag"])
async def test_signature_has_to_be_in_the_log_that_is_trusted(scene, tmp_path, bundle):
    """As it is without a word; the log itself need not be there any more."""
    image, unlogged = await scene.push(f"logged-{bundle}"), await scene.push(f"unlogged-{bundle}")
    scene.signer.sign(unlogged, bundle=bundle)
    with transparency_log(tmp_path / "log") as log, transparency_log(tmp_path / "another") as another:
        scene.signer.sign(image, bundle=bundle, log=log)
    policy = SignaturePolicy(key_files=(scene.signer.public,), trusted_root_file=log.root)
    await scene.verify(image, policy)
    # The older form carries no proof of its own: what is in none is asked for at a log, which is away.
    refused = ImageNotVerifiedError if bundle else (ImageNotVerifiedError, NotVerifiableNowError)
    for wrong, asked in ((unlogged, policy), (image, replace(policy, trusted_root_file=another.root))):
        with pytest.raises(refused):
            await scene.verify(wrong, asked)


async def test_tag_that_moves_after_the_verification_is_another_image(scene):
    """What was verified is a digest; what the tag means by then has to be signed itself."""
    first = await scene.push("moves")
    scene.signer.sign(first)
    await scene.verify(first)
    moved = await scene.push("moves-1")
    await scene.is_refused(moved)
    await scene.verify(first)


@pytest.mark.parametrize("bundle", [True, False], ids=["bundle", "tag"])
async def test_identity_is_asked_for_in_either_form(scene, tmp_path, bundle):
    authority = Authority(tmp_path / "authority")
    image = await scene.push(f"identity-{bundle}")
    authority.signer(scene.login, SUBJECT).sign(image, bundle=bundle)

    def policy(subject: str, issuer: str = ISSUER) -> SignaturePolicy:
        identities = ((issuer, subject),)
        return SignaturePolicy(identities=identities, trusted_root_file=authority.root, transparency_log=False)

    await scene.verify(image, policy("https://github.com/acme/shop/*@refs/heads/main"))
    for subject in ("https://github.com/eve/*", "https://github.com/acme/sho", "*/tags/v1", SUBJECT.replace(".", "x")):
        await scene.is_refused(image, policy(subject))
    await scene.is_refused(image, policy("*", "https://gitlab.com"))
    logged = replace(policy(SUBJECT), transparency_log=True)
    # The older form carries no proof of its own: the public log is asked, which may be away.
    refused = ImageNotVerifiedError if bundle else (ImageNotVerifiedError, NotVerifiableNowError)
    with pytest.raises(refused, match="log"):
        await scene.verify(image, logged)
    await scene.is_refused(image, scene.policy)


@pytest.mark.parametrize(("predicate", "kind"), [(SLSA_1, "slsaprovenance1"), (SLSA_02, "slsaprovenance02")])
async def test_provenance_names_builder_and_source(scene, predicate, kind):
    image = await scene.push(kind)
    asked = replace(scene.policy, builder=BUILDER, source=SOURCE)
    await scene.is_refused(image, asked)
    scene.signer.attest(image, predicate, kind)
    await scene.verify(image, asked)
    await scene.verify(image, replace(asked, builder="https://github.com/actions/*", source="github.com/acme/*"))
    assert "built by" in await scene.is_refused(image, replace(asked, builder="https://elsewhere.example.org/*"))
    assert "built from" in await scene.is_refused(image, replace(asked, source="https://github.com/eve/shop"))


async def test_attestation_is_no_signature(scene):
    """A key that says how an image was built does not say that it may be deployed."""
    image = await scene.push("attested")
    scene.signer.attest(image, SLSA_1)
    assert "no signature" in await scene.is_refused(image)


async def test_registry_that_is_away_is_not_verifiable_now(scene, tmp_path):
    """Nothing is known then; what was verified before still is, unless somebody else is trusted by now."""
    image = await scene.push("away")
    scene.signer.sign(image)
    away = f"127.0.0.1:{free_port()}/shop/web@{image.partition('@')[2]}"
    with pytest.raises(NotVerifiableNowError, match="not verifiable now") as caught:
        await scene.verify(away)
    assert caught.value.transient
    await scene.verify(image)
    config = scene.login / "config.json"
    text = config.read_text()
    config.write_text("{}")
    try:
        await scene.verify(image)
        scene.restart()
        with pytest.raises(NotVerifiableNowError):
            await scene.verify(image)
    finally:
        config.write_text(text)
    key = tmp_path / "replaced.pub"
    key.write_bytes(scene.signer.public.read_bytes())
    policy = replace(scene.policy, key_files=(key,))
    await scene.verify(image, policy)
    key.write_bytes(Signer(tmp_path / "stranger", scene.login).public.read_bytes())
    await scene.is_refused(image, policy)


NO_DIGEST: list[Callable[[str], WantedImage]] = [
    lambda name: WantedImage(name, image_id="sha256:1", build_hash="a" * 64),
    lambda name: WantedImage(name, image_id="sha256:1"),
]


@pytest.mark.parametrize("image", NO_DIGEST)
async def test_image_without_a_digest_is_refused(scene, image):
    with pytest.raises(ImageNotVerifiedError):
        await scene.verifier.verify(scene.policy, {"web": image("shop:v1")})
    await scene.verifier.verify(replace(scene.policy, images=("ghcr.io/acme/*",)), {"web": image("shop:v1")})


async def test_nothing_is_verified_without_cosign_or_key(scene, monkeypatch):
    image = await scene.push("without")
    with pytest.raises(RoasError, match="cannot be read"):
        await scene.verify(image, replace(scene.policy, key_files=(scene.folder / "none",)))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotVerifiableNowError, match="cosign 3 is not installed"):
        await scene.verify(image)


@pytest.mark.parametrize(
    "wrong", [{}, {"key_files": ["k"], "images": []}, {"key_files": ["k"], "source": "x"}, {"identities": [{}]}]
)
def test_settings_that_trust_nobody_are_refused(wrong):
    with pytest.raises(ValidationError):
        VerifySettings(**wrong)
