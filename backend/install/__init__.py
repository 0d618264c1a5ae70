"""Facts that start.py needs before anything is installed: this machine, and which PyTorch fits it.

    builds.py    the builds of PyTorch, as a table
    machine.py   this machine
    pins.py      requirements and their exact versions

It uses the standard library only.

Decision: The build of torch follows from the GPU's capability and driver by a table, and start.py compares it with
    the installed files at every start.
Because: a wrong build fails hours later or takes the processor silently. `uv --torch-backend=auto` ignores the
    capability (astral-sh/uv #14742).
Proof: tests/backend/install/test_builds.py, tests/test_start.py; on simulated machines.
Reconsider when: uv chooses by capability.

Decision: Exact versions stand in constraints.txt, resolved for every supported Python and system. Each further index
    provides one package, without dependencies.
Because: training must be repeatable, and an index that can replace any package is a risk.
Proof: tests/test_start.py compares the list with what is installed.
Reconsider when: a package can't be resolved for all systems at once.

Decision: A Space's requirements are a second exact list, static/space/requirements.txt.
Because: Spaces install gradio's mcp extra beside it, which needs an older pydantic.
Proof: tests/backend/export/test_space.py; tests/browser/test_space.py installs them (slow).
Reconsider when: gradio's extra accepts the same pydantic.
"""
