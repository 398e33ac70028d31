"""A grader behind an OpenAI-compatible chat server (vLLM, SGLang, llama.cpp, OpenAI and others)."""

from grader.backends.http.addresses import base_url
from grader.backends.http.backend import HttpBackend

__all__ = ["HttpBackend", "base_url"]
