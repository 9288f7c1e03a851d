"""Sentences for people, English and Japanese: one for each kind of error, stage and button."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from .errors import Kind, Mend

LANGUAGES = ("en", "ja")
_LONGEST = 300  # of what the other side said

_ERRORS: dict[Kind, tuple[str, str]] = {
    Kind.NO_SERVER: (
        "No Douga server answers at {address}. Start one, or enter another address in Settings.",
        "{address} で Douga サーバーが応答しません。サーバーを起動するか、設定で別のアドレスを入力してくださ"
        "い。",
    ),
    Kind.NAME_UNKNOWN: (
        "No machine has the name in {address}. Check its spelling in Settings.",
        "{address} という名前のマシンが見つかりません。設定でつづりを確認してください。",
    ),
    Kind.UNREACHABLE: (
        "The server at {address} cannot be reached ({said}). Check the network, then try again.",
        "{address} のサーバーに接続できません（{said}）。ネットワークを確認して、もう一度お試しください。",
    ),
    Kind.LOST: (
        "The server at {address} went away in the middle ({said}). Your document is unchanged; try again.",
        "処理中に {address} のサーバーとの接続が切れました（{said}）。ドキュメントは変更されていません。もう"
        "一度お試しください。",
    ),
    Kind.TLS_UNTRUSTED: (
        "The certificate of the server at {address} is not trusted ({said}). Choose the file of the "
        "authority "
        "that signed it in Settings, and use the host name that it was made out to.",
        "{address} のサーバー証明書は信頼されていません（{said}）。署名した認証局のファイルを設定で選び、"
        "証明書にあるホスト名を使ってください。",
    ),
    Kind.TLS_NEEDED: (
        "The server at {address} closed the connection at once; it probably wants TLS. Turn TLS on in "
        "Settings.",
        "{address} のサーバーがすぐに接続を閉じました。TLS が必要と思われます。設定で TLS を有効にしてくださ"
        "い。",
    ),
    Kind.TLS_NOT_SPOKEN: (
        "The server at {address} speaks no TLS. Turn TLS off in Settings.",
        "{address} のサーバーは TLS に対応していません。設定で TLS を無効にしてください。",
    ),
    Kind.TLS_FILES: (
        "A certificate file cannot be used: {path} ({said}). Choose another in Settings.",
        "証明書ファイルを使用できません: {path}（{said}）。設定で別のファイルを選んでください。",
    ),
    Kind.CERTIFICATE_NEEDED: (
        "The server at {address} wants a certificate of yours. Choose it and its key in Settings.",
        "{address} のサーバーはクライアント証明書を求めています。設定で証明書と鍵を選んでください。",
    ),
    Kind.NOT_DOUGA: (
        "What answers at {address} is no Douga server. Check the port in Settings.",
        "{address} で応答しているのは Douga サーバーではありません。設定でポートを確認してください。",
    ),
    Kind.BAD_ADDRESS: (
        "{address} is no address. Enter HOST:PORT or unix:PATH in Settings, for example 127.0.0.1:7610.",
        "{address} はアドレスではありません。設定で HOST:PORT または unix:PATH を入力してください（例: 127.0"
        ".0.1:7610）。",
    ),
    Kind.PLAIN_TOKEN: (
        "The token is not sent to {address} without TLS, since anybody on the way could read it. Turn TLS "
        "on in "
        "Settings.",
        "TLS なしでは {address} へトークンを送りません。途中で読み取られるおそれがあります。設定で TLS を有"
        "効にしてください。",
    ),
    Kind.SOCKET_DENIED: (
        "You have no permission to use the socket {path}. Its owner must start a server for you, or give "
        "you access.",
        "ソケット {path} を使う権限がありません。所有者にサーバーの起動かアクセス権を依頼してください。",
    ),
    Kind.TOKEN_NEEDED: (
        "The server at {address} wants a token. Paste it in Settings.",
        "{address} のサーバーにはトークンが必要です。設定に貼り付けてください。",
    ),
    Kind.TOKEN_REFUSED: (
        "The server at {address} does not accept this token; it may have been changed. Paste the present "
        "one in "
        "Settings.",
        "{address} のサーバーがこのトークンを受け付けません。変更された可能性があります。現在のトークンを設"
        "定に貼り付けてください。",
    ),
    Kind.BUSY: (
        "The server at {address} has too much to do ({said}). Try again in a while.",
        "{address} のサーバーが混み合っています（{said}）。しばらくしてからもう一度お試しください。",
    ),
    Kind.LOADING: (
        "The server at {address} takes no frames now ({said}). Try again in a while.",
        "{address} のサーバーは今フレームを受け付けません（{said}）。しばらくしてからもう一度お試しください"
        "。",
    ),
    Kind.TOO_LARGE: (
        "The image is larger than the server takes: {said}.",
        "画像がサーバーの上限を超えています: {said}",
    ),
    Kind.BAD_REQUEST: ("The server cannot use this: {said}.", "サーバーで処理できません: {said}"),
    Kind.NOT_SUPPORTED: (
        "The server at {address} cannot do this yet: {said}.",
        "{address} のサーバーはこの機能にまだ対応していません: {said}",
    ),
    Kind.OTHER_VERSION: (
        "The server at {address} is of another version than this plugin ({said}). Install the same version "
        "of both.",
        "{address} のサーバーとこのプラグインのバージョンが異なります（{said}）。同じバージョンをインストー"
        "ルしてください。",
    ),
    Kind.TOO_SLOW: (
        "The server at {address} did not answer within {seconds} s. Try again later, or with a smaller "
        "image.",
        "{address} のサーバーが {seconds} 秒以内に応答しませんでした。後で、または小さい画像でお試しください"
        "。",
    ),
    Kind.CANCELLED: ("Cancelled.", "キャンセルしました。"),
    Kind.SERVER_FAILED: (
        "The server at {address} failed: {said}. Its log says more.",
        "{address} のサーバーでエラーが発生しました: {said}。詳細はサーバーのログにあります。",
    ),
    Kind.NOT_INSTALLED: (
        "This plugin does not know yet where Douga is installed ({path} is missing). Run the command below "
        "once.",
        "Douga のインストール先がまだ登録されていません（{path} がありません）。下のコマンドを一度実行してく"
        "ださい。",
    ),
    Kind.SETTINGS_BROKEN: (
        "The settings in {path} cannot be used: {said}. Run the command below to write them anew.",
        "{path} の設定を使用できません: {said}。下のコマンドで作り直してください。",
    ),
    Kind.PYTHON_MISSING: (
        "The Python that Douga was installed with is gone: {python}. Install Douga again, then run the "
        "command below.",
        "Douga をインストールした Python がありません: {python}。Douga を再インストールし、下のコマンドを実"
        "行してください。",
    ),
    Kind.DOUGA_MISSING: (
        "Douga is no longer installed in {python}. The command below installs it.",
        "{python} に Douga がインストールされていません。下のコマンドでインストールできます。",
    ),
    Kind.START_DENIED: (
        "You have no permission to start the server: {path} ({said}).",
        "サーバーを起動する権限がありません: {path}（{said}）。",
    ),
    Kind.START_FAILED: (
        "The server could not start: {said}. Run the command below in a terminal to see more, or look into "
        "{log}.",
        "サーバーを起動できませんでした: {said}。下のコマンドを端末で実行するか、{log} を確認してください。",
    ),
    Kind.START_TOO_SLOW: (
        "The server was not ready after {seconds} s and was stopped. Try again, or look into {log}.",
        "サーバーが {seconds} 秒以内に準備できなかったため停止しました。もう一度試すか、{log} を確認してくだ"
        "さい。",
    ),
    Kind.PORT_BUSY: (
        "Another program already uses {address}. Stop it, or choose another address for the server in "
        "Settings.",
        "{address} は別のプログラムが使用中です。それを停止するか、設定でサーバーのアドレスを変更してくださ"
        "い。",
    ),
    Kind.NOT_PRIVATE: (
        "{path} is not a file that you alone can read and write, so it is not trusted. Remove it and start "
        "again.",
        "{path} は本人だけが読み書きできるファイルではないため信頼できません。削除してやり直してください。",
    ),
    Kind.BUG: (
        "The plugin itself made a mistake: {said}. Please report it.",
        "プラグイン内部のエラーです: {said}。報告をお願いします。",
    ),
}
_BUTTONS: dict[Mend, tuple[str, str]] = {
    Mend.NONE: ("", ""),
    Mend.SETTINGS: ("Open settings", "設定を開く"),
    Mend.RETRY: ("Try again", "もう一度"),
    Mend.START: ("Start the server", "サーバーを起動"),
    Mend.COMMAND: ("Copy the command", "コマンドをコピー"),
}
_STAGES: dict[str, tuple[str, str]] = {
    "reading": ("reading the image", "画像を読み込み中"),
    "waiting": ("waiting here", "待機中"),
    "finding": ("looking for the server", "サーバーを検索中"),
    "starting": ("the server is starting", "サーバーを起動中"),
    "connecting": ("connecting", "接続中"),
    "sending": ("sending the image", "画像を送信中"),
    "queued": ("in the server's queue", "サーバーの順番待ち"),
    "cel": ("finding the cel", "セルを検出中"),
    "lines": ("finding lines and areas", "線と塗りを検出中"),
    "cleaning": ("cleaning the lines", "線を整理中"),
    "packing": ("packing the answer", "結果をまとめ中"),
    "receiving": ("receiving the result", "結果を受信中"),
    "placing": ("placing the result", "結果を配置中"),
}
_CLASSES_JA = {
    "flat": "平塗り",
    "visible_line": "主線",
    "shading_line": "影の色トレス線",
    "color_edge": "色の境界線",
    "highlight_line": "ハイライトの色トレス線",
    "book_line": "BOOK の線",
    "shading_fill": "影の塗り",
    "color_fill": "色の塗り",
    "highlight_fill": "ハイライトの塗り",
    "book_fill": "BOOK の塗り",
}


def sentence(kind: Kind, language: str, details: Mapping[str, str]) -> str:
    """What happened and what to do. language: any but "ja" is English."""
    return filled(_ERRORS[kind][language == "ja"], details)


def button(mend: Mend, language: str = "en") -> str:
    """Label of the button that mends it; empty for Mend.NONE."""
    return _BUTTONS[mend][language == "ja"]


def stage_title(stage: str, language: str = "en") -> str:
    """What is being done, for a progress bar. stage: see `api.STAGES` and `tasks.Task`."""
    return _STAGES[stage][language == "ja"] if stage in _STAGES else stage


def class_title(key: str, language: str = "en") -> str:
    """Name of a class for people: "visible line". language: any but "ja" is English."""
    title = key.replace("_", " ")
    return _CLASSES_JA.get(key, title) if language == "ja" else title


def filled(pattern: str, details: Mapping[str, str]) -> str:
    """A pattern with its {names} filled in; "?" where a detail is not known."""
    known = {name: tidy(value) for name, value in details.items()}
    return pattern.format_map(defaultdict(lambda: "?", known))


def tidy(text: str) -> str:
    """Somebody's words on one line, printable, of bounded length, without the stop at the end."""
    clean = "".join(c if c.isprintable() else " " for c in text).strip().rstrip(".")
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "..."
