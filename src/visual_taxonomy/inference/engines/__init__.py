"""What runs a model: torch, ONNX Runtime or OpenVINO, all with one interface of NumPy arrays."""
