"""Asks a model: prompts, backends, and the chain (cache, flights, batcher) in front of them.

Asynchronous. Imports `models`; knows nothing of HTTP routes, settings or rewards.
"""
