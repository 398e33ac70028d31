"""A corpus of our own: labelled prompts and completions, generated from phrase banks.

Deterministic per seed. Knows nothing of features, heads or backends.
"""

from grader.corpus.generating import DEFAULT_PROMPTS, class_counts, completion_class, generate, write

__all__ = ["DEFAULT_PROMPTS", "class_counts", "completion_class", "generate", "write"]
