from __future__ import annotations

import pickle

import pytest

from models.errors import FitError, PolicyError, Problem, RBRError, RowError, UnfittedWeights, WeightsError


@pytest.mark.parametrize("kind", [RBRError, WeightsError, UnfittedWeights, RowError, FitError])
def test_errors_survive_pickling(kind: type[RBRError]):
    """They cross process borders in worker pools."""
    error = pickle.loads(pickle.dumps(kind("message", "prompt[0]")))
    assert (type(error), str(error), error.field) == (kind, "message", "prompt[0]")


def test_a_policy_error_keeps_all_its_problems():
    problems = (Problem("a.b", "is wrong"), Problem("", "is odd"))
    error = pickle.loads(pickle.dumps(PolicyError("two problems", problems)))
    assert (str(error), error.problems, error.field) == ("two problems", problems, "a.b")
    assert [str(problem) for problem in problems] == ["a.b: is wrong", "is odd"]
