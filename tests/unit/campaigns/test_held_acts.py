"""What the campaigns hold is there: a name that moved would end each of them at its start."""

import pytest

from roas.stack.compose_stack import ComposeStack
from roas.stack.stack import Stack
from roas.stack.swarm_stack import SwarmStack
from tools.campaigns.instrumented.hooks import held_acts


@pytest.mark.parametrize("stack", [ComposeStack, SwarmStack])
def test_held_acts_exist(stack: type[Stack]) -> None:
    acts = [(kind, act) for kind, names in held_acts(stack) for act in names]
    assert [act for kind, act in acts if not callable(getattr(kind, act, None))] == []
