"""What training minimises, against values worked by hand, the metrics and PyTorch's own losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from affcli import metrics
from affcli.configs import Training
from affcli.errors import UsageError
from affcli.training import losses


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prediction and truth (4, 6, 2), and labelled (4, 6): window 2 has one labelled frame, window 3 none."""
    draw = np.random.default_rng(seed)
    prediction, truth = torch.tensor(draw.uniform(-1, 1, (2, 4, 6, 2)), dtype=torch.float32)
    labelled = torch.tensor(draw.random((4, 6)) > 0.3)
    labelled[2] = torch.arange(6) == 3
    labelled[3] = False
    return prediction, truth, labelled


def test_l1_by_hand() -> None:
    truth, prediction = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.5, 0.0], [1.0, -0.25]])
    assert losses.l1(prediction, truth) == 0.75 / 4


def test_mixed_moments_give_a_perfect_prediction_one_over_n_too_little() -> None:
    draw = np.random.default_rng(0)
    truth = torch.tensor(draw.uniform(-1, 1, (8, 2)))
    assert losses.ccc(truth, truth, "mixed") == pytest.approx(1 / 8, abs=1e-7)
    prediction = torch.tensor(draw.uniform(-1, 1, (8, 2)))
    p, t = prediction.numpy(), truth.numpy()
    covariance = ((p - p.mean(0)) * (t - t.mean(0))).mean(0)
    spread = p.var(0, ddof=1) + t.var(0, ddof=1) + (p.mean(0) - t.mean(0)) ** 2
    assert losses.ccc(prediction, truth, "mixed") == pytest.approx(1 - (2 * covariance / spread).mean(), abs=1e-6)
    assert losses.ccc(prediction[:1], truth[:1], "mixed") == 1


@pytest.mark.parametrize("moments", ["population", "mixed"])
def test_the_concordance_of_windows_is_the_mean_over_windows_of_two_frames_or_more(moments: str) -> None:
    prediction, truth, labelled = batch()
    wanted = [losses.ccc(prediction[i][labelled[i]], truth[i][labelled[i]], moments) for i in (0, 1)]
    found = losses.ccc_of_windows(prediction, truth, labelled, moments)
    assert found == pytest.approx(float(torch.stack(wanted).mean()), abs=1e-6)
    first = losses.ccc_of_windows(prediction[:1], truth[:1], torch.ones(1, 6, dtype=torch.bool))
    scores = [metrics.ccc(truth[0, :, i].numpy(), prediction[0, :, i].numpy()) for i in (0, 1)]
    assert first == pytest.approx(1 - np.mean(scores), abs=1e-6)


def test_what_is_not_labelled_changes_no_loss_and_has_no_gradient() -> None:
    for words in ("mse", "l1", "ccc", "2*mse+0.5*l1+ccc"):
        for over in ("batch", "window"):
            loss = losses.parse(Training(loss=words, ccc_over=over))
            prediction, truth, labelled = batch()
            wanted = loss(prediction, truth, labelled)
            prediction[~labelled], truth[~labelled] = torch.inf, torch.nan
            prediction.requires_grad_()
            found = loss(prediction, truth, labelled)
            assert found == wanted
            found.backward()
            assert prediction.grad is not None and prediction.grad.isfinite().all()
            assert not prediction.grad[~labelled].any() and prediction.grad[labelled].any()


def test_windows_without_two_labelled_frames_or_a_change_teach_nothing() -> None:
    prediction, truth, labelled = batch()
    prediction.requires_grad_()
    for these in (slice(2, 4), slice(3, 4)):
        loss = losses.ccc_of_windows(prediction[these], truth[these], labelled[these])
        assert loss == 1
        loss.backward()
    assert prediction.grad is not None and not prediction.grad.any()
    constant = torch.full((1, 6, 2), 0.25, requires_grad=True)
    loss = losses.ccc_of_windows(constant, torch.full((1, 6, 2), 0.25), torch.ones(1, 6, dtype=torch.bool))
    assert loss == 1
    loss.backward()
    assert constant.grad is not None and constant.grad.isfinite().all()


