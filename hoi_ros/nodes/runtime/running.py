# SPDX-License-Identifier: Apache-2.0
"""The process of a node: runs until SIGINT or SIGTERM and exits with code 0, or with 2 where ROS refuses the start."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Sequence

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation

from hoi_ros.nodes.runtime.managed_node import ManagedNode
from hoi_ros.nodes.runtime.python_log import NodeLog
from hoi_ros.nodes.runtime.starting import created
from hoi_ros.nodes.runtime.starting import refuse_arguments
from hoi_ros.nodes.runtime.starting import say_refused
from hoi_ros.nodes.runtime.starting import start_ros
from hoi_ros.nodes.runtime.starting import StartRefused
from hoi_ros.nodes.runtime.starting import usage
from hoi_ros.nodes.runtime.starting import wants_help
from hoi_ros.nodes.runtime.worker import THREADS

_PATIENCE = 1.0  # seconds for threads that still run a network when the process is told to end


def run(create: Callable[[], ManagedNode], topics: Sequence[str] = ()) -> int:
    """Creates the node, spins until the process is told to end, and cleans up; --help only prints the usage.

    Args:
        create: creates the node; the first line of its module's docstring describes it in the usage.
        topics: that the usage names for remapping.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:]
    if wants_help(arguments):
        about = inspect.getdoc(inspect.getmodule(create)) or ''
        print(usage(about.partition('\n')[0], topics))
        return 0
    node, code = None, 1
    try:
        start_ros()
        refuse_arguments(arguments)
        node = created(create)
        logging.getLogger('hoi_ros').addHandler(NodeLog(node.get_logger()))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        code = 0
    except StartRefused as error:
        code = say_refused(error)
    except Exception as error:
        if isinstance(error, rclpy_implementation.RCLError) and not rclpy.ok():
            code = 0  # a callback was running when the process was told to end
        else:
            traceback.print_exc()  # here: the process may exit below, before Python prints it
    finally:
        # A second Ctrl-C must not interrupt the clean-up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.close()
        ended = _own_threads_end()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        if not ended:
            # A native library still runs in that thread; unloading it would crash.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return code


def _own_threads_end() -> bool:
    """Waits for the threads of the node; returns whether they ended."""
    until = time.monotonic() + _PATIENCE
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(THREADS)]
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return not any(thread.is_alive() for thread in threads)
