"""Full fine-tuning: every weight of the model moves."""

from training.methods.method import TrainingMethod

METHOD = TrainingMethod()
