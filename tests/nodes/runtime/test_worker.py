# SPDX-License-Identifier: Apache-2.0
import threading

from hoi_ros.nodes.runtime.worker import NewestFirstWorker

TIMEOUT = 30.0


def test_the_newest_item_replaces_those_that_wait():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def process(item):
        begun.set()
        go_on.wait(TIMEOUT)
        done.append(item)

    worker = NewestFirstWorker(process)
    assert not worker.offer('first')
    assert begun.wait(TIMEOUT)
    assert not worker.offer('second')
    assert worker.offer('third')
    go_on.set()
    last = threading.Event()
    while len(done) < 2:
        last.wait(0.01)
    worker.stop()
    assert worker.join(TIMEOUT)
    assert done == ['first', 'third']


def test_stop_returns_while_an_item_is_processed_and_release_follows_it():
    begun, go_on, events = threading.Event(), threading.Event(), []

    def process(item):
        begun.set()
        go_on.wait(TIMEOUT)
        events.append(item)

    worker = NewestFirstWorker(process, lambda: events.append('released'))
    worker.offer('item')
    assert begun.wait(TIMEOUT)
    worker.offer('never')
    worker.stop()
    assert events == []
    go_on.set()
    assert worker.join(TIMEOUT)
    assert events == ['item', 'released']


def test_clear_forgets_what_waits():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def process(item):
        begun.set()
        go_on.wait(TIMEOUT)
        done.append(item)

    worker = NewestFirstWorker(process)
    worker.offer('first')
    assert begun.wait(TIMEOUT)
    worker.offer('second')
    worker.clear()
    go_on.set()
    worker.stop()
    assert worker.join(TIMEOUT)
    assert done == ['first']


def test_it_tells_how_long_the_present_item_or_step_takes():
    begun, go_on, now = threading.Event(), threading.Event(), [0.0]

    def process(item):
        begun.set()
        go_on.wait(TIMEOUT)

    worker, pause = NewestFirstWorker(process, clock=lambda: now[0]), threading.Event()
    assert worker.busy() == 0
    worker.offer('item')
    assert begun.wait(TIMEOUT)
    now[0] = 7.0
    assert worker.busy() == 7
    worker.give_way()  # a request is between two steps
    now[0] = 9.0
    assert worker.busy() == 2
    go_on.set()
    while worker.busy():
        pause.wait(0.01)
    worker.stop()
    assert worker.join(TIMEOUT)


def test_a_request_gives_way_to_the_newest_item_that_waits():
    done = []

    def process(item):
        if item == 'request':
            worker.give_way()  # nothing waits
            worker.offer('first')
            worker.offer('second')
            worker.give_way()
        done.append(item)
        if len(done) == 2:
            last.set()

    worker, last = NewestFirstWorker(process), threading.Event()
    worker.request('request')
    assert last.wait(TIMEOUT)
    worker.stop()
    assert worker.join(TIMEOUT)
    assert done == ['second', 'request']
