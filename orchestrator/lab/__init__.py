"""Virtual Jetsons: folders that are the root of namespaces, behind an SSH server on loopback (see lab.py)."""
