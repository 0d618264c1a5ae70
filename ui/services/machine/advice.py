"""Advice: which model and which settings suit the machine, the task and the data."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from backend.advice.recommend import Option, Recommendation, recommend
from backend.advice.settings import ChosenSettings, choose_settings
from backend.datasets.dataset import CheckedDataset
from backend.models.catalogue import TASKS, Entry, Task
from backend.records.lengths import UNLIMITED
from ui.services.data.dataset_state import data_facts
from ui.services.data.imports import PAGE_WAIT, DatasetImports
from ui.services.machine.background_cache import BackgroundCache
from ui.services.machine.models import ModelService
from ui.services.selection import Choice

_choose_settings, _recommend = (
    lru_cache(64)(choose_settings),
    lru_cache(64)(recommend),
)  # a tab asks several times


class UnknownLanguage(NamedTuple):
    """language: of the examples, ISO 639-1; `model` does not know it. speaker: the best
    one for this machine that does; None while the models are compared, and if none
    fits.
    """

    language: str
    model: Entry
    speaker: Entry | None


class AdviceService:
    """Recommends models and settings for a choice. A deleted dataset counts as no data
    yet, and, except for `settings`, so does one that is still being checked.
    recommended: what was computed before; visitors of a demo share it. compute: where
    models are compared.
    """

    def __init__(
        self,
        models: ModelService,
        imports: DatasetImports,
        recommended: BackgroundCache[Recommendation] | None = None,
        compute: Callable[
            [Callable[[], Recommendation]], Recommendation
        ] = lambda compare: compare(),
    ) -> None:
        self._models, self._imports, self._compute = models, imports, compute
        self.recommended: BackgroundCache[Recommendation] = (
            recommended or BackgroundCache()
        )

    def recommendation(self, choice: Choice, model_id: str = "") -> Recommendation:
        """The model and settings for this machine, task and data; for one model when
        `model_id` is not "".
        """
        model = self._models.entry(model_id) if model_id else None
        return _recommend(
            **self._inputs(choice, model_id), model_id=model, compare=False
        )

    def options(self, choice: Choice) -> tuple[Option, ...] | None:
        """All models for this machine, task and data, the recommended one first; None
        while they are compared.
        """
        best = self._in_background(self._inputs(choice))
        more = (
            [
                self.recommendation(choice, entry.id)
                for entry in self._models.looked_up()
            ]
            if best
            else []
        )
        return (best, *best.others, *more) if best else None

    def better(self, choice: Choice) -> Recommendation | None:
        """The model to recommend if every model were here; None while it is computed,
        and when it is here.
        """
        if self._models.simulated:
            return None
        best = self._in_background(
            self._inputs(choice) | {"available": None, "compare": False}
        )
        return best if best and best.model.id not in self._models.available() else None

    def unknown_language(self, choice: Choice) -> UnknownLanguage | None:
        """The language of the examples where the chosen, or else the recommended, model
        does not know it. Waits for nothing: None, too, until the examples are checked
        for that model.
        """
        target = self._models.target_model(choice.model_id)
        store = self._imports.store
        checked = (
            store.cached(choice.data_id, target, UNLIMITED)
            if store.has(choice.data_id)
            else None
        )
        language = data_facts(checked).language
        if not language:
            return None
        inputs = self._inputs(choice, choice.model_id)
        model = self.recommendation(choice, choice.model_id).model
        if language in model.languages or not model.languages:
            return None
        best = self._in_background(inputs | {"available": None})
        compared = (best, *best.others) if best else ()
        fitting = (
            option
            for option in compared
            if language in option.model.languages and option.fit != "no"
        )
        return UnknownLanguage(
            language, model, next((option.model for option in fitting), None)
        )

    def settings(self, choice: Choice) -> ChosenSettings:
        """The settings for the chosen model, or else the recommended one, what they
        need, and the reason for each.
        """
        return self.settings_for(
            self._checked(choice.data_id, choice.model_id, self._imports.checked),
            choice,
        )

    def settings_for(
        self, checked: CheckedDataset | None, choice: Choice
    ) -> ChosenSettings:
        """As `settings`, for examples that need not be stored, checked without a limit
        on length; None for none yet.
        """
        data = data_facts(
            checked,
            _task(choice),
            "dpo" if choice.settings.get("trainer") == "dpo" else "sft",
        )
        model = self._models.entry(choice.model_id)
        return _choose_settings(
            model, self._models.hardware(), data, self._models.rates()
        )

    def _in_background(self, inputs: dict[str, Any]) -> Recommendation | None:
        return self.recommended.get(
            tuple(inputs.items()), partial(self._compute, partial(recommend, **inputs))
        )

    def _inputs(self, choice: Choice, model_id: str = "") -> dict[str, Any]:
        """The inputs of a recommendation."""
        soon = partial(self._imports.check, lengths=UNLIMITED, seconds=PAGE_WAIT)
        return {
            "hardware": self._models.hardware(),
            "data": data_facts(
                self._checked(choice.data_id, model_id, soon), _task(choice)
            ),
            "available": None
            if self._models.simulated
            else tuple(sorted(self._models.available())),
            "rates": self._models.rates(),
        }

    def _checked(
        self,
        data_id: str,
        model_id: str,
        check: Callable[[str, str], CheckedDataset | None],
    ) -> CheckedDataset | None:
        return check(data_id, model_id) if self._imports.store.has(data_id) else None


def _task(choice: Choice) -> Task | None:
    return choice.task if choice.task in TASKS else None
