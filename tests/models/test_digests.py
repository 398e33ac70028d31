from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.digests import encode, fingerprint

_parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def _typed(part: object) -> object:
    """Equality that tells 1 from True and 1.0, and 0.0 from -0.0."""
    if isinstance(part, dict):
        return "map", [(key, _typed(part[key])) for key in sorted(part)]
    if isinstance(part, list):
        return "list", [_typed(item) for item in part]
    return type(part).__name__, repr(part)


@given(_parts, _parts)
def test_different_parts_have_different_bytes(first: object, second: object):
    assert (encode(first) == encode(second)) == (_typed(first) == _typed(second))


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_concatenation_cannot_make_two_inputs_collide(first: list[str], second: list[str]):
    assert (fingerprint(*first) == fingerprint(*second)) == (first == second)


def test_mappings_are_hashed_in_key_order_and_lists_in_their_own():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_a_lone_surrogate_has_a_digest():
    assert fingerprint("\ud800") != fingerprint("?")
