"""Decision diagrams of the completion-class rules (to be completed)."""

from __future__ import annotations


class Diagram:
    """Placeholder until the compiler lands in this file."""
