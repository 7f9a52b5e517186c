"""Removing secrets from texts that are shown, recorded or logged."""
