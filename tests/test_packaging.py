"""What is installed beside the modules."""

from __future__ import annotations

import pytest

from tests.support import ROOT


@pytest.mark.parametrize("package", ["models", "grader", "service"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
