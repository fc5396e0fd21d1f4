"""What an environment takes from a release of another one, and what stays its own."""

import pytest

from roas.errors import ComposeFileError, ComposePolicyError
from roas.stack.resolution.content_binding import ContentBinder
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.snapshot import new_snapshot
from roas.stack.sources.withheld import Withheld


@pytest.fixture
def store(tmp_path):
    return ContentStore(tmp_path / "contents")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "stack"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "app.conf").write_text("one")
    return folder


def bind(store, folder, what, *, instead=None, withheld=(), private=()):
    """Bind a file or a folder read-only, and return where it is bound from, by its name, and what may be shared."""
    model = {
        "services": {
            "web": {"volumes": [{"type": "bind", "source": str(folder / what), "target": "/c", "read_only": True}]}
        }
    }
    hidden = Withheld.of(folder.parent / "state", withheld, "")
    binder = ContentBinder(
        store, folder, lambda _: False, write=True, withheld=lambda _: hidden, instead=instead or {}, private=private
    )
    (volume,) = binder.bind(model)["services"]["web"]["volumes"]
    return volume["source"], binder.bound


@pytest.mark.parametrize("what", ["conf/app.conf", "conf"])
def test_content_of_the_release_is_bound(store, folder, what):
    released, bound = bind(store, folder, what)
    (folder / "conf" / "app.conf").write_text("untested")
    assert bind(store, folder, what, instead=bound) == (released, bound)
    assert bind(store, folder, what)[0] != released


@pytest.mark.parametrize("side", ["from", "to"])
def test_folder_with_a_file_of_one_environment_is_its_own(store, folder, side):
    """What one of them does not see would reach it by the content of the other, or be missing."""
    secret = folder / "conf" / "staging.env"
    secret.write_text("PASSWORD=x")
    released, bound = bind(store, folder, "conf", withheld=[secret] if side == "from" else [])
    own, shared = bind(store, folder, "conf", instead=bound, withheld=[secret] if side == "to" else [])
    assert own != released
    assert bound == {} or shared == {}


@pytest.mark.parametrize("private", ["conf/prod.env", "conf/app.conf"])
def test_folder_with_an_own_file_is_not_promoted(store, folder, private):
    """In another folder, nothing says that a file of this name is what the other environment keeps for itself."""
    (folder / private).write_text("PASSWORD=x")
    released, bound = bind(store, folder, "conf", private=[folder / private])
    assert bound == {}
    assert bind(store, folder, "conf", instead={"conf": "0" * 64}, private=[folder / private])[0] == released


def test_withheld_file_is_refused_whatever_was_released(store, folder):
    _released, bound = bind(store, folder, "conf/app.conf")
    with pytest.raises(ComposePolicyError):
        bind(store, folder, "conf/app.conf", instead=bound, withheld=[folder / "conf" / "app.conf"])


def test_lost_content_is_refused(store, folder):
    with pytest.raises(ComposeFileError):
        bind(store, folder, "conf/app.conf", instead={"conf/app.conf": "0" * 64})


@pytest.mark.parametrize("named", ["docker-compose.yml", "{folder}/docker-compose.yml"])
def test_compose_file_of_the_release_is_read(folder, named):
    file = folder / "docker-compose.yml"
    file.write_text("untested")
    with new_snapshot(folder, {file: b"released"}) as snapshot:
        assert snapshot.copy(file, file, named.replace("{folder}", str(folder)))
        assert snapshot.content(file) == b"released"
