"""Douga for plugins: a client in plain Python that never waits, for any host's own Python from 3.10 on.

Start at `api` (what a plugin works with), `client.open_client` and `fake.FakeClient`. Importing this package
does nothing, and nothing in it connects before there is a job.
"""
