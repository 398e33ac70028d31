"""Grader backends: each answers propositions about conversations with logits."""
