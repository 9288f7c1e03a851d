"""Douga takes a finished frame of hand-drawn animation apart again into cel, cel mask and douga.

Importing the package is cheap: torch is loaded by the modules that need it, when they are imported.
"""

__version__ = "0.1.0"
