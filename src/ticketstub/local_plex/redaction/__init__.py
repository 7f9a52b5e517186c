"""Takes secrets out of what is shown, recorded or logged."""
