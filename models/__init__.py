"""Numbers in, numbers out: policies, class probabilities, rewards and their fit.

Synchronous and pure. Imports nothing else of this project and never asks a model anything.
"""
