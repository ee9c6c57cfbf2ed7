"""Small wheels, written by hand: packages that are installed in no time and without network."""

import zipfile
from pathlib import Path


def write_wheel(folder: Path, name: str, files: dict[str, str] | None = None, metadata: str = "") -> Path:
    """A wheel of version 1.0 that holds ``files``; ``metadata`` are further lines such as ``Requires-Dist: ...``."""
    stem = f"{name.replace('-', '_')}-1.0"
    about = f"{stem}.dist-info"
    files = {
        **(files or {}),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{about}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"]))
    return path
