"""The pages are true: examples load, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.policy import read_policy
from tests.support import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_policy_page_shows_a_policy() -> None:
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert example is not None
    policy = read_policy(example.group(1))
    assert policy.name == "kitchen"
    assert policy.response_types["advise"].diagram.coverage().partition


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
