"""Resources that the visitors of a demo share: the machine with its models, one queue,
and the seats for chats: each open model takes memory for as long as it is open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.advice.recommend import Recommendation
from jobs.fair_queue import FairQueue
from ui.services.demo.processes import Processes
from ui.services.machine.background_cache import BackgroundCache
from ui.services.machine.models import ModelService
from ui.services.results.chat import ChatSeats


@dataclass(frozen=True)
class Shared:
    """processes: where examples are read and checked, and models compared.
    require_disk: raises NotInDemo when this visitor, or all together, have used up
    their disk space. neighbours: the workspaces of all visitors at this one's address.
    """

    models: ModelService
    recommended: BackgroundCache[Recommendation]
    queue: FairQueue
    seats: ChatSeats
    processes: Processes
    require_disk: Callable[[], None]
    neighbours: Callable[[], set[Path]]