def test_sums_are_weighted() -> None:
    prediction, truth, labelled = batch()
    p, t = prediction[labelled], truth[labelled]
    found = losses.parse(Training(loss="0.5*mse + 3*l1+ccc"))(prediction, truth, labelled)
    assert found == pytest.approx(float(0.5 * losses.mse(p, t) + 3 * losses.l1(p, t) + losses.ccc(p, t)))
    mixed = losses.parse(Training(loss="ccc", ccc_moments="mixed"))(prediction, truth, labelled)
    assert mixed == losses.ccc(p, t, "mixed") != losses.ccc(p, t)


def test_losses_are_computed_in_float32() -> None:
    prediction, truth, labelled = batch()
    found = losses.parse(Training(loss="ccc"))(prediction.bfloat16(), truth, labelled)
    assert found.dtype == torch.float32
    assert found == losses.ccc(prediction.bfloat16().float()[labelled], truth[labelled])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", "has the term ''"),
        ("mes", "has the term 'mes'"),
        ("mse+", "has the term ''"),
        ("0.5mse", "has the term '0.5mse'"),
        ("x*mse", "has the weight 'x'"),
        ("-1*mse", "has the weight '-1'"),
        ("0*mse+ccc", "has the weight '0'"),
        ("inf*mse", "has the weight 'inf'"),
        ("*mse", "has the weight ''"),
        ("mse+2*mse", "has mse twice"),
    ],
)
def test_a_loss_that_is_none(words: str, found: str) -> None:
    with pytest.raises(UsageError) as error:
        losses.parse(Training(loss=words))
    assert (error.value.subject, error.value.found) == (f"--loss {words}", found)


def test_expression_cross_entropy_is_of_annotated_frames() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 7, generator=draw)
    annotated = torch.tensor([[True, False, True], [False, False, True]])
    classes = torch.where(annotated, torch.tensor([[1, 9, 6], [9, 9, 0]]), -1)
    wanted = functional.cross_entropy(logits[annotated], classes[annotated])
    assert losses.expression_cross_entropy(logits, classes, annotated) == pytest.approx(float(wanted))
    inside = torch.tensor([[True, True, True], [True, True, False]])
    found = losses.expression_cross_entropy(logits, classes, annotated, inside)
    assert found == pytest.approx(float(wanted) * 3 / 5)
    assert losses.expression_cross_entropy(torch.zeros(1, 1, 7), torch.tensor([[4]]), torch.tensor([[True]])) == (
        pytest.approx(np.log(7))
    )


def test_au_binary_cross_entropy_is_of_annotated_units() -> None:
    logits = torch.zeros(1, 2, 3)
    logits[0, 0, 1] = 2.0
    annotated = torch.tensor([[[True, True, False], [False, False, True]]])
    presence = torch.where(annotated, torch.tensor([[[1.0, 0.0, 9.0], [9.0, 9.0, 0.0]]]), torch.nan)
    total = 2 * np.log(2) + np.log(1 + np.exp(2))
    assert losses.au_binary_cross_entropy(logits, presence, annotated) == pytest.approx(total / 3)


def test_without_annotations_other_losses_are_zero() -> None:
    logits = torch.randn(2, 3, 7, requires_grad=True)
    none = torch.zeros(2, 3, dtype=torch.bool)
    expression = losses.expression_cross_entropy(logits, torch.full((2, 3), -1), none)
    over_all = losses.expression_cross_entropy(logits, torch.full((2, 3), -1), none, ~none)
    units = losses.au_binary_cross_entropy(logits, torch.full((2, 3, 7), torch.nan), none[..., None].expand(2, 3, 7))
    people = losses.class_cross_entropy(logits[:, 0], torch.full((2,), -1), none[:, 0])
    assert expression == over_all == units == people == 0
    (expression + over_all + units + people).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_class_cross_entropy_is_of_windows_that_count() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([True, False, True])
    wanted = functional.cross_entropy(logits[counts], torch.tensor([4, 0]))
    assert losses.class_cross_entropy(logits, torch.tensor([4, -1, 0]), counts) == pytest.approx(float(wanted))
