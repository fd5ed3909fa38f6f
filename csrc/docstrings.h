// The docstrings of what the module gives to users, each with its own signature line, which
// inspect.signature() reads. Their examples are run by tests/test_docs.py.
#pragma once

namespace mmhash {

inline constexpr const char* kIdentityDoc = R"(identity($module, value, /, *, cache=True, algorithm=None, key=None)
--

The identity of a value: a digest of what it is, wherever and however it is stored.

`value` is None, a bool, int, float, complex or str; a tensor or array (torch.Tensor, numpy.ndarray, a NumPy
scalar, anything with __dlpack__) of any shape, strides and device and of the dtypes bool, (u)int8 to 64,
float16, bfloat16, float32, float64, complex64, complex128 and torch's 8-bit floats; a PIL image; any other
object with the buffer protocol; or a list, tuple or mapping of these. The same elements with the same dtype
and shape have one identity in NumPy and torch, contiguous or strided, on the CPU or a GPU.

`algorithm` is "xxh3" (16 bytes; not cryptographic: whoever chooses the content can make two contents with one
identity), "blake3" (32 bytes, by the package blake3) or "sha256" (32 bytes, by hashlib). `key`, 32 bytes, makes
it BLAKE3's keyed mode or HMAC-SHA-256. Where neither is given, what configure() or MMHASH_ALGORITHM set counts,
else xxh3; a key alone goes with the configured algorithm, and an algorithm that is named takes no key but this one.
docs/threat-model.md says which to choose.

Contiguous memory is read in place; strided memory through at most 64 KiB of scratch a thread (blake3, sha256: 1
MiB a call). Payloads of 256 KiB and more are hashed without the GIL, of 4 MiB (blake3: 2 MiB) and more by get_num_threads()
threads (sha256: one); the digest does not depend on it. Safe to call from any thread. Memory that another thread writes meanwhile gives the digest
of some mixture.

A PIL image is what Pillow gives of the current frame: mode, size, palette, transparency and tobytes(). So
16-bit RGB PNGs count by the 8 bits that Pillow keeps, an EXIF orientation does not turn the pixels unless
Pillow itself does so (TIFF) or ImageOps.exif_transpose() did, and other frames do not show. An unread file is
loaded by one thread at a time, images of one file object included; the others wait without the GIL. An image that
failed to load raises the same each time, though Pillow itself would give black pixels the second time: open
its file again. Threads that call the image's own load(), seek() or crop() meanwhile are not waited for, and
a load() that failed before mmhash saw the image often cannot be told from one that succeeded.

The identity of a torch tensor of 128 KiB or more is kept in a cache and found again while `_version` tells of no
write; nothing of the tensor is kept alive. Arrays and buffers are hashed each time unless frozen. A write that
leaves `_version` as it is (through .data, untyped_storage(), DLPack or a raw pointer, by collectives, fused
optimizers, batch norm's statistics, custom kernels or replayed CUDA graphs, through inference tensors over the
same storage; csrc/cache/cache.h has the list) is not seen: call forget(x) after one. MMHASH_CACHE_SIZE=0 turns
the cache off, and cache=False for one call.

Raises TypeError for a value that has no identity (object, string, datetime and longdouble arrays; sparse,
quantized, nested and meta tensors; sets; other classes), naming where in a nested value it stands;
ValueError for one that contains itself or is nested deeper than 1,000 levels; RuntimeError for an image that
this thread is loading already; ValueError for an unknown algorithm, a key of another length and a key with xxh3;
ImportError where the package blake3 is missing; and whatever the value's own methods raise, an image's with its type and the
place before the message.

>>> mmhash.identity([1, "image"]).hex()
'deb24704e56c484dc40b971d7463d1b3'
>>> mmhash.identity({"images": [{1, 2}]})
Traceback (most recent call last):
TypeError: no identity for value["images"][0]: a set; expected None, a number, ...

The format is frozen (docs/SPEC.md): XXH3-128 (https://xxhash.com) over leaves of 8 KiB and a typed frame, or
BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) or SHA-256 (FIPS 180-4) over the payload and the same frame.
)";

