"""Douga in Krita: a docker panel. Nothing is connected, started or loaded before there is something to do."""

from __future__ import annotations

try:
    from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita
except ImportError:  # not within Krita, such as in a test of the model
    pass
else:
    from .docker import DougaDocker

    Krita.instance().addDockWidgetFactory(
        DockWidgetFactory("douga", DockWidgetFactoryBase.DockRight, DougaDocker)
    )
