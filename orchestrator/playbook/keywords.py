"""The keywords of plays, blocks, tasks, handlers and includes, with a line of help each."""

from __future__ import annotations

from collections.abc import Mapping

INHERITED: Mapping[str, str] = {
    "when": "condition, or list of conditions that must all hold",
    "tags": "words for --tags and --skip-tags; always and never are special",
    "vars": "variables",
    "become": "run as root, or as become_user",
    "become_user": "who to become, root by default",
    "become_method": "sudo",
    "check_mode": "true: only predict; false: do it even with --check",
    "diff": "whether to show what changes inside",
    "no_log": "show and keep nothing of what the task got and gave",
    "ignore_errors": "go on where the task failed",
    "ignore_unreachable": "go on where the device could not be reached",
    "any_errors_fatal": "one device's failure stops all",
    "delegate_to": "run on another host: localhost",
    "run_once": "run for the first device only, the result is everybody's",
    "timeout": "seconds after which the task has failed",
    "environment": "environment variables for what runs on the device",
    "module_defaults": "arguments by module, where tasks do not give them",
    "notify": "handlers to run if something changed",
}
"""What plays, blocks and tasks can all say, and hand down (a play cannot say `when`, `notify` and `delegate_to`)."""

TASK: Mapping[str, str] = {
    **INHERITED,
    "name": "what people see",
    "args": "arguments of the module",
    "action": "the module and its arguments",
    "local_action": "the module and its arguments, run on the controller",
    "loop": "a list: the task runs for each item",
    "with_items": "a list, flattened by one level: the task runs for each item",
    "with_dict": "a mapping: the task runs for each item.key and item.value",
    "with_fileglob": "file patterns on the controller: the task runs for each file",
    "loop_control": "loop_var, index_var, label, pause, extended, extended_allitems, break_when",
    "register": "variable that keeps the result",
    "until": "try again until this holds",
    "retries": "how often to try again (3)",
    "delay": "seconds between tries (5)",
    "async": "run detached, for at most so many seconds",
    "poll": "seconds between looks at a detached task; 0: do not wait (15)",
    "changed_when": "condition for changed, instead of the module's own answer",
    "failed_when": "condition for failed, instead of the module's own answer",
}

HANDLER: Mapping[str, str] = {**TASK, "listen": "topics that notify this handler, besides its name"}

BLOCK: Mapping[str, str] = {
    **INHERITED,
    "name": "what people see",
    "block": "the tasks",
    "rescue": "tasks to run where one of them failed",
    "always": "tasks to run in any case",
}

PLAY: Mapping[str, str] = {
    **{name: line for name, line in INHERITED.items() if name not in ("when", "notify", "delegate_to")},
    "name": "what people see",
    "hosts": "pattern of hosts",
    "gather_facts": "ask devices for their facts first (true)",
    "vars_files": "files of variables",
    "remote_user": "login user, where the inventory names none",
    "connection": "ssh, local or lab, where the inventory names none",
    "strategy": "linear: task by task; free: no device waits for another (the default where nobody could tell)",
    "serial": "how many devices at a time: a number, a percentage, or a list of them",
    "max_fail_percentage": "stop all when more than so many devices of a batch failed",
    "order": "inventory, reverse_inventory, sorted, reverse_sorted, shuffle",
    "force_handlers": "run notified handlers even on devices that failed",
    "pre_tasks": "tasks before roles",
    "roles": "roles, in order",
    "tasks": "tasks",
    "post_tasks": "tasks after all others",
    "handlers": "tasks that run when notified",
}

ROLE: Mapping[str, str] = {
    **{name: line for name, line in INHERITED.items() if name != "notify"},
    "role": "the role's name",
    "name": "the role's name",
}

INCLUDE: tuple[str, ...] = (
    "name",
    "args",
    "action",
    "when",
    "tags",
    "vars",
    "loop",
    "with_items",
    "with_dict",
    "with_fileglob",
    "loop_control",
    "register",
    "ignore_errors",
    "no_log",
    "run_once",
    "timeout",
    "listen",
)
"""What a dynamic include can say; `apply` hands more down to the included tasks."""

IMPORT: tuple[str, ...] = (*INHERITED, "name", "args", "action")
"""What a static import can say: all of it is handed down."""

STRATEGIES = ("linear", "free")
ORDERS = ("inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle")
METAS = ("flush_handlers", "end_play", "end_host", "clear_facts", "noop")
CONNECTIONS = ("ssh", "local", "lab", "smart", "paramiko", "paramiko_ssh")

REFUSED: Mapping[str, str] = {
    "throttle": "devices are bounded by --forks and serial",
    "debugger": "there is no debugger",
    "collections": "modules are named by their short names or in full",
    "delegate_facts": "facts belong to the host that the play names",
    "port": "set ansible_port in the inventory",
    "become_flags": "Fleet starts its agent once under sudo",
    "become_exe": "Fleet starts its agent once under sudo",
    "vars_prompt": "use -e, or a vault",
    "gather_subset": "use the setup module",
    "gather_timeout": "use the setup module",
    "fact_path": "use the setup module",
    "include": "say include_tasks or import_tasks",
    "with_sequence": "loop over range(...)",
    "with_together": "loop over a | zip(b)",
    "with_subelements": "loop over a | subelements('b')",
    "with_nested": "loop over a | product(b)",
    "with_first_found": "loop over [lookup('first_found', ...)]",
    "with_list": "say loop",
    "with_lines": "loop over lookup('pipe', ...).splitlines()",
    "with_indexed_items": "loop with loop_control: index_var",
    "with_random_choice": "loop over [list | random]",
}
"""Words of Ansible that are refused, and what to do instead."""
