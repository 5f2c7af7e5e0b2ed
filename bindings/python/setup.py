"""Builds the C part with the headers beside which this folder stands, or with those installed."""

import os

from setuptools import Extension, setup

here = os.path.dirname(os.path.abspath(__file__))
above = os.path.normpath(os.path.join(here, "..", ".."))
beside = os.path.exists(os.path.join(above, "ipc_ring.h"))

setup(
    ext_modules=[
        Extension(
            "ipc_ring._core",
            ["src/module.c"],
            depends=["src/" + name for name in sorted(os.listdir(os.path.join(here, "src")))],
            include_dirs=[above] if beside else [],
            extra_compile_args=["-std=gnu11", "-fvisibility=hidden"],
        )
    ]
)
