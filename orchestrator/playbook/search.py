"""Where the files lie that playbooks name; see orchestrator.language.search."""

from orchestrator.language.search import candidates, find, read_text, search_paths

__all__ = ["candidates", "find", "read_text", "search_paths"]
