"""Helpers behind the scripts: what is too long for a shell script, on the standard library alone unless a module says otherwise."""
