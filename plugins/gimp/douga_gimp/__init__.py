"""The plug-in for GIMP 3, started by GIMP as a program of its own; Script-Fu for GIMP 2.10 lies in script-fu."""
