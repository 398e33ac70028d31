"""``python -m grader.corpus FILE [SEED [PROMPTS]]`` writes the corpus as JSONL."""

import sys

from grader.corpus import write

if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[2:4]]
    sys.stderr.write(f"{write(sys.argv[1], *numbers)} rows\n")
