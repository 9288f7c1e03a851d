"""The plug-in's own words, English and Japanese; those of errors and stages are the client's."""

from __future__ import annotations

BAD_PALETTE = "{path} is not a palette: {said}. To check it: douga palette show {path}"
_JAPANESE = {
    "Reconstruct douga...": "動画を復元...",
    "Douga settings...": "Douga の設定...",
    "Douga settings": "Douga の設定",
    "Takes a finished frame apart into cel, lines and fills, as a group of layers": (
        "完成したフレームをセル・線・塗りに分解し、レイヤーグループにします"
    ),
    "Which Douga server the plug-in uses": "使用する Douga サーバーを設定します",
    "Source": "対象",
    "Visible image": "表示されている画像",
    "Selected layer": "選択したレイヤー",
    "Bounds of the selection": "選択範囲の外接矩形",
    "Line width (0: default)": "線の太さ (0: 既定)",
    "Palette": "パレット",
    "Default of the server": "サーバーの既定",
    "Palette of your own (TOML file)": "独自のパレット (TOML ファイル)",
    BAD_PALETTE: "{path} はパレットではありません: {said}。確認: douga palette show {path}",
    "Cel model": "セルのモデル",
    "Lines model": "線のモデル",
    "C_el model": "セルのモデル(_E)",
    "L_ines model": "線のモデル(_I)",
    "No server runs yet; one that does tells here which models it has.": (
        "サーバーはまだ動いていません。動作中はここに使えるモデルが表示されます。"
    ),
    "Layers": "レイヤー",
    "Cel with mask": "マスク付きセル",
    "Server": "サーバー",
    "Token": "トークン",
    "Certificate authority (file)": "認証局の証明書ファイル",
    "Use TLS": "TLS を使う",
    "Start a server when none runs": "サーバーがなければ起動する",
    "Keep the server running": "サーバーを終了させない",
    "Nothing is selected; select a part of the image, or choose another source.": (
        "選択範囲がありません。範囲を選択するか、別の対象を選んでください。"
    ),
    "Exactly one layer must be selected for this source.": "この対象ではレイヤーを一つだけ選択してください。",
    "The image is greyscale or indexed; choose Image > Mode > RGB first.": (
        "画像がグレースケールまたはインデックスです。先に「画像 > モード > RGB」を選んでください。"
    ),
    "The image has no layers; open a frame first.": (
        "画像にレイヤーがありません。先にフレームを開いてください。"
    ),
    "The frame was converted to 8-bit sRGB for the server; your image keeps its own format.": (
        "サーバーには 8bit sRGB に変換して送りました。画像の形式は変わりません。"
    ),
}


def say(text: str, language: str) -> str:
    """A text in the language of the user. language: any but "ja" is English."""
    return _JAPANESE.get(text, text) if language == "ja" else text
