"""Write all generated files: `make generate`."""

from __future__ import annotations

from tools.generate import FOLDERS, files

if __name__ == "__main__":
    written = files()
    for folder in FOLDERS:
        for path in folder.iterdir():
            if path not in written:
                path.unlink()
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
