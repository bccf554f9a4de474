"""Settings of a run that is over in moments: a network of a few units on batches of 8 shapes."""

RUN = (
    "data.name=shapes",
    "data.test_examples=10",
    "model.blocks=[2]",
    "model.convolutions=1",
    "model.dense=[4]",
    "train.batch_size=8",
    "train.epochs=2",
)
