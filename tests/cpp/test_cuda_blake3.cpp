// The CUDA kernels of BLAKE3, compiled for the CPU, and what they leave to the host, against BLAKE3 as its
// paper defines it.
#include "cuda_on_host.h"
#define MMHASH_KERNEL_all

#include <algorithm>

#include "blake3_reference.h"
#include "check.h"
#include "devices/cuda/blake3/chunks.cu"
#include "devices/cuda/blake3/method.h"
#include "devices/cuda/strided.h"
#include "identity/tree.h"

using namespace mmhash;
using cuda::Access;
using cuda::Blake3Method;
using cuda::Job;
using cuda::Strided;

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint8_t kKey[33] = "whats the Elvish word for friend";  // the test vectors'

// Of the algorithm's own test vectors, whose byte i is i % 251: plain and keyed, the first 8 bytes.
void check_reference() {
  struct Vector {
    std::size_t size;
    std::uint64_t plain, keyed;
  };
  constexpr Vector kVectors[] = {
      {0, 0xaf1349b9f5f9a1a6, 0x92b2b75604ed3c76},     {1, 0x2d3adedff11b61f1, 0x6d7878dfff2f4856},
      {64, 0x4eed7141ea4a5cd4, 0xba8ced36f327700d},    {65, 0xde1e5fa0be70df6d, 0xc0a4edefa2d2accb},
      {1023, 0x10108970eeda3eb9, 0xc951ecdf03288d0f},  {1024, 0x42214739f095a406, 0x75c46f6f3d9eb4f5},
      {1025, 0xd00278ae47eb27b3, 0x357dc55de0c7e382},  {2048, 0xe776b6028c7cd22a, 0x879cf1fa2ea0e791},
      {2049, 0x5f4d72f40d7a5f82, 0x9f29700902f7c86e},  {3072, 0xb98cb0ff3623be03, 0x044a0e7b172a312d},
      {8193, 0xbab6c09cb8ce8cf4, 0x954a2a75420c8d65},  {31744, 0x62b6960e1a44bcc1, 0xefa53b389ab67c59},
      {102400, 0xbc3e3d41a1146b06, 0x1c35d1a5811083fd}};
  for (const Vector& vector : kVectors) {
    Bytes bytes(vector.size);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(i % 251);
    }
    for (const bool keyed : {false, true}) {
      const auto digest = blake3_reference::hash(bytes, keyed ? kKey : nullptr);
      std::uint64_t first = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        first = first << 8 | std::to_integer<std::uint64_t>(digest[i]);
      }
      CHECK(first == (keyed ? vector.keyed : vector.plain), "the reference is wrong at %zu bytes",
            vector.size);
    }
  }
}

enum class Kernel { kAligned, kWithoutCpAsync, kUnaligned, kBools, kStrided };

void run(Kernel kernel, const cuda::blake3::KeyedJob& keyed, const Strided& layout) {
  switch (kernel) {
    case Kernel::kAligned: return mmhash_blake3_aligned(keyed);
    case Kernel::kWithoutCpAsync:
      return cuda::blake3::contiguous<cuda::Aligned, cuda::blake3::ThroughRegisters<cuda::Aligned>>(keyed);
    case Kernel::kUnaligned: return mmhash_blake3_unaligned(keyed);
    case Kernel::kBools: return mmhash_blake3_bools(keyed);
    case Kernel::kStrided: return mmhash_blake3_strided(keyed, layout);
  }
}

// What one launch does to its buffers, which are poisoned as nothing on a GPU can be relied on to be zero,
// and what the host makes of it. `multiprocessors`: with few of them a thread hashes four chunks.
Bytes fold_by_kernel(const std::byte* data, std::size_t size, Kernel kernel, const Strided& layout,
                     const std::uint8_t* key, unsigned multiprocessors) {
  const Blake3Method method(key);
  const cuda::Grid grid = size <= kLeafBytes ? cuda::Grid{1, 32, 1} : method.grid(size, multiprocessors);
  std::vector<std::uint64_t> nodes(4 * (std::size_t{grid.blocks} + grid.blocks / 256 + 4),
                                   0xaaaaaaaaaaaaaaaa);
  std::vector<unsigned> arrived(grid.blocks / 256 + 4, 0);
  std::vector<std::uint64_t> result(kLeafBytes / 8, 0xbbbbbbbbbbbbbbbb);
  unsigned char* const result_bytes = reinterpret_cast<unsigned char*>(result.data());
  unsigned ready = 6;
  const Job job{reinterpret_cast<const unsigned char*>(data),
                size,
                grid.rounds,
                reinterpret_cast<unsigned char*>(nodes.data()),
                arrived.data(),
                result_bytes,
                &ready,
                7};
  std::fill(std::begin(cuda_on_host::dynamic_shared), std::end(cuda_on_host::dynamic_shared),
            static_cast<unsigned char>(0xdd));
  const cuda::blake3::KeyedJob keyed = method.keyed(job);
  cuda_on_host::launch(grid.blocks, grid.threads, [&] { run(kernel, keyed, layout); });
  CHECK(ready == 7, "%zu bytes: nothing was published", size);
  CHECK(std::all_of(arrived.begin(), arrived.end(), [](unsigned n) { return n == 0; }),
        "counters of %zu bytes", size);
  Bytes out(kLeafBytes);
  if (size <= kLeafBytes) {
    std::copy_n(reinterpret_cast<std::byte*>(result_bytes), size, out.begin());
    out.resize(size);
  } else {
    out.resize(method.finish(result_bytes, size, grid, out.data()));
  }
  return out;
}

