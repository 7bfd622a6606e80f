"""The fleet as its owner wrote it down: hosts, groups and variables, with the meaning that Ansible gives them."""

from orchestrator.inventory.inventory import Host, Inventory, load_inventory

__all__ = ["Host", "Inventory", "load_inventory"]
