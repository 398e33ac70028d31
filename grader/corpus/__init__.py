"""A corpus of our own: labelled prompts and completions, generated from phrase banks and written by hand.

Deterministic per seed. Knows nothing of features, heads or backends.
"""

from grader.corpus.corpus import generate, write
from grader.corpus.generating import DEFAULT_PROMPTS, generated
from grader.corpus.handwritten import handwritten
from grader.corpus.rows import class_counts, completion_class

__all__ = ["DEFAULT_PROMPTS", "class_counts", "completion_class", "generate", "generated", "handwritten", "write"]
