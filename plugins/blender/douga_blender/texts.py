"""Japanese for everything that is written in English elsewhere; Blender looks it up by itself."""

from __future__ import annotations

import bpy
from douga_client.choice import CLASS_KEYS
from douga_client.texts import class_title

_JA = {
    "Douga": "動画",
    "Options": "オプション",
    "Source": "入力",
    "Active image": "アクティブ画像",
    "Rendered frame": "レンダリング結果",
    "Frames of the image": "画像のフレーム範囲",
    "Frames of a clip": "クリップのフレーム範囲",
    "Clip": "クリップ",
    "First frame": "開始フレーム",
    "Last frame": "終了フレーム",
    "Line width": "線幅",
    "Palette": "パレット",
    "Cel model": "セルのモデル",
    "Line model": "線のモデル",
    "Classes": "クラス",
    "Images": "画像",
    "Cel": "セル",
    "Cel mask": "セルマスク",
    "Class ids": "クラス ID",
    "Progress": "進行状況",
    "Reconstruct douga": "動画を復元",
    "Cut out alpha": "アルファで切り抜き",
    "Add to compositor": "コンポジターに追加",
    "Export multilayer EXR": "マルチレイヤー EXR を書き出す",
    "Cancel": "キャンセル",
    "Ask the server": "サーバーに問い合わせる",
    "Open settings": "設定を開く",
    "Copy the command": "コマンドをコピー",
    "Server": "サーバー",
    "Token": "トークン",
    "Authority's certificate": "認証局の証明書",
    "Own certificate": "クライアント証明書",
    "Own key": "クライアントの鍵",
    "Packing": "転送形式",
    "Start a server when there is none": "サーバーがなければ起動する",
    "Keep it running when Blender ends": "Blender 終了後も動かしておく",
    "Douga is installed in": "Douga のインストール先",
    "not known: run douga plugin install blender": "不明です。douga plugin install blender を実行してくだ"
    "さい",
    "No image": "画像なし",
    "A result of Douga": "この画像は Douga の結果です",
    "images": "枚の画像",
    "layers": "枚のレイヤー",
    "There is no image here: open one, or choose another source": "画像がありません。画像を開くか、別の入"
    "力を選んでください",
    "There is no clip here: choose one, or another source": "クリップがありません。クリップか別の入力を選"
    "んでください",
    "Nothing that you asked for is in this frame": "選んだクラスはこのフレームにありません",
    "Tiled images are not supported; choose a plain one:": "タイル画像には対応していません:",
    "A multilayer image has no single frame; render a layer of it first:": "マルチレイヤー画像は直接使えま"
    "せん。先にレイヤーをレンダリングしてください:",
    "This image has many frames; choose a range of frames as the source:": "複数フレームの画像です。入力で"
    "フレーム範囲を選んでください:",
    "This image has a single frame; choose the active image as the source:": "1 フレームの画像です。入力で"
    "アクティブ画像を選んでください:",
    "The image is empty, or its file is missing:": "画像が空か、ファイルがありません:",
    "The image cannot be read:": "画像を読み込めません:",
    "The movie cannot be read:": "動画ファイルを読み込めません:",
    "The movie has fewer frames than that:": "動画ファイルのフレーム数を超えています:",
    "A frame's file is missing:": "フレームのファイルがありません:",
    "The name of this sequence's file has no number:": "連番ファイルの名前に番号がありません:",
    "Nothing has been rendered yet: render the frame first": "まだレンダリングされていません。先にレンダリ"
    "ングしてください",
    "There is no result to export: reconstruct a frame first": "書き出す結果がありません。先に動画を復元し"
    "てください",
    "There is no result to mix: reconstruct a frame first": "合成する結果がありません。先に動画を復元して"
    "ください",
    "An image of the result was removed meanwhile:": "結果の画像が途中で削除されました:",
    "The images of the result differ in size:": "結果の画像の大きさが異なります:",
    "The palette cannot be read:": "パレットを読み込めません:",
    "The file cannot be written:": "ファイルを書き込めません:",
    "The scene has no compositor: make one in the Compositor first": "シーンにコンポジターがありません。先"
    "に作成してください",
    "This Blender has no numpy; install it (Debian: python3-numpy)": "この Blender には numpy がありません"
    "（Debian では python3-numpy）",
    "The server has not been asked yet what it can do: press the arrows beside Server": "サーバーにまだ問"
    "い合わせていません。「サーバー」横の矢印を押してください",
    "This server has no model that cuts out characters yet": "このサーバーには切り抜き用のモデルがまだあり"
    "ません",
}
_JA |= {class_title(key).capitalize(): class_title(key, "ja") for key in CLASS_KEYS}
_LABELS = {("*", english): japanese for english, japanese in _JA.items()}
_BUTTONS = {
    ("Operator", english): _JA[english]
    for english in (
        *("Reconstruct douga", "Cut out alpha", "Add to compositor", "Export multilayer EXR", "Cancel"),
        *("Ask the server", "Open settings", "Copy the command"),
    )
}


def language() -> str:
    """ "ja" or "en": which of the client's texts."""
    return "ja" if bpy.app.translations.locale.startswith("ja") else "en"


def translated(text: str) -> str:
    """A text of ours in the user's language."""
    return bpy.app.translations.pgettext_iface(text)


def register() -> None:
    """Tell Blender. Newer versions say "ja", older ones "ja_JP"; both look it up by the longer first."""
    table = {**_LABELS, **_BUTTONS}
    bpy.app.translations.register(__package__, {"ja_JP": table, "ja": table})


def unregister() -> None:
    """Take them away."""
    bpy.app.translations.unregister(__package__)
