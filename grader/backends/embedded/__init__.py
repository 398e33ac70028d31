"""The embedded grader: linear heads on hashed n-grams, served with numpy alone."""

from grader.backends.embedded.backend import EmbeddedBackend

__all__ = ["EmbeddedBackend"]
