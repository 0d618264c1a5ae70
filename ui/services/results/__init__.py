"""Services for trained models: chat, evaluation, exports, endpoints.

    trained_models.py                                     trained models: tried and exported
    chat.py, documents.py                                 a model and its base answer questions, or about long texts
    first.py                                              the finished apprentice that comes with the app
    corrections.py                                        wrong answers, corrected
    evaluations.py, evaluated.py, blind_tests.py          is it better?
    exports.py, hub_pushes.py, endpoints.py               to take away and to share
    local_programs.py                                     files in Ollama or LM Studio
    spreadsheets.py                                       spreadsheets that it answers

Decision: A damaged or older file of an evaluation is reported in its own card.
Because: the rest of the tab must stay usable.
Proof: tests/ui/services/results/test_evaluations.py.
Reconsider when: older files are migrated when the app starts.
"""
