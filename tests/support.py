"""What tests of several packages share: where the real data lies, and what a test needs to run."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data" / "openai-rbr"
OPENAI_POLICY = SHARED / "proposition_prompts.yaml"
GOLD = SHARED / "gold-train.jsonl"

needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"OpenAI's released RBR data is not at {SHARED}")
