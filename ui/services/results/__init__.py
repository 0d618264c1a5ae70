"""Services for trained models: chat, evaluation, exports, endpoints.

Decision: A damaged or older file of an evaluation is reported in its own card.
Because: the rest of the tab must stay usable.
Proof: tests/ui/services/results/test_evaluations.py.
Reconsider when: older files are migrated when the app starts.
"""