// tree(payload) of docs/SPEC.md.
Bytes expected_fold(const Payload& payload, const std::uint8_t* key) {
  Bytes scratch(payload.size());
  const std::byte* bytes = payload.read(0, payload.size(), scratch.data());
  if (payload.size() <= kLeafBytes) {
    return {bytes, bytes + payload.size()};
  }
  const auto digest = blake3_reference::hash({bytes, payload.size()}, key);
  return {digest.begin(), digest.end()};
}

// Memory that ends with these bytes and begins with a multiple of 16, `ahead` before them.
struct Placed {
  std::vector<std::byte> memory;
  std::byte* data;
  Placed(const Bytes& bytes, std::size_t ahead) : memory(bytes.size() + ahead, std::byte{0xcc}) {
    data = memory.data() + ahead;
    std::copy(bytes.begin(), bytes.end(), data);
  }
};

void check_contiguous(std::size_t size, std::size_t ahead, unsigned multiprocessors = 132) {
  const Bytes bytes = random_bytes(size);
  const Placed placed(bytes, ahead);
  const std::uint8_t* key = size % 2 == 0 ? kKey : nullptr;
  for (const Kernel kernel : {Kernel::kAligned, Kernel::kWithoutCpAsync, Kernel::kUnaligned}) {
    if (ahead % 16 == 0 || kernel == Kernel::kUnaligned) {
      CHECK(fold_by_kernel(placed.data, size, kernel, {}, key, multiprocessors) ==
                expected_fold(Payload(bytes.data(), size), key),
            "%zu bytes, %zu after a multiple of 16, kernel %d", size, ahead, static_cast<int>(kernel));
    }
  }
}

// Of each three bytes one is 0, the others are true.
Bytes random_bools(std::size_t size) {
  Bytes bytes = random_bytes(size);
  for (std::size_t i = 0; i < size; i += 3) {
    bytes[i] = std::byte{0};
  }
  return bytes;
}

void check_bools(std::size_t size, std::size_t ahead) {
  const Bytes bytes = random_bools(size);
  const Placed placed(bytes, ahead);
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(size)}, strides{1};
  CHECK(fold_by_kernel(placed.data, size, Kernel::kBools, {}, nullptr, 132) ==
            expected_fold(Payload(bytes.data(), *find_dtype("bool"), shape, strides, {}), nullptr),
        "%zu bools, %zu after a multiple of 16", size, ahead);
}

struct View {
  const char* dtype;
  std::vector<std::int64_t> shape, strides;  // in bytes
  Transform transform;
  std::size_t first;  // offset of the first element
  std::size_t memory;
};

void check_strided(const View& view, unsigned multiprocessors = 132) {
  const Dtype& dtype = *find_dtype(view.dtype);
  const bool bools = dtype.element_class == ElementClass::Bool;
  const Bytes bytes = bools ? random_bools(view.memory) : random_bytes(view.memory);
  const Placed placed(bytes, 0);
  const Payload payload(placed.data + view.first, dtype, view.shape, view.strides, view.transform);
  Strided layout;
  CHECK(cuda::describe(payload, layout), "%s was not described", view.dtype);
  CHECK(fold_by_kernel(payload.data(), payload.size(), Kernel::kStrided, layout, kKey, multiprocessors) ==
            expected_fold(payload, kKey),
        "%s of %zu bytes", view.dtype, payload.size());
}

