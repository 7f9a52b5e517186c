"""The protocol: calls as values, written once for both ends. Start with call.py, then one file a family."""
