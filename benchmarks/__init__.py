"""What Ticketstub costs, beside a peer or a floor measured in the same run. `make bench` prints the table.

Rule: subjects take turns, round by round, so that a busy machine slows them alike; a row gives medians, the spread of
its rounds and the ratio. Nothing here passes or fails.
"""
