from __future__ import annotations

import pytest

from models.errors import PolicyError
from models.policy import load_policy, packaged_policies, read_policy
from tests.models.policy.examples import SMALL


def test_a_policy_is_loaded_by_packaged_name_or_by_path(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert "safety" in packaged_policies()
    assert load_policy("safety").name == "safety"
    assert load_policy(path) == load_policy(str(path))
    assert load_policy(path).name == "small"


def test_a_byte_order_mark_is_no_part_of_the_policy(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8-sig")
    assert load_policy(path) == read_policy(SMALL, "small")


def test_files_that_cannot_be_read(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: x\nversion: caf\xe9\n")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (2 << 20) + b"\n")
    cases = {
        "safty": "safty is neither a file nor a packaged policy; did you mean 'safety'?",
        str(tmp_path): "is a directory; name the policy's YAML file",
        str(tmp_path / "none.yaml"): "is neither a file nor a packaged policy; there are: safety",
        str(latin / "x"): "cannot be read: Not a directory",
        str(latin): "is not UTF-8: byte 0xe9 on line 2; save the file as UTF-8",
        str(large): "is larger than 2,097,152 bytes",
        "a\0b": "cannot be read: embedded null byte",
        "": "is a directory",
    }
    for where, message in cases.items():
        with pytest.raises(PolicyError) as caught:
            load_policy(where)
        assert message in str(caught.value)
