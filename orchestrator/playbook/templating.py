"""Template files of playbooks; see orchestrator.language.templating."""

from orchestrator.language.templating import TemplateOptions, render_file

__all__ = ["TemplateOptions", "render_file"]
