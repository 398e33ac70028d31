"""The configuration page is what the settings say."""

from __future__ import annotations

from service.configuration import reference
from service.settings import Settings
from tests.support import ROOT


def test_the_committed_page_is_the_generated_one() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
