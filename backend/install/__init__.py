"""Facts that start.py needs before anything is installed: this machine, which PyTorch
fits it, and where it can be.

It uses the standard library only.

Decision: The build of torch follows from the GPU's capability and driver by a table,
    and start.py compares it with the installed files at every start.
Because: a wrong build fails hours later or takes the processor silently. `uv
    --torch-backend=auto` ignores the capability (astral-sh/uv #14742).
Proof: tests/backend/install/test_builds.py, tests/test_start.py; on simulated machines.
Reconsider when: uv chooses by capability.

Decision: pip downloads every package; uv, where it is installed, makes the environment
    only.
Because: uv 0.13.9 starts a broken download of 2 to 3 GB again at its beginning, pip
    from 25.2 on continues it. Both were tried with a server that cuts every connection.
Proof: tests/test_start_downloads.py.
Reconsider when: uv continues downloads.

Decision: On Windows the environment is in the user's local data, not in the checkout.
Because: Windows allows paths of 259 characters, and torch's wheel has some of 167 to
    173.
Proof: tests/backend/install/test_place.py, with Windows' rule and the files that are
    installed.
Reconsider when: torch's licenses have shorter paths.

Decision: Exact versions stand in constraints.txt, resolved for every supported Python
    and system. Each further index provides one package, without dependencies.
Because: training must be repeatable, and an index that can replace any package is a
    risk.
Proof: tests/test_start.py compares the list with what is installed.
Reconsider when: a package can't be resolved for all systems at once.

Decision: A Space's requirements are a second exact list, static/space/requirements.txt.
Because: Spaces install gradio's mcp extra beside it, which needs an older pydantic.
Proof: tests/backend/export/test_space.py; tests/browser/test_space.py installs them
    (slow).
Reconsider when: gradio's extra accepts the same pydantic.
"""
