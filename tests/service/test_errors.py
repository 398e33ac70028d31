"""Errors: one table, typed documents, and they survive pickling."""

from __future__ import annotations

import pickle

import pytest

from grader.errors import BackendUnavailable, Overloaded
from models.errors import PolicyError
from service import errors
from service.errors import INTERNAL, STATUSES, error_document, status_of


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
def test_every_error_of_the_table_pickles_and_has_its_own_type(kind: type[Exception]) -> None:
    error = kind("message") if kind is Overloaded else kind("message", "field")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.field) == (kind, "message", getattr(error, "field", None))
    assert [status.type for status in STATUSES.values()].count(STATUSES[kind].type) == 1


def test_an_error_has_the_status_of_its_nearest_ancestor() -> None:
    class Derived(errors.UnknownPolicy):
        pass

    assert status_of(Derived("x")) == STATUSES[errors.UnknownPolicy]
    assert status_of(BackendUnavailable("x")).code == 503


@pytest.mark.parametrize("error", [PolicyError("x"), errors.ServiceError("x"), KeyError("x")])
def test_what_is_not_in_the_table_is_internal(error: Exception) -> None:
    assert status_of(error) == INTERNAL


def test_the_field_is_left_out_where_there_is_none() -> None:
    assert error_document("t", "m") == {"error": {"type": "t", "message": "m"}}
    assert error_document("t", "m", "f") == {"error": {"type": "t", "message": "m", "field": "f"}}
