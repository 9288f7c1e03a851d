"""The panel. It shows the model and tells it what was pressed; a timer moves the model on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from douga_client import texts as client_texts
from douga_client.api import Client, Palette
from douga_client.choice import Choice
from douga_client.errors import Mend
from douga_client.palette_file import PaletteFileError, read_palette
from douga_client.texts import class_title
from douga_client.warm import warm_up
from krita import DockWidget, Krita
from PyQt5.QtCore import QLocale, QTimer
from PyQt5.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from .document import KritaDocument
from .model import ALL_LAYERS, CEL, CEL_MASK, CLASSES, SOURCES, Model
from .texts import text

_GROUP = "douga"  # of Krita's own settings, for what was chosen last


def _open_client() -> Client:
    from douga_client import settings
    from douga_client.client import open_client

    return open_client(settings.read())


class DougaDocker(DockWidget):
    """Krita makes one for each window."""

    def __init__(self) -> None:
        super().__init__()
        self.language = "ja" if QLocale().name().startswith("ja") else "en"
        self.model = Model(_open_client, self.language, warm_up)
        self.setWindowTitle(self._text("title"))
        self._palette: Palette | None = None
        self._last_kind, self._told = "", None
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tick)
        self.model.changed = self._show
        QApplication.instance().aboutToQuit.connect(self.model.close)
        self._show()

    def enterEvent(self, event: Any) -> None:
        """Whoever comes to press a button gets the client loaded meanwhile."""
        self.model.queue.warm()
        self._timer.start(0)

    def canvasChanged(self, canvas: Any) -> None:
        """Another image is in front; the panel works on whatever is when a button is pressed."""

    # -- what it looks like ----------------------------------------------------------------------------------

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        self.reconstruct_button = QPushButton(self._text("reconstruct"))
        self.cutout_button = QPushButton(self._text("cutout"))
        self.reconstruct_button.clicked.connect(lambda: self.start("reconstruct"))
        self.cutout_button.clicked.connect(lambda: self.start("cutout"))
        column.addWidget(self.reconstruct_button)
        column.addWidget(self.cutout_button)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.status = QLabel()
        self.status.setWordWrap(True)
        column.addWidget(self.bar)
        column.addWidget(self.status)
        row = QHBoxLayout()
        self.cancel_button = QPushButton(self._text("cancel"))
        self.mend_button = QPushButton()
        self.settings_button = QPushButton(self._text("settings"))
        self.cancel_button.clicked.connect(lambda: self.model.cancel())
        self.mend_button.clicked.connect(self._mend)
        self.settings_button.clicked.connect(self._open_settings)
        for button in (self.cancel_button, self.mend_button, self.settings_button):
            row.addWidget(button)
        column.addLayout(row)
        column.addLayout(self._build_form())
        column.addWidget(self._build_layers())
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        self.setWidget(area)

    def _build_form(self) -> QFormLayout:
        form = QFormLayout()
        self.source = QComboBox()
        for name in SOURCES:
            self.source.addItem(self._text(name), name)
        self.frames = QCheckBox(self._text("frames"))
        self.frames.setToolTip(self._text("frames_tip"))
        self.first, self.last = QSpinBox(), QSpinBox()
        row = QHBoxLayout()
        for box in (self.first, self.last):
            box.setRange(0, 99999)
            box.setEnabled(False)
            self.frames.toggled.connect(box.setEnabled)
            row.addWidget(box)
        self.cel_model, self.lines_model, self.palette_box = QComboBox(), QComboBox(), QComboBox()
        self._fill_choices()
        for box in (self.source, self.cel_model, self.lines_model, self.palette_box):
            box.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)  # docks are narrow
            box.setMinimumContentsLength(10)
        self.palette_box.activated.connect(self._choose_palette)
        self.width = QSpinBox()
        self.width.setRange(0, 15)
        self.width.setSuffix(" px")
        self.width.setSpecialValueText(self._text("default"))
        self.width.setValue(int(self._remembered("width", "0") or 0))
        form.addRow(self._text("source"), self.source)
        form.addRow(self.frames, row)
        form.addRow(self._text("cel_model"), self.cel_model)
        form.addRow(self._text("lines_model"), self.lines_model)
        form.addRow(self._text("width"), self.width)
        form.addRow(self._text("palette"), self.palette_box)
        return form

    def _build_layers(self) -> QGroupBox:
        group = QGroupBox(self._text("layers"))
        grid = QGridLayout(group)
        wanted = self._remembered("layers", ",".join(ALL_LAYERS)).split(",")
        self.layer_boxes: dict[str, QCheckBox] = {}
        for number, key in enumerate(ALL_LAYERS):
            title = class_title(key, self.language) if key in CLASSES else self._text(key)
            box = self.layer_boxes[key] = QCheckBox(title)
            box.setChecked(key in wanted)
            grid.addWidget(box, number % 6, number // 6)
        mask_box = self.layer_boxes[CEL_MASK]
        self.layer_boxes[CEL].toggled.connect(mask_box.setEnabled)  # it is the cel's
        mask_box.setEnabled(self.layer_boxes[CEL].isChecked())
        return group

    # -- what is pressed -------------------------------------------------------------------------------------

    def start(self, kind: str) -> None:
        """A button was pressed. kind: "reconstruct" or "cutout"."""
        choice, layers = self.choice(), [key for key, box in self.layer_boxes.items() if box.isChecked()]
        Krita.instance().writeSetting(_GROUP, "layers", ",".join(layers))
        Krita.instance().writeSetting(_GROUP, "width", str(choice.line_width_px))
        self._last_kind = kind
        times = self.times()
        document = KritaDocument.active(self.source.currentData(), self.language, times)
        self.model.start(kind, document, choice, times or (None,))
        self._timer.start(0)

    def choice(self) -> Choice:
        """What the panel shows."""
        wanted = {key for key, box in self.layer_boxes.items() if box.isChecked()}
        return Choice(
            line_width_px=self.width.value(),
            palette=self._palette,
            cel_model=self.cel_model.currentData() or "",
            lines_model=self.lines_model.currentData() or "",
            classes=frozenset(wanted.intersection(CLASSES)),
            has_cel=CEL in wanted,
            has_mask=CEL_MASK in wanted,
        )

    def times(self) -> tuple[int, ...]:
        """The frames that are wanted; none: what is there now."""
        first, last = sorted((self.first.value(), self.last.value()))
        return tuple(range(first, last + 1)) if self.frames.isChecked() else ()

    def _choose_palette(self) -> None:
        chosen = self.palette_box.currentData()
        if chosen != "file":
            self._palette = Palette(chosen) if chosen else None
            return
        path, _ = QFileDialog.getOpenFileName(self, self._text("palette"), "", "TOML (*.toml)")
        self._palette = None
        try:
            if path:
                self._palette = read_palette(Path(path))
                self.palette_box.setItemText(self.palette_box.currentIndex(), Path(path).name)
                return
        except PaletteFileError as exc:
            self.status.setText(self._text("bad_palette", path=path, said=str(exc)))
        self.palette_box.setCurrentIndex(0)

    def _open_settings(self) -> None:
        from .settings_page import SettingsPage

        SettingsPage(self, self.language, self.model.reconnect, self._test).exec_()
        self._timer.start(0)

    def _test(self) -> None:
        self.model.ask(may_start=True)
        self._timer.start(0)

    def _mend(self) -> None:
        error = self.model.error
        if error is None:
            return
        if error.mend is Mend.SETTINGS:
            self._open_settings()
        elif error.mend is Mend.COMMAND:
            QApplication.clipboard().setText(error.command("krita"))
            self.status.setText(self._text("copied", command=error.command("krita")))
        elif error.mend is Mend.START or self.model.queue.last is None:
            self._test()  # where nothing was done yet, it was the question that failed
        elif self._last_kind:
            self.start(self._last_kind)

    # -- what is shown ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.model.tick()
        queue = self.model.queue
        if not queue.is_idle or queue.pause_s < 1.0:
            self._timer.start(max(1, round(queue.pause_s * 1000)))
        self.bar.setValue(round(self.model.share * 1000))

    def _show(self) -> None:
        model = self.model
        self.status.setText(model.status)
        self.bar.setVisible(model.is_busy)
        self.cancel_button.setEnabled(model.is_busy)
        why = model.why_no_cutout
        self.cutout_button.setEnabled(not why)
        self.cutout_button.setToolTip(why)
        error = None if model.is_busy else model.error
        label = client_texts.button(error.mend, self.language) if error is not None else ""
        self.mend_button.setText(label)
        self.mend_button.setVisible(bool(label))
        if self._told is not model.info:
            self._fill_choices()

    def _fill_choices(self) -> None:
        """Models and presets as the server has told them; what is chosen stays."""
        info = self._told = self.model.info
        models = [(model.stage, model.name) for model in info.models] if info is not None else []
        presets = [palette.name for palette in info.palettes] if info is not None else []
        is_own = self._palette is not None and bool(self._palette.classes)
        own = self._palette.name if is_own and self._palette is not None else self._text("own_palette")
        for box, known, more in (
            (self.cel_model, [name for stage, name in models if stage == "cel"], []),
            (self.lines_model, [name for stage, name in models if stage == "lines"], []),
            (self.palette_box, presets, [(own, "file")]),
        ):
            chosen = box.currentData()
            box.clear()
            for title, data in [(self._text("default"), ""), *((name, name) for name in known), *more]:
                box.addItem(title, data)
            box.setCurrentIndex(max(0, box.findData(chosen)))

    def _text(self, key: str, **details: object) -> str:
        return text(key, self.language, **details)

    @staticmethod
    def _remembered(name: str, usual: str) -> str:
        return str(Krita.instance().readSetting(_GROUP, name, usual) or usual)
