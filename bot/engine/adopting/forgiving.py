"""Forgive a container what the Compose that made it forgot: another one of the same file would be no other."""

from collections.abc import Collection, Mapping
from typing import Any

RESERVED = "devices reserved"


def forgive(left: dict[str, Any], right: Mapping[str, Any], borrowed: Collection[str]) -> None:
    """Make what is wanted (`left`) the same as what there is, where Compose leaves no choice.

    Both are in the common form. `borrowed` are the places of volumes of another service, read-only.
    """
    _leave_out_unsaid(left, right)
    _allow_writing(left.get("volumes") or {}, right.get("volumes") or {}, borrowed)


def _leave_out_unsaid(left: dict[str, Any], right: Mapping[str, Any]) -> None:
    """Leave out of what is wanted what some versions of Compose do not tell the engine, where it was not told."""
    if "mac_address" not in right:
        left.pop("mac_address", None)
    if not any(one[-1] for one in right.get(RESERVED) or ()) and RESERVED in left:
        left[RESERVED] = [(*one[:-1], []) for one in left[RESERVED]]


def _allow_writing(left: dict[str, Any], right: Mapping[str, Any], borrowed: Collection[str]) -> None:
    """Take a mount that can be written to for the one that is wanted, where Compose makes it so.

    It forgets the `:ro` of `volumes_from`.
    """
    for target in borrowed:
        if target in left and target in right:
            left[target] = (*left[target][:2], right[target][2], *left[target][3:])
