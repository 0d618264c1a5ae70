"""Try: the trained model and its base answer the same question.

tab.py                                                     the tab
views.py                                                   the conversation as HTML
asking.py, talk.py                                         asking, and what was said
answer_settings.py, document_fields.py                     how they answer, and about what
correcting.py                                              a wrong answer, corrected
evaluation_card.py, verdict_card.py                        is it better?
report_card.py                                             every answer
blind_card.py                                              a blind test
prompt_card.py                                             try a prompt first
first_card.py                                              the finished apprentice of a first visit
ready_models.py                                            whether there is a model to try or share
"""
