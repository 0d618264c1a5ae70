"""The user's data: read, converted to rows, checked, fixed, edited and split.

Decision: The rows that choose a checkpoint are not those that judge. A quarter of the
    rows up to 24, or a tenth if that is more, is set aside; from 24 on one half chooses
    and the other judges, below that all judge and the last step is saved.
Because: a model chosen by its judges looks better than it is.
Proof: tests/backend/datasets/test_split.py; docs/recipes.md for runs in which nothing
    chooses.
Reconsider when: people bring enough examples to set more aside.

Decision: Edits are a list over an unchanged file. They apply before checks and fixes,
    and change the hash of the examples.
Because: undo moves an id, and caches, measurements and runs notice. Rows keep their
    numbers, so an edit moves few to another side.
Proof: tests/backend/datasets/test_edits.py, test_editing.py.
Reconsider when: a dataset has so many edits that opening it is slow.

Decision: A corrected answer is learned, so it can't judge: it stays in training with
    every row of its question.
Because: a model that was told the answer would be praised for knowing it.
Proof: tests/ui/services/results/test_corrections.py.
Reconsider when: new questions can take the place of corrected ones.

Decision: The instruction travels with the model: one edit sets it for every example,
    Try begins with it, each export states it.
Because: a model answers worse without the system prompt that it was trained with.
Proof: tests/backend/export/test_makers.py, tests/backend/datasets/test_editing.py.
Reconsider when: examples with several instructions are common.

Decision: Datasets on the hub are files like others: the first files of a split, at one
    commit, read by our readers.
Because: they name every row that can't be used. The package datasets converts files
    into a cache of its own first.
Proof: tests/backend/datasets/test_hub.py, against a stand-in; the real hub was not
    asked.
Reconsider when: the real hub answers otherwise than its documentation says.
"""
