"""Engines as facts: what determines one, what it must prove, and what is to be done about it."""
