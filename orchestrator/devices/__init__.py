"""Devices as the controller reaches them: connections, host keys, the agent's session and transfers."""
