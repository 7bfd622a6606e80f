"""From a checkpoint to a sanitized ONNX graph with reference outputs, on the controller."""
