"""A checkpoint as ONNX files and a page of facts, so that it runs without this project and without PyTorch."""
