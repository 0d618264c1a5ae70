from collections.abc import Callable


def does(do: Callable[[], object], _listener: object) -> object:
    """What the demo's helper processes are asked for."""
    return do()
