"""What is to be compared, read from training/ablations/*.toml."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from douga.errors import InputError, RecipeError
from douga_training.recipe import Recipe, read_recipe

_KEYS = {"title", "recipe", "scores", "frames", "base", "variants"}
_FRAMES = {"count", "seed", "held_count", "held_seed"}
_OF_A_VARIANT = {"name", "simulate"}


@dataclass(frozen=True)
class Frames:
    """Productions to learn from and to judge by: how many, and the number of the first."""

    count: int
    seed: int
    held_count: int
    held_seed: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.held_count < 1:
            raise RecipeError("frames: count and held_count must be at least 1")
        if min(self.seed, self.held_seed) < 0:
            raise RecipeError("frames: seeds must not be negative")
        if self.seed < self.held_seed + self.held_count and self.held_seed < self.seed + self.count:
            raise RecipeError("frames: what is judged by must not be trained on; move held_seed away")


@dataclass(frozen=True)
class Variant:
    """One thing that is different. simulate: options of `douga simulate` for what it learns from."""

    name: str
    entries: tuple[tuple[str, Any], ...] = ()
    simulate: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name as part of a path."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def describe(self) -> str:
        """What was changed, as the recipe says it: "kernel_size = 49"."""
        told = [f"{key} = {_shown(value)}" for key, value in self.entries]
        return ", ".join(told + [f"simulate {' '.join(self.simulate)}"] * bool(self.simulate))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Plan:
    """A base recipe and its variants. scores: of the validation, which become the columns of the table."""

    key: str
    title: str
    base: Recipe
    scores: tuple[str, ...]
    frames: Frames
    variants: tuple[Variant, ...]

    def recipe_of(self, variant: Variant, *, seed: int, out: Path, data: Path, held: Path) -> Recipe:
        """The run of a variant; its folder's name holds a hash of all that decides the result."""
        places: dict[str, Any] = {
            "data": str(data),
            "validation": str(held),
            "validation_frames": self.frames.held_count,
        }
        try:
            recipe = replace(self.base, **dict(variant.entries), **places, seed=seed)
        except (TypeError, RecipeError) as exc:
            raise RecipeError(f"variant {variant.name!r}: {exc}") from exc
        decided = replace(recipe, out="", data=data.name, validation=held.name, threads=0, workers=0)
        digest = hashlib.sha256(repr((decided, self.frames, variant.simulate)).encode()).hexdigest()[:8]
        return replace(recipe, out=str(out / f"{variant.slug}-{seed}-{digest}"))


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises InputError where the file cannot be read, RecipeError for what stands in it."""
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); see training/ablations/") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise RecipeError(f"{path}: not TOML ({exc})") from exc
    unknown = set(document) - _KEYS | {f"frames.{key}" for key in set(document.get("frames", {})) - _FRAMES}
    if unknown:
        raise RecipeError(f"{path}: unknown entry {min(unknown)!r}; expected {', '.join(sorted(_KEYS))}")
    try:
        base = read_recipe(path.parent / document["recipe"], {**document.get("base", {}), "data": "to come"})
        plan = Plan(
            key=path.stem,
            title=str(document["title"]),
            base=base,
            scores=tuple(str(name) for name in document["scores"]),
            frames=Frames(**{key: int(value) for key, value in document["frames"].items()}),
            variants=tuple(_variant(entry) for entry in document.get("variants", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RecipeError(
            f"{path}: {type(exc).__name__} {exc}; see training/ablations/cel.toml for the form"
        ) from exc
    slugs = [variant.slug for variant in plan.variants]
    if twice := {slug for slug in slugs if slugs.count(slug) > 1}:
        raise RecipeError(f"{path}: two variants are called {min(twice)!r}; give each its own name")
    for variant in plan.variants:  # a mistake in the last one must not show after hours
        plan.recipe_of(variant, seed=1, out=Path(), data=Path("data"), held=Path("held"))
    return plan


def _variant(entry: dict[str, Any]) -> Variant:
    entries = tuple((key, value) for key, value in entry.items() if key not in _OF_A_VARIANT)
    return Variant(str(entry["name"]), entries, tuple(str(word) for word in entry.get("simulate", ())))
