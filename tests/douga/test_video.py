"""Videos: their frames in order and in the right colours, how long they are, what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from douga import sources, video
from douga.errors import InputError
from douga.frame_io import open_sources

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (128, 128, 128)]


def _picture(path: Path) -> None:
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)


def _write_video(
    path: Path,
    *,
    matrix: int,
    full: bool,
    tagged: bool,
    height: int = 64,
    lossless_format: str = "yuv444p",
) -> Path:
    codec: Any = "libvpx-vp9" if path.suffix == ".webm" else "mpeg4" if path.suffix == ".avi" else "libx264"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=24)
        stream.width, stream.height = 64, height
        stream.pix_fmt = lossless_format if codec == "libx264" else "yuv420p"
        if codec == "libx264":
            stream.options = {"qp": "0"}
        if tagged:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 2 if full else 1
        for colour in COLOURS:
            rgb = av.VideoFrame.from_ndarray(np.full((height, 64, 3), colour, np.uint8), "rgb24")
            yuv = rgb.reformat(
                format=stream.pix_fmt,
                dst_colorspace=matrix,
                dst_color_range=2 if full else 1,
                src_color_range=2,
            )
            for packet in stream.encode(yuv):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm", ".avi"])
def test_video_frames_in_order(tmp_path: Path, suffix: str) -> None:
    path = _write_video(tmp_path / f"clip{suffix}", matrix=5, full=False, tagged=False)
    sources = open_sources([path])
    assert sources.count == 5
    frames = [source.read() for source in sources]
    assert [f.name for f in frames] == [f"clip_{n:06d}" for n in range(1, 6)]
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.rgb[32, 32].astype(int) - colour).max() <= 12, frame.name
        assert "BT.601 (assumed)" in frame.warnings[0]
    assert next(iter(sources)).name == "clip_000001"  # a second round starts anew


@pytest.mark.parametrize(("matrix", "word"), [(1, "BT.709 (declared)"), (5, "BT.601 (declared)")])
@pytest.mark.parametrize("full", [False, True])
def test_declared_matrix_and_range_are_honoured(tmp_path: Path, matrix: int, word: str, full: bool) -> None:
    path = _write_video(tmp_path / "clip.mkv", matrix=matrix, full=full, tagged=True)
    for source, colour in zip(open_sources([path]), COLOURS, strict=True):
        frame = source.read()
        assert np.abs(frame.rgb[32, 32].astype(int) - colour).max() <= 3
        assert word in frame.warnings[0]
        assert ("full range (declared)" if full else "limited range (declared)") in frame.warnings[0]


def test_ten_bits_of_full_range(tmp_path: Path) -> None:
    path = _write_video(
        tmp_path / "clip.mkv", matrix=1, full=True, tagged=True, lossless_format="yuv444p10le"
    )
    for source, colour in zip(open_sources([path]), COLOURS, strict=True):
        frame = source.read()
        assert np.abs(frame.rgb[32, 32].astype(int) - colour).max() <= 3
        assert "full range (declared)" in frame.warnings[0]
        assert "10 bits a channel reduced to 8" in frame.warnings


def test_undeclared_hd_is_bt709(tmp_path: Path) -> None:
    path = _write_video(tmp_path / "clip.mp4", matrix=1, full=False, tagged=False, height=720)
    frame = next(iter(open_sources([path]))).read()
    assert np.abs(frame.rgb[32, 32].astype(int) - COLOURS[0]).max() <= 3
    assert "BT.709 (assumed), limited range (assumed)" in frame.warnings[0]


def test_only_the_numbers_asked_for_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write_video(tmp_path / "clip.mkv", matrix=1, full=False, tagged=False)
    _picture(tmp_path / "A0003.png")
    decoded = []
    decode = sources.decode

    def counted(given: Path) -> Iterator[Any]:
        for frame in decode(given):
            decoded.append(frame.number)
            yield frame

    monkeypatch.setattr(sources, "decode", counted)
    found = open_sources([path, tmp_path / "A0003.png"], (2, 3))
    assert found.count == 3
    assert [source.name for source in found] == ["clip_000002", "clip_000003", "A0003"]
    assert max(decoded) == 4  # that the last one is past is seen by the next
    assert open_sources([path], (9, 12)).count == 0


def test_names_that_frames_may_have(tmp_path: Path) -> None:
    path = _write_video(tmp_path / "shot.mkv", matrix=1, full=False, tagged=False)
    _picture(tmp_path / "A0003.png")
    names = ["a0003", "A0004", "shot", "shot_3", "shot_000002", "Shot_000003", "shot_1000000"]
    image = tmp_path / "A0003.png"
    of_video = ["shot_000002", "Shot_000003", "shot_1000000"]
    assert open_sources([path]).named(names) == dict.fromkeys(of_video, path)
    both = {"a0003": image, "shot_000002": path, "Shot_000003": path}
    assert open_sources([image, path], (2, 3)).named(names) == both
    assert open_sources([image]).named(names) == {"a0003": image}


def test_no_image_has_the_name_of_a_videos_frame(tmp_path: Path) -> None:
    path = _write_video(tmp_path / "shot.mkv", matrix=1, full=False, tagged=False)
    for name in ("shot_000001.png", "shot_01.png"):
        _picture(tmp_path / name)
    named = [s.name for s in open_sources([path, tmp_path / "shot_000001.png", tmp_path / "shot_01.png"])]
    assert named == [*(f"shot_{n:06d}" for n in range(1, 6)), "shot_000001_png", "shot_01"]


def test_bad_videos(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.mp4").write_bytes(b"not a video" * 50)
    good = _write_video(tmp_path / "c.mp4", matrix=1, full=False, tagged=False)
    (tmp_path / "d.mp4").write_bytes(good.read_bytes()[:-300])  # without its index
    for name in ("a.mp4", "b.mp4", "d.mp4"):
        with pytest.raises(InputError, match=rf"{name}: no video"):
            open_sources([tmp_path / name])


def _write_noise(path: Path, sound_s: float | None, **tags: str) -> Path:
    """Two seconds of noise. sound_s: of sound with it."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.metadata.update(tags)
        sound: Any = None if sound_s is None else container.add_stream("pcm_s16le", rate=8000, layout="mono")
        rng = np.random.default_rng(0)
        for number in range(48):
            noise = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
            if sound_s is not None and number < 24 * sound_s:
                hiss = rng.integers(-999, 999, (1, 8000 // 24)).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(hiss, "s16", "mono")
                heard.sample_rate, heard.pts = 8000, number * hiss.size
                container.mux(sound.encode(heard))
        container.mux(stream.encode())
        if sound is not None:
            container.mux(sound.encode())
    return path


def _cut_short(path: Path) -> bool:
    """Whether a video's last frame tells that some are missing."""
    *_, last = open_sources([path])
    try:
        last.read()
    except InputError as exc:
        return "cut short" in str(exc)
    return False


@pytest.mark.parametrize("sound_s", [2.0, 0.5])
def test_a_matroska_with_sound_is_as_long_as_its_pictures_are(tmp_path: Path, sound_s: float) -> None:
    path = _write_noise(tmp_path / "a.mkv", sound_s)
    with av.open(str(path)) as container:
        assert container.streams.video[0].duration is None
    assert not _cut_short(path)


@pytest.mark.parametrize(
    ("tags", "length_s"),
    [
        ({"DURATION": "00:00:04.167000000"}, 4.167),
        ({"DURATION-eng": "01:02:03"}, 3723),  # mkvmerge's
        ({"DURATION": "long"}, None),
        ({"BPS": "00:00:04.167"}, None),
    ],
)
def test_the_length_that_a_matroska_tells_of_one_stream(tags: dict[str, str], length_s: float | None) -> None:
    assert video._tagged_length_s(SimpleNamespace(metadata=tags)) == length_s


def test_a_tag_that_was_copied_from_a_longer_file_is_not_believed() -> None:
    stream = SimpleNamespace(
        start_time=None, time_base=1, duration=None, average_rate=24, metadata={"DURATION": "00:10:00"}
    )
    for whole_us, at_most_s in ((4_000_000, 4), (None, 600)):
        due_s = video._length_s(SimpleNamespace(duration=whole_us, streams=[stream, None]), stream)
        assert due_s is not None
        assert 0.97 * at_most_s < due_s + 0.125 <= at_most_s


@pytest.mark.parametrize("name", ["Re:Zero 01.mkv", "data:a.mkv", "file:a.mkv"])
def test_a_colon_in_a_videos_name_is_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = _write_video(tmp_path / "clip.mkv", matrix=1, full=False, tagged=False)
    made.rename(tmp_path / name)
    assert [source.read().rgb.shape for source in open_sources([Path(name)])] == [(64, 64, 3)] * 5


@pytest.mark.parametrize("sound_s", [None, 2.0])
def test_a_video_cut_short_gives_its_frames_and_then_tells(tmp_path: Path, sound_s: float | None) -> None:
    path = _write_noise(tmp_path / "a.mkv", sound_s)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _picture(tmp_path / "z.png")
    good, errors = [], []
    for source in open_sources([path, tmp_path / "z.png"]):
        try:
            good.append(source.read().name)
        except InputError as exc:
            errors.append(str(exc))
    assert 5 < len(good) < 45
    assert good[-1] == "z"
    assert "cut short" in errors[-1]
