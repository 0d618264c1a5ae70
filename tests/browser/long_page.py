"""The page over a made-up workspace whose names are long and have no spaces: PORT is
its argument.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from backend.errors import BadInput
from tests.ui.fake_page import serve
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import RUNS, examples, respec
from ui.records.data import DatasetProgress
from ui.services.selection import Choice

FILE = "customer_support_conversations_november_2026_final_cleaned_v2.csv"
MODEL = "customer-support-assistant-for-the-november-2026-final-cleaned-files"
COLUMNS = (
    "the_question_of_the_customer_as_it_came_in_by_mail_or_telephone",
    "the_answer_of_our_support_team_" * 2,
)


class LongApp(MadeUpApp):
    def __init__(self, template: Path, root: Path) -> None:
        super().__init__(template, root)
        file, columns = root / FILE, (*COLUMNS, f"unused_{COLUMNS[0]}")
        rows = (
            (*(message["content"] for message in chat), FILE)
            for chat in examples()
            if len(chat) > 1
        )
        file.write_text(
            "".join(
                json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows
            )
        )
        read = {"mapping": dict(zip(("question", "answer"), COLUMNS, strict=True))}
        stored, plan = self.datasets.add(file, FILE, read), self.planning.plan
        self.dataset_store.info.update(DATA, lambda info: replace(info, name=FILE))

        def progress(choice: Choice) -> DatasetProgress | None:
            unclear = BadInput("Nobody can tell what this is.", FILE)
            return (
                DatasetProgress(FILE, "", 0.0, error=unclear)
                if choice.data_id
                else None
            )

        vars(self.datasets).update(import_file=lambda *given: stored, progress=progress)
        vars(self.planning)["plan"] = lambda *given: replace(
            plan(*given), model_name=MODEL, data_name=FILE
        )
        for run_id in (
            RUNS
        ):  # each of its own model and file, so that the names stand side by side
            spec = self.runs.spec(run_id).model_dump(mode="json")
            model, data = {"id": f"{MODEL}-{run_id}"}, {"name": f"{run_id}_{FILE}"}
            respec(
                self.workspace,
                run_id,
                model=spec["model"] | model,
                data=spec["data"] | data,
            )
            self.versions.describe(run_id, name=MODEL)


if __name__ == "__main__":
    serve({int(sys.argv[1]): LongApp})
