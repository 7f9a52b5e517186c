"""The answers to the wire's calls, a family of calls a file: load, decide (policy.py), one store verb, return."""
