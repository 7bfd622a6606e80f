"""Stands in for device_agent/engine in the copy of the agent that job tests use."""
