"""The Jinja2 environment of playbooks; see orchestrator.language.environment."""

from orchestrator.language.environment import environment

__all__ = ["environment"]
