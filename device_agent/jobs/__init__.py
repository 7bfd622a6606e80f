"""Long work in a process of its own, which outlives the session that started it.

store        the folder of a job: state, events, lock; what every session may read
supervisor   the detached process: holds the lock, runs the work, records how it ended
work         Job: what the work is given
"""