inline constexpr const char* kHashFeatureDoc = R"(hash_feature($module, feature, /, *, cache=True, algorithm=None, key=None)
--

The first 64 bits of identity(feature), as a non-negative int.

Takes the place of sglang.srt.managers.mm_utils.hash_feature, for every kind of feature: a tensor on any
device, an array, a buffer, or a nested list of them. Algorithms, threads, GIL, copies, cache and errors are those of
identity(); None, which stands for a feature that was released, is a TypeError.

>>> mmhash.hash_feature(b"pixels") == int.from_bytes(mmhash.identity(b"pixels")[:8], "big")
True
>>> mmhash.hash_feature(None)
Traceback (most recent call last):
TypeError: hash_feature expected a feature (tensor, array, buffer, or a nested list of them), found None; ...
)";

inline constexpr const char* kXxh3_64Doc = R"(xxh3_64($module, data, /, *, seed=0)
--

Plain XXH3-64 of the bytes of `data`, as an int: equal to xxhash.xxh3_64_intdigest(data, seed).

`data` is any object with the buffer protocol or a contiguous tensor on the CPU; no copy is made. `seed` is an
int from 0 to 2**64 - 1. One thread; the GIL is released from 256 KiB on. Neither dtype nor shape nor
length enter into it: identity() is what tells values apart.

Raises TypeError for anything else (a str: encode it), and ValueError for memory that is not contiguous or a
seed out of range.

>>> hex(mmhash.xxh3_64(b"abc"))
'0x78af5f94892f3950'
>>> mmhash.xxh3_64("abc")
Traceback (most recent call last):
TypeError: expected a buffer or a contiguous CPU tensor, found a str; encode a str to bytes; ...
)";

inline constexpr const char* kXxh3_128Doc = R"(xxh3_128($module, data, /, *, seed=0)
--

Plain XXH3-128 of the bytes of `data`, as an int: equal to xxhash.xxh3_128_intdigest(data, seed).

Arguments, threads, GIL and errors are those of xxh3_64().

>>> hex(mmhash.xxh3_128(b"abc"))
'0x6b05ab6733a618578af5f94892f3950'
>>> mmhash.xxh3_128(b"abc", seed=-1)
Traceback (most recent call last):
ValueError: seed: expected an int from 0 to 2**64 - 1, found -1
)";

inline constexpr const char* kSetNumThreadsDoc = R"(set_num_threads($module, n, /)
--

How many threads one call of identity() or hash_feature() may use, the calling one included: 1 to 256.

For the whole process, from the next call on; any thread may set it. The pool grows when it is first needed
and its threads stay. Calls that run at the same time do not share the pool: one has it, the others hash on
their own thread and never wait. The default is the number of CPUs that the process may use, at most 4,
or the environment variable MMHASH_NUM_THREADS.

Raises TypeError for anything but an int, and ValueError for a number out of range.

>>> mmhash.set_num_threads(2)
>>> mmhash.set_num_threads(0)
Traceback (most recent call last):
ValueError: expected a number of threads from 1 to 256, found 0
)";

inline constexpr const char* kGetNumThreadsDoc = R"(get_num_threads($module, /)
--

How many threads one call may use; see set_num_threads().

>>> mmhash.get_num_threads() >= 1
True
)";

inline constexpr const char* kPendingIdentityDoc = R"(PendingIdentity()
--

An identity that is being computed.

Made by identity_async(), which says what it holds and how long. Any thread may use it.

>>> mmhash.PendingIdentity()
Traceback (most recent call last):
TypeError: cannot create 'mmhash._core.PendingIdentity' instances
)";

inline constexpr const char* kDoneDoc = R"(done($self, /)
--

True if result() will not wait. Neither blocks nor asks the driver: a hash on the GPU reports by itself.

