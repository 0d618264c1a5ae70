"""Services for trained models: chat, evaluation, exports, endpoints.

    trained_models.py                                     trained models: tried and exported
    chat.py, opponents.py, documents.py                   two models that answer, questions or long texts
    first.py                                              the finished apprentice that comes with the app
    corrections.py                                        wrong answers, corrected
    evaluations.py, evaluated.py, blind_tests.py          is it better?
    exports.py, hub_pushes.py, endpoints.py               to take away and to share
    local_programs.py                                     files in Ollama or LM Studio
    spreadsheets.py                                       spreadsheets that it answers

Decision: Any two models can answer: each that is not the open run's own or its base has a process of its own.
Because: people compare with an exported file or another run.
Proof: tests/ui/services/results/test_opponents.py.
Reconsider when: two models rarely fit.

Decision: A damaged or older file of an evaluation is reported in its own card.
Because: the rest of the tab must stay usable.
Proof: tests/ui/services/results/test_evaluations.py.
Reconsider when: older files are migrated when the app starts.
"""
