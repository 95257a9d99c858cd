"""What to do about each kind of finding in a challenge submission."""

from __future__ import annotations

from affcli.labels.submissions.rows import Finding

ADVICE = {
    "missing-files": "write a file for each clip",
    "extra-files": "take them out",
    "unreadable": "write them again",
    "byte-order-mark": "save it as UTF-8 without one",
    "line-endings": "write \\n alone",
    "separator": "write commas",
    "decimal-comma": "write points",
    "task": "name the sample of its task, or write predictions of this one",
    "header": "copy the first line of the sample",
    "blank-lines": "take them out",
    "trailing-comma": "take the last comma away",
    "cells": "write each row as the header says",
    "missing-rows": "write every row of the sample, with or without a face (submit --missing fills)",
    "truncated": "write every row of the sample: check that nothing broke off, and how frames were counted",
    "extra-rows": "copy the pictures from the sample, and write no others",
    "duplicate-rows": "keep one row of each",
    "order": "write the rows in the order of the sample",
    "not-finite": "fill in a number",
    "not-a-number": "write a number, such as 0.5",
    "not-an-integer": "write whole numbers",
    "out-of-range": "predict every row, in this range",
    "constant": "check what was read, and whether the model has learnt anything",
    "padding": "predict these frames, or interpolate",
    "reversed-interpolation": "change the weights of the two ends over",
    "one-class": "check which output was taken",
    "swapped": "write the columns in the order of the header",
    "reversed": "write the frames from first to last",
    "opposite": "check the sign",
    "shifted": "check that picture 00001 is the first frame",
    "class-order": "number the classes as the header of the challenge has them, from 0",
    "below-chance": "check which output was taken",
    "column-order": "write the columns in the order of the header",
    "inverted": "write 1 for present and 0 for absent",
}


def advice_of(finding: Finding) -> str:
    """What to do about a finding: what it says itself, or what is said of its kind."""
    return finding.advice or ADVICE[finding.kind]
