"""The encoder that a user asks for, `NAME` or `NAME:ARGUMENT`."""

from __future__ import annotations

from dataclasses import dataclass

from affcli.errors import UsageError
from affcli.features import ENCODERS, EncoderEntry


@dataclass(frozen=True)
class Choice:
    """An encoder as a user asks for it."""

    name: str  # in ENCODERS
    entry: EncoderEntry
    argument: str  # what stands after the colon; "" for nothing

    @property
    def recipe_name(self) -> str:
        """What a recipe says: the name, and of a path only its last part."""
        network, at, path = self.argument.rpartition("@")  # of timm:NETWORK@FILE, only the file is a path
        return f"{self.name}:{network}{at}{_last(path)}" if self.argument else self.name

    @property
    def set_name(self) -> str:
        """What its features are called where the user does not say: `onnx:nets/emo.onnx` makes `onnx-emo`.

        Of a network or a directory, what follows a dot is part of its name: `timm:resnet18.a1_in1k`.
        """
        if not self.argument or self.entry.width is not None:
            return self.name
        last = _last(self.argument.partition("@")[0])
        stem = (last.rpartition(".")[0] if self.entry.argument.startswith("FILE") else "") or last
        return f"{self.name}-" + "".join(one if one.isalnum() or one in "._-" else "-" for one in stem)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def find(spec: str) -> Choice:
    """The encoder that `NAME` or `NAME:ARGUMENT` means.

    Raises UsageError where there is no such name, where it wants an argument and has none, or the reverse; AssetError
    where another package's encoder cannot be loaded.
    """
    name, colon, argument = spec.partition(":")
    if not colon and ("/" in spec or spec.endswith(".onnx")):
        raise UsageError(
            spec,
            "is a file, not an encoder",
            expected=f"onnx:{spec} for a network of pictures, audio-onnx:{spec} for one of sound",
            advice="put the encoder's name and a colon before it",
        )
    entry = ENCODERS[name]
    if entry.argument and not argument:
        raise UsageError(
            spec,
            f"does not say which {entry.argument}",
            expected=f"{name}:{entry.argument}",
            advice=f"affcli encoders {name} says more",
        )
    if argument and not entry.argument:
        raise UsageError(spec, "says more than a name", expected=name, advice="leave out what follows the colon")
    return Choice(name, entry, argument)
