"""A plan is kept as the release before wrote it: that one, and the one after, carry it out."""

import json

from roas.deploy.kept_plans import PlannedDeployment
from roas.models.plan import Plan
from roas.models.stack import WantedImage
from roas.stack.interface import SharedFiles
from roas.state.documents import from_row, to_json

KEPT_FIELDS = {
    "plan",
    "current",
    "inputs",
    "model_hash",
    "version",
    "warnings",
    "follows_version",
    "obstacles",
    "beside_files",
    "wanted",
    "kept",
    "target",
    "files",
}


def a_planned_deployment() -> PlannedDeployment:
    return PlannedDeployment(
        plan=Plan("dev", "v2", 1, None, (), (), (), "digest"),
        current=None,
        inputs="inputs",
        model_hash="model",
        version="v2",
        warnings=("the file is odd",),
        follows_version=False,
        beside_files=True,
        wanted={"web": WantedImage("web:v2", build_hash="a" * 64)},
        kept=frozenset({"store"}),
        files=SharedFiles(compose={"compose.yaml": "b"}),
    )


def test_kept_plan_has_the_fields_of_the_release_before() -> None:
    assert json.loads(to_json(a_planned_deployment())).keys() >= KEPT_FIELDS


def test_kept_plan_is_read_as_it_was_written() -> None:
    planned = a_planned_deployment()
    assert from_row(PlannedDeployment, to_json(planned)) == planned
    assert planned.built == ("a" * 64,)
