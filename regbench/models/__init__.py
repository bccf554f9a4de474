"""From an experiment to a Keras model: its layers, weights, predictions and cost."""
