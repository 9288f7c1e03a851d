"""Decoded pixels -> 8-bit sRGB without alpha. Every change is appended to `notes`, in words for the user."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from douga.types import U8

# Quarter turns and a mirror, by EXIF orientation: (number of np.rot90, then left-right flip).
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


def to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[U8, U8 | None]:
    """Any mode that is read -> (H, W, 3) uint8 sRGB, and straight (H, W) uint8 alpha or None."""
    alpha = None
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode not in ("1", "L", "LA") else "LA")
        alpha = np.asarray(image.getchannel("A"))
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    elif image.mode == "RGBX":
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    converted = _by_profile(image, profile, notes) if profile else None
    if converted is None:
        if image.mode == "CMYK":
            notes.append("CMYK without a usable profile converted by the plain formula; colours may differ")
        converted = image.convert("RGB")
    return np.array(converted, np.uint8), alpha


def _by_profile(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image | None:
    """The image in sRGB, or None where the profile changes nothing or cannot be used (told)."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(source).split()) or "without a name"
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
        if image.mode != "CMYK" and not _changes(transform, image.mode):
            return None
        out = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as exc:
        notes.append(
            f"the embedded colour profile is broken or does not fit and was ignored ({exc}); "
            f"colours are taken as sRGB"
        )
        return None
    notes.append(f"converted to sRGB from the embedded profile {name}")
    return out


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform is more than rounding noise: sRGB comes under many names."""
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    if mode == "L":
        grid = Image.fromarray(steps[None])
    else:
        grid = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(16, -1, 3))
    before = np.asarray(grid.convert("RGB")).astype(int)
    after = np.asarray(ImageCms.applyTransform(grid, transform)).astype(int)
    return bool(np.abs(before - after).max() > 2)


TRANSPARENT = "transparent parts laid over white; a frame has no alpha"


def composited_on_white(rgb: U8, alpha: U8, notes: list[str]) -> U8:
    """rgb: (H, W, 3) uint8; alpha: (H, W) uint8, straight. White shows through where alpha is below 255."""
    if alpha.min() == 255:
        return rgb
    notes.append(TRANSPARENT)
    cover = alpha[..., None].astype(np.uint16)
    mixed = rgb * cover + np.uint16(255) * (255 - cover)  # at most 255 * 255
    return ((mixed + 127) // 255).astype(np.uint8)


def oriented(rgb: U8, orientation: int) -> U8:
    """Turn (H, W, 3) upright by its EXIF orientation (1 to 8)."""
    if orientation not in _TURNS:
        return rgb
    quarters, mirror = _TURNS[orientation]
    turned = np.rot90(rgb, quarters)
    return turned[:, ::-1] if mirror else turned
