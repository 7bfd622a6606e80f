"""What playbooks use of the language of expressions; see orchestrator.language."""

from orchestrator.language.expressions import (
    HostVars,
    condition,
    evaluate,
    has_template,
    is_omitted,
    lazy_variables,
    render,
    run_lookup,
    to_bool,
)

__all__ = [
    "HostVars",
    "condition",
    "evaluate",
    "has_template",
    "is_omitted",
    "lazy_variables",
    "render",
    "run_lookup",
    "to_bool",
]
