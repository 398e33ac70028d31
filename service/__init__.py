"""State shared between requests, or a person: HTTP, the command line, settings, metrics, logs.

Imports `grader` and `models`. `service/scorer.py` is the middle: it knows no web framework, so that every wire format
and every command scores in the same way.
"""
