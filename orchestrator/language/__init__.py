"""What may stand in `{{ }}`: Jinja2 with Ansible's filters, tests and lookups, for inventories and playbooks alike."""
