"""Tell whether a service that was adopted is already what a compose file wants: the same container, written otherwise.

Both are brought to one form, key by key, as the table of keys says. A key that is not in it counts as a difference, so
that nothing that was asked for is left out.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from roas.stack.model.common_form import WrittenService
from roas.stack.model.read_back import ShownContainer
from roas.stack.model.service_keys import NOTHING, SERVICE_KEYS
from roas.stack.model.services import borrowed_targets

NOTHING_TOLD: Mapping[str, Any] = MappingProxyType({})
# What says something though it is false or empty: the engine's default may be another.
SAID_EMPTY = frozenset({"entrypoint", "init"})
RESERVED = "gpus"
# What is told of a key that is written in another place, too.
CALLED = {RESERVED: "devices reserved"}


def container_fields(container: ShownContainer) -> dict[str, Any]:
    """Read back how a service has to be written for a container to be as it is; networks go by their own names."""
    found = {key: known.of(container) for key, known in SERVICE_KEYS.items()}
    return {key: value for key, value in found.items() if value or (key in SAID_EMPTY and value is not None)}


def differences(
    wanted: Mapping[str, Any],
    wanted_model: Mapping[str, Any],
    real: Mapping[str, Any],
    real_model: Mapping[str, Any],
    image: Mapping[str, Any],
    engine: Mapping[str, Any] = NOTHING_TOLD,
    *,
    name: str = "",
) -> dict[str, tuple[str, ...]]:
    """Return the fields in which a service is another than the wanted one, and what of each, where it has names.

    `image` is that of both, and `engine` what it says of itself: its own defaults may be written out. Each service has
    its own `name` as an alias.
    """
    left, right = (
        _common_form(WrittenService(name, fields, model, image, engine))
        for fields, model in ((wanted, wanted_model), (real, real_model))
    )
    _forgive(left, right, borrowed_targets(wanted))
    unlike = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    return {key: _differing_names(left.get(key), right.get(key)) for key in unlike}


def _common_form(service: WrittenService) -> dict[str, Any]:
    known = {key: entry.form_of(key, service) for key, entry in SERVICE_KEYS.items() if entry.is_compared}
    others = {key: value for key, value in service.fields.items() if key not in SERVICE_KEYS and key[:2] != "x-"}
    return {key: value for key, value in {**known, **others}.items() if value not in NOTHING}


def _forgive(left: dict[str, Any], right: Mapping[str, Any], borrowed: Collection[str]) -> None:
    """Make what is wanted (`left`) the same as what there is, where Compose leaves no choice.

    Some versions do not tell the engine all of it. `borrowed` are the places of volumes of another service, read-only:
    it forgets the `:ro` of `volumes_from`.
    """
    if "mac_address" not in right:
        left.pop("mac_address", None)
    if RESERVED in left and not any(item[-1] for item in right.get(RESERVED) or ()):
        left[RESERVED] = [(*item[:-1], []) for item in left[RESERVED]]
    wanted, there = left.get("volumes") or {}, right.get("volumes") or {}
    for target in wanted.keys() & there.keys() & set(borrowed):
        wanted[target] = (*wanted[target][:2], there[target][2], *wanted[target][3:])


def _differing_names(left: object, right: object) -> tuple[str, ...]:
    one, other = ({} if side is None else side for side in (left, right))
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return ()
    return tuple(sorted(str(name) for name in one.keys() | other.keys() if one.get(name) != other.get(name)))
