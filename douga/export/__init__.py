"""Reconstruction -> the bytes of files. One module a format; none of them knows a folder."""
