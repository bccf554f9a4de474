"""When early stopping ends training, and which epoch it keeps."""

import pytest

from regbench.regularizers.early_stopping import EarlyStopping


def history(*losses, metric="validation_loss"):
    return [{"epoch": epoch, metric: loss} for epoch, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "kept", "stops"),
    [
        ((0.1,), None, False),  # epoch 0 is the untrained network
        ((0.1, 3.0), 1, False),
        ((0.1, 3.0, 2.0, 2.5), 2, False),
        ((0.1, 3.0, 2.0, 2.5, 2.0), 2, True),  # as good is no better
        ((0.1, 3.0, 2.0, 2.5, 1.9), 4, False),
        ((0.1, 3.0, None, 3.5), 1, True),
        ((0.1, 3.0, 3.1, None), 1, False),  # nothing is known of that epoch
        ((0.1, 3.0, None, 2.5), 3, False),
    ],
)
def test_it_stops_after_so_many_epochs_without_a_better_one(losses, kept, stops):
    technique = EarlyStopping(patience=2)
    assert technique.kept_epoch(history(*losses)) == kept
    reason = technique.stop(history(*losses))
    assert (reason is not None) == stops
    if reason:
        assert reason == f"validation_loss has not improved since epoch {kept}, for 2 epochs"


def test_of_an_accuracy_more_is_better_and_the_last_epoch_is_kept_on_demand():
    technique = EarlyStopping(patience=1, metric="validation_accuracy", restore_best=False)
    rising = history(0.9, 0.1, 0.2, metric="validation_accuracy")
    assert technique.stop(rising) is None
    falling = history(0.9, 0.2, 0.1, metric="validation_accuracy")
    assert technique.stop(falling)
    assert technique.kept_epoch(falling) is None
