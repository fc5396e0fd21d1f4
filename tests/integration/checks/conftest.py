"""The subject at which checks look, as in the tests of their logic."""

from tests.unit.checks.conftest import probe, subject

__all__ = ["probe", "subject"]
