"""How to train a network from scratch."""

from __future__ import annotations

from dataclasses import dataclass

from mdlstm_core.errors import InputError


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: passes over the training images.
        batch: images a step.
        seed: of weights, views and order; the same seed gives the same run.
        learning_rate: the highest of the cycle.
        weight_decay: of matrices and kernels; biases and norms have none.
        view: height and width of the random views that the network is trained on; smaller
            if the network looks at fewer pixels.
        validations: how many times the network is measured, spread over the epochs.
        average_decay: of the moving average of the weights, a step.
        first_share: of the views, from the first of several datasets.
        balance: how much more rare classes count (see `Sources.class_weights`).
        prefer_rare: by how much rare classes are preferred at the end, 0 to 1 (see
            `calibration.prefer_rare_classes`).
        precision: "float32", or "bfloat16" for products and convolutions; the cell states
            and the weights stay in float32.
    """

    epochs: int = 40
    batch: int = 8
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    view: tuple[int, int] = (240, 320)
    validations: int = 20
    average_decay: float = 0.998
    first_share: float = 0.4
    balance: float = 0.0
    prefer_rare: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Check what cannot be trained with.

        Raises:
            InputError: a number is out of its range.
        """
        if not 0 <= self.seed < 2**32:
            raise InputError(f"The seed {self.seed} is not from 0 to {2**32 - 1}.")
        if min(self.epochs, self.batch, self.validations, *self.view) < 1:
            raise InputError("Epochs, batch, validations and view must be at least 1.")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise InputError("The learning rate must be above 0, the weight decay not below it.")
        shares = (self.average_decay, self.first_share, self.balance, self.prefer_rare)
        if not all(0 <= share <= 1 for share in shares) or self.first_share in (0, 1):
            raise InputError(
                "average_decay, first_share, balance and prefer_rare lie between 0 and 1."
            )
