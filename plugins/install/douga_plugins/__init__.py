"""Puts the plugins into their hosts: `douga plugin list`, `install`, `remove`, `pack`."""
