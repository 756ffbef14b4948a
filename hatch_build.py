"""Builds the compiled recogniser into the wheel, or into the tree of an editable install.

Without a C compiler or Python's headers the build says so and goes on: the package is then pure
Python, and works as well but for its speed. `PRODUCT_DEDUP_BUILD=pure` asks for that, and
`PRODUCT_DEDUP_BUILD=compiled` makes a build fail that can't compile.
"""

import os
import sysconfig
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
        if self.target_name != "wheel":
            return
        root, wanted = Path(self.root), os.environ.get("PRODUCT_DEDUP_BUILD", "")
        source = root.joinpath(*MODULE.split(".")).with_suffix(".pyx")
        target = source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        target.unlink(missing_ok=True)  # nothing outdated is left; a module in use keeps its bytes
        if wanted == "pure":
            return
        with tempfile.TemporaryDirectory() as directory:
            try:
                target.write_bytes(compiled(source, Path(directory)).read_bytes())
            except Exception as error:  # a compiler, its headers or Cython: each fails in its way
                if wanted == "compiled":
                    raise
                why = f"{type(error).__name__}: {error}"[:200]
                self.app.display_warning(f"Built in Python alone, which is slower. {why}")
                return
        build_data["infer_tag"] = True
        build_data["pure_python"] = False
        if version == "standard":
            name = str(target.relative_to(root))
            build_data["force_include"][str(target)] = name


def compiled(source: Path, directory: Path) -> Path:
    """Return the module compiled from its source; its file is in the directory."""
    # A build in Python alone needs none of these.
    from Cython.Build import cythonize  # noqa: PLC0415
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    # -O3: the loops over bytes look at several at once.
    extension = Extension(MODULE, [str(source)], extra_compile_args=["-O3"])
    modules = cythonize([extension], build_dir=str(directory), force=True, quiet=True)
    command = build_ext(Distribution({"name": "product-dedup", "ext_modules": modules}))
    command.build_lib = str(directory / "lib")
    command.build_temp = str(directory / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(MODULE))
