"""Questions of a thread to the person in front of the window."""

import threading

from napari_surfseg.gui.background.questions import Asker


def test_a_question_of_a_thread_is_shown_in_the_windows_thread(qtbot):
    shown, answers = [], []

    def show(text):
        shown.append((text, threading.current_thread()))
        return True

    asker = Asker(show)
    assert asker.ask("Here?")
    thread = threading.Thread(target=lambda: answers.append(asker.ask("There?")))
    thread.start()
    qtbot.waitUntil(lambda: bool(answers), timeout=5000)
    thread.join(5)
    main = threading.main_thread()
    assert shown == [("Here?", main), ("There?", main)]
    assert answers == [True]


def test_a_question_of_a_cancelled_job_is_answered_no(qtbot):
    asker = Asker(lambda _text: True)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(asker.ask("There?", lambda: True)))
    thread.start()
    thread.join(5)
    assert answers == [False]
