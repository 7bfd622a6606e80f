"""Installs the Python backend of onnx-tensorrt."""

from setuptools import find_packages, setup

setup(
    name="onnx_tensorrt",
    version="@VERSION@",
    description="ONNX-TensorRT",
    packages=find_packages(),
    install_requires=["onnx", "pycuda"],
)