void check_shared_memory() {
  using namespace cuda::blake3;
  const Blake3Method method(nullptr);
  CHECK(method.shared_bytes(Access::kAligned) == kSharedBytes<Asynchronous>, "aligned");
  CHECK(method.shared_bytes(Access::kUnaligned) == kSharedBytes<ThroughRegisters<cuda::Unaligned>>,
        "unaligned");
  CHECK(method.shared_bytes(Access::kBools) == kSharedBytes<ThroughRegisters<cuda::Bools>>, "bools");
  CHECK(method.shared_bytes(Access::kStrided) == kSharedBytes<Gathered>, "strided");
}

}  // namespace

int main() {
  check_reference();
  check_shared_memory();
  for (const std::size_t size : {1, 15, 16, 17, 1000, 1024, 8191, 8192}) {  // handed over as they are
    check_contiguous(size, 0);
    check_contiguous(size, size % 15 + 1);
  }
  // A last block, chunk, row and warp of every kind, and trees with and without nodes that have no neighbour.
  for (const std::size_t chunks :
       {8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 96, 127, 128, 129, 200, 256, 257}) {
    for (const std::size_t rest : {0, 1, 63, 64, 65, 127, 128, 129, 1000, 1008, 1023}) {
      if (chunks > 8 || rest > 0) {
        check_contiguous(1024 * chunks + rest, (chunks + rest) % 16);
      }
    }
    check_contiguous(1024 * chunks + 1, 0, 0);  // four rounds, of which the last ones are empty
  }
  for (std::size_t ahead = 0; ahead < 16; ++ahead) {
    check_contiguous(32 * 1024, ahead);
    check_contiguous(32 * 1024 - ahead, ahead);
    check_contiguous(33 * 1024 + 15 - ahead, ahead);
  }
  for (const std::size_t chunks : {511, 512, 513, 600, 1024, 1025, 128 * 37 + 3}) {
    check_contiguous(1024 * chunks - 5, chunks % 16);
    check_contiguous(1024 * chunks, 0, 0);
  }
  check_contiguous((128 * 513 + 1) * 1024 + 7, 0);  // 514 blocks: groups of 512 and of 2

  for (const std::size_t size : {1, 15, 16, 17, 240, 8191, 8192, 8193, 8192 + 15, 3 * 8192, 200'003}) {
    for (const std::size_t ahead : {0, 1, 8, 15}) {
      check_bools(size, ahead);
    }
  }

  check_strided({"float32", {300, 77}, {4, 1200}, {}, 0, 300 * 77 * 4});  // transposed
  check_strided({"float32", {77}, {-8}, {}, 76 * 8, 77 * 8});             // reversed
  check_strided({"int16", {5, 3, 1700}, {0, 3400, 2}, {}, 0, 3 * 3400});  // expanded
  check_strided({"bool", {200, 99}, {1, 200}, {}, 0, 200 * 99});          // transposed
  check_strided({"bool", {77}, {-2}, {}, 76 * 2, 76 * 2 + 1});
  check_strided({"uint8", {3, 60, 70}, {1, 210, 3}, {}, 0, 3 * 60 * 70});             // channels first
  check_strided({"complex64", {2200}, {16}, {false, true, true}, 8, 2200 * 16 + 8});  // -conj
  check_strided({"complex128", {40, 30}, {16, 640}, {false, true, false}, 0, 40 * 30 * 16});  // conj
  check_strided({"int32", {3000}, {8}, {false, false, true}, 4, 3000 * 8});                   // negative
  check_strided({"int8", {9001}, {1}, {false, false, true}, 0, 9001});
  check_strided({"float64", {9, 130}, {1043, 8}, {}, 3, 9 * 1043 + 3});  // unaligned rows
  check_strided({"float64", {33, 130}, {1043, 8}, {}, 3, 33 * 1043 + 3});
  check_strided({"float16", {2, 2, 2, 2, 2, 2, 300}, {1, 3, 5, 11, 23, 51, 2}, {}, 0, 1000});
  check_strided({"bfloat16", {9000, 3}, {6, 4}, {}, 0, 9000 * 6 + 8});  // longer than a leaf, overlapping
  check_strided({"uint8", {3, 40'000}, {1, 3}, {}, 0, 3 * 40'000});  // than what a warp gathers from a place
  check_strided({"float32", {7, 20000}, {4, 28}, {}, 0, 7 * 20000 * 4});
  check_strided({"float32", {7, 30000}, {4, 28}, {false, false, true}, 0, 7 * 30000 * 4}, 0);  // four rounds
  std::printf("the kernels agree\n");
}
