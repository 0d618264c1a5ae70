"""Resources that the visitors of a demo share: the machine with its models, one queue, and the seats for chats."""

from collections.abc import Callable
from dataclasses import dataclass

from backend.advice.recommend import Recommendation
from jobs.fair_queue import FairQueue
from ui.services.demo.chat_seats import ChatSeats
from ui.services.demo.gpu_calls import VisitorsGpu
from ui.services.machine.background_cache import BackgroundCache
from ui.services.machine.models import ModelService


@dataclass(frozen=True)
class Shared:
    """require_disk: raises NotInDemo when this visitor, or all together, have used up their disk space.

    gpu: on which this visitor trains, None for the processor.
    """

    models: ModelService
    recommended: BackgroundCache[Recommendation]
    queue: FairQueue
    seats: ChatSeats
    require_disk: Callable[[], None]
    gpu: VisitorsGpu | None = None
