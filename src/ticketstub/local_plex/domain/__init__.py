"""Who may do what, a family of calls a file: decisions without any I/O, as in policy.py."""
