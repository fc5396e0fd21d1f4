"""The mutations of how containers are made: from models, beside others, and on stacks that hands have been at."""

from campaigns.mutations.mutation import Mutation, mutation

CREATION = "bot/engine/containers/service_creation.py"
STACKS = "tests/integration/engine/test_compose_engine.py"
HANDS = "tests/integration/engine/containers/test_hands_before_create.py"
OWN = "tests/integration/engine/containers/test_own_container.py"
ADOPTION = "tests/integration/engine/adopting/test_adoption.py"
NAMES = "tests/integration/engine/images/test_readable_images.py"

CONTAINER_MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "what hands paused stays paused beside what is made",
        CREATION,
        "            await unpause(self._clients, environment, [one for one in stay if one.id not in spared])\n",
        "",
        HANDS,
    ),
    mutation(
        "what the release before hashed otherwise is made anew",
        "bot/engine/containers/config_hashes.py",
        "if service in wanted and had != hashes[service])",
        "if False)",
        HANDS,
        "-k",
        "release_before",
    ),
    mutation(
        "what shares with an adopted container that is lost stays as it is",
        "bot/engine/containers/config_hashes.py",
        "    while lost := [name for name in found if not sharing.get(name, frozenset()) <= found.keys()]:",
        "    while lost := []:",
        ADOPTION,
    ),
    mutation(
        "other limits make no adopted container another",
        "bot/engine/adopting/sameness.py",
        'NOT_COMPARED = frozenset({"image",',
        'NOT_COMPARED = frozenset({"ulimits", "image",',
        ADOPTION,
    ),
    mutation(
        "other reserved devices make no adopted container another",
        "bot/engine/adopting/sameness.py",
        'NOT_COMPARED = frozenset({"image",',
        'NOT_COMPARED = frozenset({"deploy", "devices reserved", "image",',
        "tests/integration/engine/adopting/test_adopted_devices.py",
    ),
    mutation(
        "what shares is only made where the model's own container is",
        "bot/engine/containers/pinned_services.py",
        "as_it_is=True))[service], fields)",
        "as_it_is=False))[service], fields)",
        HANDS,
    ),
    mutation(
        "what a service depends on is made with it",
        "bot/engine/compose/commands.py",
        '"--no-start", "--no-deps", "--no-build"',
        '"--no-start", "--no-build"',
        STACKS,
        HANDS,
    ),
    mutation(
        "what is too many of a service stays",
        CREATION,
        "            existing = await self._remove_extra(environment, wanted, existing, anew=anew)\n",
        "            pass\n",
        STACKS,
    ),
    mutation(
        "a container beside another takes its place",
        CREATION,
        "scale = {name: len(existing) + missing} if beside else {}",
        "scale = {}",
        STACKS,
    ),
    mutation(
        "a release is made a second time under another project",
        "bot/engine/containers/pinned_services.py",
        "if project != environment.project:",
        "if False:",
        STACKS,
    ),
    mutation(
        "the bot removes the container that it runs in",
        "bot/engine/containers/own_container.py",
        "    if container_id == own_container_id():",
        "    if False:",
        OWN,
    ),
    mutation(
        "the bot replaces the container that it runs in",
        CREATION,
        "        if own is not None:\n            name",
        "        if False:\n            name",
        OWN,
    ),
    mutation(
        "an image's name means what hands made of it",
        "bot/engine/containers/compose_creation.py",
        "        await set_references(self.clients, environment, services)\n        seconds",
        "        seconds",
        NAMES,
    ),
    mutation(
        "a container of another image fits by its hash",
        "bot/engine/comparison.py",
        ' and self.image_id in {"", container.image_id}',
        "",
        NAMES,
    ),
    mutation(
        "an image whose release tag was moved stays for ever",
        "bot/engine/images/release_tags.py",
        "            if found is None:\n",
        '            if found is None or found["Id"] != service.image.image_id:\n',
        NAMES,
    ),
)
