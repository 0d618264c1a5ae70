"""Python imports this as it starts where this folder is in PYTHONPATH: the rules hold
in every process of a test.
"""

import os
import runpy

if "APPRENTICE_WINDOWS_RULES" in os.environ:
    runpy.run_path(
        os.path.join(os.path.dirname(os.path.dirname(__file__)), "rules.py")
    )["install"]()
