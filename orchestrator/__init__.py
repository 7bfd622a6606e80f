"""Fleet: neural networks onto fleets of NVIDIA Jetsons, from a PyTorch checkpoint to proved engines."""

__version__ = "0.1.0"
