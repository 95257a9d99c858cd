"""What a network may begin with: another one of the same tensors, where these mean the same in both."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from affcli.configs import M3t as Config
from affcli.errors import SchemaError
from affcli.models.m3t import M3t
from affcli.training.stages import Trained, begin

SMALL = Config(channels=(2, 3, 3, 4, 4), visual_units=3, audio_units=3)
WIDTHS = {"emotion": 5, "tcae": 5, "audio": 4}


def taken(theirs: Config, ours: Config) -> bool:
    """Whether a network of `ours`, begun with one of `theirs`, has all of its tensors."""
    torch.manual_seed(0)
    given, network = M3t(theirs, WIDTHS), M3t(ours, WIDTHS)
    begin(network, ours, "whole", Trained("run", theirs, given.state_dict()))
    return all(torch.equal(one, given.state_dict()[name]) for name, one in network.state_dict().items())


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        ({"expressions": 7}, {"expressions": 5, "action_units": ("au1", "au2")}, "expressions 7, here 5"),
        ({"action_units": ("au1",)}, {"action_units": ("au2",)}, r"action_units \('au1',\), here \('au2',\)"),
        ({"static": "emotion"}, {"static": "emotion-tcae"}, "static emotion, here emotion-tcae"),
    ],
)
def test_tensors_of_equal_shapes_that_mean_something_else_are_refused(
    theirs: dict[str, object], ours: dict[str, object], found: str
) -> None:
    one, other = (dataclasses.replace(SMALL, **settings) for settings in (theirs, ours))  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=f"run: was trained with other settings .{found}"):
        taken(one, other)
    assert taken(one, one) and taken(other, other)


def test_how_crops_are_shown_matters_to_what_sees_alone() -> None:
    sound = dataclasses.replace(SMALL, streams="audio")
    assert taken(dataclasses.replace(sound, order="bgr", crop=224), sound)
    with pytest.raises(SchemaError, match="order bgr, here rgb"):
        taken(dataclasses.replace(SMALL, order="bgr"), SMALL)


def test_a_stream_may_be_left_out_that_could_not_before() -> None:
    both = dataclasses.replace(SMALL, streams="audio-visual", fusion="attention", scorer_units=3, fusion_units=3)
    assert taken(both, dataclasses.replace(both, fusion="unbounded-attention"))
