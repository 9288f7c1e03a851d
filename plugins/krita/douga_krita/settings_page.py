"""The settings that all hosts share, as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from douga_client import settings as stored
from douga_client.errors import ClientError
from douga_client.settings import Settings
from PyQt5.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from .texts import text

_WORDS = ("server", "token", "ca_file", "python", "arguments")
_SWITCHES = ("tls", "start_server", "keep_server")


class SettingsPage(QDialog):
    """Reads when it opens, writes when it is accepted. saved: is called then; test: tries the server."""

    def __init__(
        self, parent: QWidget, language: str, saved: Callable[[], None], test: Callable[[], None]
    ) -> None:
        super().__init__(parent)
        self._language, self._saved, self._test = language, saved, test
        self.setWindowTitle(f"{text('title', language)} - {text('settings', language).rstrip('.')}")
        self._words = {name: QLineEdit() for name in _WORDS}
        self._switches = {name: QCheckBox(text(name, language)) for name in _SWITCHES}
        self._words["server"].setToolTip(text("server_tip", language))
        self._words["token"].setEchoMode(QLineEdit.PasswordEchoOnEdit)
        form = QFormLayout(self)
        for name in _WORDS:
            form.addRow(text(name, language), self._words[name])
            if name == "token":
                form.addRow("", self._switches["tls"])
        for name in _SWITCHES[1:]:
            form.addRow("", self._switches[name])
        self._trouble = QLabel()
        self._trouble.setWordWrap(True)
        form.addRow(self._trouble)
        buttons = QDialogButtonBox(QDialogButtonBox.Save | QDialogButtonBox.Cancel)
        test_button = buttons.addButton(text("test", language), QDialogButtonBox.ActionRole)
        test_button.clicked.connect(self._save_and_test)
        buttons.accepted.connect(self._save_and_close)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)
        self._show_settings()

    def _show_settings(self) -> None:
        try:
            self._known = stored.read()
        except ClientError as exc:
            self._known = Settings()
            self._trouble.setText(exc.text(self._language))
        for name, box in self._words.items():
            value = getattr(self._known, name)
            box.setText(" ".join(value) if name == "arguments" else value)
        for name, switch in self._switches.items():
            switch.setChecked(getattr(self._known, name))

    def _save(self) -> bool:
        words = {name: box.text().strip() for name, box in self._words.items()}
        chosen = {
            **words,
            "server": words["server"] or "auto",
            "arguments": tuple(words["arguments"].split()),
        }
        switches = {name: switch.isChecked() for name, switch in self._switches.items()}
        try:
            stored.write(replace(self._known, **chosen, **switches))
        except ClientError as exc:
            self._trouble.setText(exc.text(self._language))
            return False
        self._saved()
        return True

    def _save_and_close(self) -> None:
        if self._save():
            self.accept()

    def _save_and_test(self) -> None:
        if self._save():
            self._test()
