"""Builds the compiled recogniser into the wheel, or into the tree of an editable install.

Without a C compiler or Python's headers the build says so and goes on: the package is then pure
Python, and works as well but for its speed. `DEDUP_BUILD=pure` asks for that, and
`DEDUP_BUILD=compiled` makes a build fail that can't compile.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "dedup.core._recogniser"


class CompiledBuildHook(BuildHookInterface[Any]):
    """Compiles what is written in Cython."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel (`version`: standard or editable)."""
        wanted = os.environ.get("DEDUP_BUILD", "")
        if self.target_name != "wheel" or wanted == "pure":
            return
        root = Path(self.root)
        with tempfile.TemporaryDirectory() as directory:
            try:
                built = compiled(root, Path(directory))
            except Exception as error:  # a compiler, its headers or Cython: each fails in its way
                if wanted == "compiled":
                    raise
                self.app.display_warning(f"The recogniser is not compiled, and slower: {error}")
                return
            target = root / Path(*MODULE.split(".")).with_name(built.name)
            target.unlink(missing_ok=True)  # one that is in use keeps its bytes
            target.write_bytes(built.read_bytes())
        build_data["infer_tag"] = True
        build_data["pure_python"] = False
        if version == "standard":
            name = str(target.relative_to(root))
            build_data["force_include"][str(target)] = name


def compiled(root: Path, directory: Path) -> Path:
    """Return the module compiled from its source; its file is in the directory."""
    # A build in Python alone needs none of these.
    from Cython.Build import cythonize  # noqa: PLC0415
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    source = root / Path(*MODULE.split(".")).with_suffix(".pyx")
    extension = Extension(MODULE, [str(source)])
    modules = cythonize([extension], build_dir=str(directory), force=True, quiet=True)
    command = build_ext(Distribution({"name": "product-dedup", "ext_modules": modules}))
    command.build_lib = str(directory / "lib")
    command.build_temp = str(directory / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(MODULE))
