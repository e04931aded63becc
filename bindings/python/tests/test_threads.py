"""Threads, interrupts and forks."""

import os
import signal
import threading
import time

import numpy as np
import obert
import pytest


def test_other_threads_run_while_a_model_computes(golden, load):
    texts = ["w1 w2 w3 w4 w5 w6 w7"] * 4096
    model = obert.load(golden / "embeddings/model", threads=1)
    computing = threading.Event()
    moments = []

    def compute():
        computing.set()
        # One call of the native code.
        model.embed(texts, batch_size=len(texts))
        computing.clear()

    thread = threading.Thread(target=compute)
    thread.start()
    computing.wait()
    while computing.is_set():
        moments.append(time.perf_counter())
        time.sleep(0)
    thread.join()
    # With the GIL this thread would have been stopped until the end of the call.
    assert len(moments) > 20, len(moments)


def test_threads_share_a_model_and_get_the_same_results(load, recorded):
    model = load("embeddings/model")
    expected = model.embed(recorded["sentences"][:3])
    wrong = []

    def work():
        for _ in range(100):
            if not np.array_equal(model.embed(recorded["sentences"][:3]), expected):
                wrong.append(threading.get_ident())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
def test_an_interrupt_stops_a_long_call(load):
    model = load("embeddings/model")
    # A process that a shell started in the background ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            model.embed(["w1 w2 w3"] * 100_000)
    assert time.perf_counter() - began < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_is_told_to_load_again(golden, load, recorded):
    model = load("embeddings/model")
    expected = model.embed(recorded["sentences"][:2])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            model.embed("w1")
        except RuntimeError as error:
            again = obert.load(golden / "embeddings/model", threads=2).embed(recorded["sentences"][:2])
            code = 0 if "load it again" in str(error) and np.array_equal(again, expected) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