>>> mmhash.identity_async(b"pixels").done()
True
)";

inline constexpr const char* kResultDoc = R"(result($self, /)
--

The identity, 16 or 32 bytes. Waits for it, without the GIL, where done() is False; gives the same each time.

Raises RuntimeError if CUDA reports an error, be it of an earlier kernel, or in a forked child.

>>> mmhash.identity_async(b"pixels").result() == mmhash.identity(b"pixels")
True
)";

inline constexpr const char* kIdentityAsyncDoc = R"(identity_async($module, value, /, *, algorithm=None, key=None)
--

Starts computing identity(value, algorithm=algorithm, key=key) and returns a PendingIdentity, whose result() is it.

For a tensor on a CUDA device the hash is enqueued on the device's current stream and nothing is waited for: it
sees what was enqueued on that stream before, and what is enqueued after it may overwrite the tensor. Any number
may be pending. Each holds the tensor's memory and about 50 KB of buffers, which are used again, until its result
is read or it is dropped. Dropping one never waits.

The identity of any other value (on the CPU, nested, empty, or of a tensor that has to be copied from its device)
is computed before this returns, since its memory could change. The cache is neither asked nor filled.

Raises what identity() raises, and RuntimeError while a CUDA graph is being captured; what goes wrong on the GPU
is raised by result().

>>> pending = mmhash.identity_async(b"pixels")
>>> pending.result() == mmhash.identity(b"pixels")
True
>>> mmhash.identity_async({1, 2})
Traceback (most recent call last):
TypeError: no identity for value: a set; expected None, a number, ...
)";

inline constexpr const char* kWriteDoc =
    R"(write($module, fd, value, /, *, offset=0, algorithm=None, key=None)
--

Writes the payload of a tensor, array or buffer to a file, and returns identity(value): one pass over the memory.

`fd` is a file descriptor, or an object with fileno(), that is open for writing; `offset` the position in bytes,
and the file's own position stays where it is. Written are the elements in row-major order, each little-endian, as
docs/SPEC.md has the payload: the bytes of a contiguous array as they are (a bool as 0 or 1), of any other layout
gathered by at most 1 MiB of memory (8 MiB with blake3 and sha256), by pwrite(2), without the GIL. One thread. Into
shared memory this is faster than mapping it and copying, as its pages need not be cleared first.

The file is as long as it has to be afterwards and is not shortened; nothing is reserved or synced. Memory that
another thread writes meanwhile gives bytes and a digest of some mixture, not of the same one. The cache is neither
asked nor filled. `algorithm` and `key` are those of identity().

Raises OSError where the system does (a full disk or /dev/shm, a limit, a pipe, a descriptor that is not open for
writing): then some of the bytes may be in the file, and there is no identity. ValueError for a negative offset
and for a file that is open for appending; TypeError for other values and for tensors that are not on the CPU.

>>> import tempfile
>>> with tempfile.TemporaryFile() as file:
...     mmhash.write(file, b"pixels") == mmhash.identity(b"pixels"), file.read()
(True, b'pixels')
)";

inline constexpr const char* kCopyDoc = R"(copy($module, destination, source, /, *, algorithm=None, key=None)
--

Copies the payload of a tensor, array or buffer into memory, and returns identity(source): one pass over it.

`destination` is a writable contiguous buffer, or a contiguous torch tensor on the CPU, of as many bytes; the bytes
are those that write() writes. What the cache knows of it is forgotten, and a torch tensor's `_version` stays as it
is. Threads, GIL, cache and the arguments `algorithm` and `key` are those of write().

Raises ValueError for a destination of another size, a strided one, and one whose memory overlaps the source's;
BufferError for one that cannot be written; TypeError as write() does.

>>> memory = bytearray(6)
>>> mmhash.copy(memory, b"pixels") == mmhash.identity(b"pixels"), memory
(True, bytearray(b'pixels'))
)";

}  // namespace mmhash
