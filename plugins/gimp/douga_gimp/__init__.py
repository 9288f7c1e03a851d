"""The plug-in for GIMP 3, started by GIMP as its own program; Script-Fu for GIMP 2.10 lies in script-fu."""
