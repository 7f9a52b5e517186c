"""The addresses of media servers that have a listener of their own: what a client meets there, and their names."""
