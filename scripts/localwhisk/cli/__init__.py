"""Commands beside `serve`: each is a function from options to an exit code."""
