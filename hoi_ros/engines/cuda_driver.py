# SPDX-License-Identifier: Apache-2.0
"""The few calls of NVIDIA's driver library (libcuda) that TensorRT's buffers need.

Every driver includes it; with ctypes TensorRT needs neither PyTorch nor cuda-python. Names and types are those of
cuda.h; device addresses and handles are integers.
"""

import ctypes
from ctypes import c_char_p
from ctypes import c_int
from ctypes import c_size_t
from ctypes import c_uint
from ctypes import c_uint64
from ctypes import c_void_p
from ctypes import POINTER
from dataclasses import dataclass
from functools import cache

from numpy.typing import NDArray

from hoi_ros.engines.errors import EngineError

CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16
CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76
CU_STREAM_NON_BLOCKING = 1

FAILURE = 'CUDA driver:'
"""How the error of a call that failed begins."""

PROTOTYPES = {
    'cuInit': (c_uint,),
    'cuDriverGetVersion': (POINTER(c_int),),
    'cuDeviceGetCount': (POINTER(c_int),),
    'cuDeviceGet': (POINTER(c_int), c_int),
    'cuDeviceGetName': (c_char_p, c_int, c_int),
    'cuDeviceGetAttribute': (POINTER(c_int), c_int, c_int),
    'cuDevicePrimaryCtxRetain': (POINTER(c_void_p), c_int),
    'cuDevicePrimaryCtxRelease_v2': (c_int,),
    'cuCtxSetCurrent': (c_void_p,),
    'cuStreamCreate': (POINTER(c_void_p), c_uint),
    'cuStreamSynchronize': (c_void_p,),
    'cuStreamDestroy_v2': (c_void_p,),
    'cuMemAlloc_v2': (POINTER(c_uint64), c_size_t),
    'cuMemFree_v2': (c_uint64,),
    'cuMemcpyHtoDAsync_v2': (c_uint64, c_void_p, c_size_t, c_void_p),
    'cuMemcpyDtoHAsync_v2': (c_void_p, c_uint64, c_size_t, c_void_p),
    'cuGetErrorName': (c_int, POINTER(c_char_p)),
}


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU: ordinal, marketing name, compute capability, such as "8.7", and number of multiprocessors.

    GPUs of one name differ in the last one: all Jetson Orin are "Orin".
    """

    ordinal: int
    name: str
    compute_capability: str
    multiprocessors: int


def first_gpu() -> Gpu | None:
    """The first GPU that CUDA shows (CUDA_VISIBLE_DEVICES decides), or None without a driver or a GPU."""
    found = _search()
    return found if isinstance(found, Gpu) else None


def why_no_gpu() -> str:
    """Why `first_gpu` finds none, such as a driver that does not fit its library; empty where it finds one."""
    found = _search()
    return '' if isinstance(found, Gpu) else found


@cache
def _search() -> Gpu | str:
    """The first GPU, or why there is none."""
    count, device = c_int(), c_int()
    try:
        _driver()
        _call('cuInit', 0)
        _call('cuDeviceGetCount', ctypes.byref(count))
        if not count.value:
            return 'the driver shows no GPU'
        _call('cuDeviceGet', ctypes.byref(device), 0)
        name = ctypes.create_string_buffer(256)
        _call('cuDeviceGetName', name, len(name), device)
        major, minor, multiprocessors = (
            _attribute(device, attribute)
            for attribute in (
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
            )
        )
    except OSError as error:
        return f'there is no driver ({error})'
    except EngineError as error:
        return str(error)
    return Gpu(device.value, name.value.decode(), f'{major}.{minor}', multiprocessors)


def _attribute(device: c_int, attribute: int) -> int:
    value = c_int()
    _call('cuDeviceGetAttribute', ctypes.byref(value), attribute, device)
    return value.value


def driver_version() -> tuple[int, int] | None:
    """The latest CUDA that the driver supports, such as (13, 0), or None without a driver."""
    number = c_int()
    try:
        _call('cuDriverGetVersion', ctypes.byref(number))
    except (OSError, EngineError):
        return None
    return number.value // 1000, number.value % 1000 // 10


class DeviceMemory:
    """Named buffers on one GPU and the stream that fills and empties them.

    Attributes:
        stream: CUstream handle.
        addresses: device address of each buffer, by name.
    """

    def __init__(self, gpu: Gpu, sizes: dict[str, int]) -> None:
        """Allocates a buffer of the given number of bytes for each name."""
        self._gpu = gpu
        self._context = c_void_p()
        self.addresses: dict[str, int] = {}
        self.stream = 0
        _call('cuDevicePrimaryCtxRetain', ctypes.byref(self._context), gpu.ordinal)
        try:
            self.make_current()
            stream = c_void_p()
            _call('cuStreamCreate', ctypes.byref(stream), CU_STREAM_NON_BLOCKING)
            self.stream = int(stream.value or 0)
            for name, size in sizes.items():
                address = c_uint64()
                _call('cuMemAlloc_v2', ctypes.byref(address), size)
                self.addresses[name] = address.value
        except EngineError:
            self.free()
            raise

    def make_current(self) -> None:
        """Makes the GPU's primary context, in which TensorRT works, current in the calling thread."""
        _call('cuCtxSetCurrent', self._context)

    def upload(self, name: str, array: NDArray) -> None:
        """Queues the copy of a contiguous array into the buffer."""
        _call('cuMemcpyHtoDAsync_v2', self.addresses[name], array.ctypes.data, array.nbytes, self.stream)

    def download(self, name: str, array: NDArray) -> None:
        """Queues the copy of the buffer into a contiguous array, complete after `synchronize`."""
        _call('cuMemcpyDtoHAsync_v2', array.ctypes.data, self.addresses[name], array.nbytes, self.stream)

    def synchronize(self) -> None:
        """Waits for everything queued."""
        _call('cuStreamSynchronize', self.stream)

    def free(self) -> None:
        """Frees the buffers, the stream and the context."""
        self.make_current()
        for address in self.addresses.values():
            _call('cuMemFree_v2', address)
        if self.stream:
            _call('cuStreamDestroy_v2', self.stream)
        _call('cuDevicePrimaryCtxRelease_v2', self._gpu.ordinal)


@cache
def _driver() -> ctypes.CDLL:
    library = ctypes.CDLL('libcuda.so.1')
    for name, arguments in PROTOTYPES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
    return library


def _call(name: str, *arguments: object) -> None:
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = c_char_p()
        _driver().cuGetErrorName(code, ctypes.byref(text))
        raise EngineError(f'{FAILURE} {name} failed with {(text.value or b"?").decode()} ({code})')
