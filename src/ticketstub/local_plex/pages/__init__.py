"""The pages that people click: sign in, approve an app, type a link code, devices, Home; server-rendered HTML."""
