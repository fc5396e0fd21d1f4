"""What is remembered of a model goes with it."""

import gc
import weakref
from typing import Any

from roas.stack.model.per_model import PerModel
from roas.stack.model.store import REMEMBERED


class Model(dict[str, Any]):
    """Be a model that can be watched."""


def test_each_model_is_asked_about_once() -> None:
    asked: list[object] = []
    known = PerModel(lambda model: asked.append(model) or len(asked))  # type: ignore[func-returns-value]
    model = Model()
    assert [known(model), known(model), known(Model())] == [1, 1, 2]


def test_no_more_models_are_kept_than_the_store_keeps() -> None:
    known = PerModel(len)
    models = [Model() for _ in range(REMEMBERED + 1)]
    watched = [weakref.ref(model) for model in models]
    for model in models:
        known(model)
    del models, model
    gc.collect()
    assert [there() is not None for there in watched] == [False] + [True] * REMEMBERED
