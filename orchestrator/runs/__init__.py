"""A run: plays over devices, one worker each, with a journal of what happened."""
