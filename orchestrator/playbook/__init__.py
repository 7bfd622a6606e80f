"""Playbooks: YAML to plays and tasks, expressions, and the modules that tasks name."""
