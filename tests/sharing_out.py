"""Which worker runs what, and in which order: what takes long first, and together what needs the same engine."""

import pytest
from xdist.scheduler import LoadFileScheduling

# What takes longest, longest first: begun last, one of them would run alone in the end.
LONGEST = (
    "tests/e2e/campaigns/test_hands.py",
    "tests/e2e/campaigns/test_crash_sample.py",
    "tests/e2e/demo/test_demo.py",
    "tests/e2e/shipped/",
    "tests/integration/release/test_image.py",
    "tests/e2e/handover/",
    "tests/e2e/stack/swarm/test_story.py",
    "tests/e2e/stack/swarm/",
    "tests/e2e/campaigns/",
    "tests/e2e/browser/",
    "tests/e2e/cli/",
    "tests/e2e/wire/",
    "tests/e2e/plugin/",
    "tests/e2e/acceptance/",
)
# What has to be alone is in there: begun when the other engines' tests are nearly done, it holds up few.
LAST = "tests/e2e/handover/test_self_replacement.py"
# Each of these is one worker's: an engine with the bot's image, and a stack that the bot is part of, are made once for
# all.
TOGETHER = (
    (LAST,),
    ("tests/e2e/handover/",),
    ("tests/e2e/stack/swarm/",),  # a Swarm of three nodes, and a registry
    (
        "tests/e2e/campaigns/test_hands.py",
        "tests/e2e/campaigns/test_crash_sample.py",
        "tests/e2e/demo/test_demo.py",
        "tests/e2e/shipped/",
        "tests/integration/release/test_image.py",
        "tests/integration/testbed/test_built_engine.py",
    ),
    # Rules about the product's sources, which are parsed once for all (`tests/unit/sources.py`).
    (
        "tests/unit/messages/test_said_everywhere.py",
        "tests/unit/state/test_stored_surface.py",
        "tests/unit/test_doors.py",
        "tests/unit/test_house_rules.py",
        "tests/unit/ui/test_every_message.py",
    ),
)


def turn(item: pytest.Item) -> int:
    """Return a number by which tests are ordered; what needs no engine fills the gaps that are left in the end.

    What has to be alone waits until nobody runs any other test: that is soon where the others are short.
    """
    if item.get_closest_marker("alone") or item.nodeid.startswith(LAST):
        return len(LONGEST) + 1
    place = next((n for n, path in enumerate(LONGEST) if item.nodeid.startswith(path)), len(LONGEST))
    return place + 2 * (not any(item.get_closest_marker(kind) for kind in ("engine", "wire")))


def scope_of(nodeid: str) -> str:
    """Return what one worker runs as a whole: a file, or files that share what takes long to make."""
    for paths in TOGETHER:
        if nodeid.startswith(paths):
            return " ".join(paths)
    return nodeid.partition("::")[0]


class SharingOut(LoadFileScheduling):
    """Give each worker whole files, and those that belong together to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
