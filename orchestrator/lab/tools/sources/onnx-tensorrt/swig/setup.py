"""Builds the SWIG binding of onnx-tensorrt."""

from setuptools import Extension, find_packages, setup

INC_DIRS = ["/usr/local/cuda/include"]
LIBS = ["nvinfer", "nvonnxparser"]

SWIG_OPTS = [
    '-c++',
    '-modern',
    '-builtin',
]

EXTRA_COMPILE_ARGS = [
    '-std=c++11',
    '-DUNIX',
    '-D__UNIX',
    '-m64',
    '-fPIC',
    '-O2',
    '-w',
]

setup(
    name="onnx_tensorrt",
    version="@VERSION@",
    description="ONNX-TensorRT",
    packages=find_packages(),
    install_requires=["numpy", "onnx"],
    ext_modules=[
        Extension(
            "onnx_tensorrt.parser._nv_onnx_parser_bindings",
            sources=["nv_onnx_parser_bindings.i"],
            extra_compile_args=EXTRA_COMPILE_ARGS,
            swig_opts=SWIG_OPTS,
            include_dirs=INC_DIRS,
            libraries=LIBS,
        )
    ],
)
