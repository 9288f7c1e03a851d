"""What the panel says, in English and Japanese. Errors and stages have their texts in the client."""

from __future__ import annotations

_TEXTS = {
    "title": ("Douga", "動画"),
    "reconstruct": ("Reconstruct douga", "動画を復元"),
    "cutout": ("Cut out alpha", "アルファを切り抜き"),
    "cutout_unknown": (
        "Not known yet whether the server can do this; the first job asks it, or Settings > Test.",
        "サーバーが対応しているかまだ分かりません。最初の処理か「設定 > 接続テスト」で確認します。",
    ),
    "cutout_missing": (
        "This server has no weights for cutouts.",
        "このサーバーには切り抜き用の重みがありません。",
    ),
    "source": ("Take apart", "対象"),
    "visible": ("What is visible", "表示されている部分"),
    "image": ("Whole image, hidden layers too", "画像全体（非表示レイヤーも含む）"),
    "layer": ("Selected layer", "選択中のレイヤー"),
    "selection": ("Selection", "選択範囲"),
    "frames": ("Frames", "フレーム範囲"),
    "frames_tip": (
        "Each frame of the range becomes a frame of animated layers.",
        "範囲の各フレームをアニメーションレイヤーにします。",
    ),
    "cel_model": ("Cel model", "セルのモデル"),
    "lines_model": ("Line model", "線のモデル"),
    "default": ("Server's default", "サーバーの既定"),
    "width": ("Line width", "線幅"),
    "palette": ("Palette", "パレット"),
    "own_palette": ("From a file...", "ファイルから..."),
    "layers": ("Layers", "作るレイヤー"),
    "cel": ("cel", "セル"),
    "cel_mask": ("cel mask", "セルマスク"),
    "alpha": ("cutout", "切り抜き"),
    "cancel": ("Cancel", "キャンセル"),
    "settings": ("Settings...", "設定..."),
    "done": ("{name}: done, {seconds:.1f} s", "{name}: 完了（{seconds:.1f} 秒）"),
    "no_document": ("Open an image first.", "先に画像を開いてください。"),
    "no_layer": ("Select a layer with pixels first.", "先にピクセルのあるレイヤーを選択してください。"),
    "no_selection": ("Select something first.", "先に範囲を選択してください。"),
    "empty": ("There is nothing in it to take apart.", "分解するものがありません。"),
    "closed": (
        "The image was closed meanwhile, so the layers of {name} had nowhere to go.",
        "処理中に画像が閉じられたため、{name} のレイヤーは作成されませんでした。",
    ),
    "resized": (
        "The image of {name} changed its size meanwhile; do it again.",
        "処理中に {name} のサイズが変わりました。もう一度実行してください。",
    ),
    "converted": (
        "Converted to sRGB, 8 bits a channel, for the server; your image stays as it is.",
        "サーバー用に sRGB・8 ビットへ変換しました。元の画像は変わりません。",
    ),
    "no_frame": (
        "Krita took too long to show frame {frame} of {name}; wait until it is done, then try again.",
        "{name} のフレーム {frame} の表示に時間がかかりすぎました。完了を待って、もう一度実行してください。",
    ),
    "nothing": (
        "No line or area of the wanted classes was found.",
        "指定したクラスの線や塗りは見つかりませんでした。",
    ),
    "bad_palette": (
        "{path} is not a palette: {said}. To check it: douga palette show {path}",
        "{path} はパレットではありません: {said}。確認: douga palette show {path}",
    ),
    "copied": ("Copied: {command}", "コピーしました: {command}"),
    "server": ("Server", "サーバー"),
    "server_tip": (
        "auto: the server of this machine, started where none runs. Or HOST:PORT, or unix:PATH.",
        "auto: このマシンのサーバー（なければ起動）。または HOST:PORT、unix:PATH。",
    ),
    "token": ("Token", "トークン"),
    "tls": ("Encrypted (TLS)", "暗号化 (TLS)"),
    "ca_file": ("Certificate of the authority", "認証局の証明書"),
    "python": ("Python with Douga", "Douga のある Python"),
    "arguments": ("More for the server", "サーバーの追加引数"),
    "start_server": ("Start a server when none runs", "サーバーがなければ起動する"),
    "keep_server": ("Keep it when Krita ends", "Krita 終了後も動かし続ける"),
    "test": ("Test", "接続テスト"),
    "answered": ("Douga {version} answers on {devices}.", "Douga {version} が応答しました（{devices}）。"),
    "language": ("Language", "言語"),
}


def text(key: str, language: str = "en", **details: object) -> str:
    """A text in "en" or "ja" with its details filled in."""
    pattern = _TEXTS[key][language == "ja"]
    return pattern.format(**details) if details else pattern
