"""The error tree. Every message says what came, what was expected and how to mend it.

DougaError                    anything that a caller can act on
├── InputError                a file, folder, video or pixel array that cannot be used
│   └── MissingInputError     it is not there, or nothing in it is a frame
├── OutputError               a result that cannot be written (permissions, full disk)
├── PaletteError              a palette file with unknown, missing or clashing entries
├── CheckpointError           weights that do not fit the network, or are no weights at all
├── DeviceError               a device was asked for that this machine does not have
└── RecipeError               a training recipe with an unknown key or a value out of range
"""


class DougaError(Exception):
    """Base of every error that Douga raises on purpose."""


class InputError(DougaError):
    """A file, folder, video or pixel array that cannot be used."""


class MissingInputError(InputError):
    """An input that is not there, or a folder without a single frame."""


class OutputError(DougaError):
    """A result that cannot be written."""


class PaletteError(DougaError):
    """A palette with unknown, missing or clashing entries."""


class CheckpointError(DougaError):
    """Weights that do not fit the network, or are no weights at all."""


class DeviceError(DougaError):
    """A device was asked for that this machine does not have."""


class RecipeError(DougaError):
    """A training recipe with an unknown key or a value out of range."""
