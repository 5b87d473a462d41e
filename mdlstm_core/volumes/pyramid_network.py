"""The PyraMiD-LSTM network: from a volume to the logits of every voxel.

Axes: B batch, I channels, K class, D slices, R rows, C columns.
"""

from __future__ import annotations

from torch import Tensor, nn

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.volumes.pyramid_layer import PyramidLSTM


class PyramidNetwork(nn.Module):
    """PyraMiD-LSTM layers, each followed by a feedforward layer on every voxel.

    Stollenga et al., NIPS 2015: the six directions are summed; tanh after the feedforward
    layers, none after the last, whose outputs are the logits. The paper's networks are
    larger; the layers and their order are the same.

    Args:
        config: of the architecture "pyramid".
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        sizes_in = (*config.channels, *config.feedforward_units)
        sizes_out = (*config.feedforward_units, config.classes)
        self.sweeps = nn.ModuleList(
            PyramidLSTM(inputs, units, config.kernel_size)
            for inputs, units in zip(sizes_in, config.lstm_units, strict=True)
        )
        self.projections = nn.ModuleList(
            nn.Conv3d(units, outputs, 1)
            for units, outputs in zip(config.lstm_units, sizes_out, strict=True)
        )

    def forward(self, volume_BIDRC: Tensor) -> Tensor:
        """Return logits B×K×D×R×C of a volume whose channels are standardised."""
        features = volume_BIDRC
        for sweep, projection in zip(self.sweeps, self.projections, strict=True):
            features = projection(sweep(features))
            if projection is not self.projections[-1]:
                features = features.tanh()
        return features


def pyramid_of(checkpoint: Checkpoint) -> PyramidNetwork:
    """Build a checkpoint's network, ready to predict.

    Raises:
        InputError: it labels images, or its weights do not fit its configuration.
    """
    if checkpoint.config.architecture != "pyramid":
        raise InputError("This model labels images, not volumes: use `mdlstm predict`.")
    network = PyramidNetwork(checkpoint.config)
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise InputError("The model's weights do not fit its configuration.") from error
    return network.eval()
