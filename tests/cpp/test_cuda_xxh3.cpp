// The CUDA kernel's arithmetic, compiled for the CPU, against the fold that hashes on the CPU.
#include "cuda_on_host.h"
#define MMHASH_KERNEL_all

#include <algorithm>

#include "check.h"
#include "devices/cuda/strided.h"
#include "devices/cuda/xxh3/leaves.cu"
#include "identity/tree.h"

using namespace mmhash;
using cuda::Job;
using cuda::Strided;

namespace {

using Bytes = std::vector<std::byte>;

// What one launch does to its buffers, which are poisoned as nothing on a GPU can be relied on to be zero.
Bytes fold_by_kernel(const std::byte* data, std::size_t size, const Strided* layout, unsigned rounds,
                     bool bools = false) {
  const std::size_t leaves = (size + 8191) / 8192;
  std::vector<std::byte> digests(16 * (leaves + leaves / 256 + 4) + 16, std::byte{0xaa});
  std::vector<unsigned> arrived(leaves / 256 + 3, 0);
  std::vector<std::byte> memory(8192 + 16, std::byte{0xbb});
  const auto aligned = [](std::vector<std::byte>& bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    return reinterpret_cast<unsigned char*>((address + 15) & ~std::uintptr_t{15});
  };
  unsigned ready = 6;
  Job job{reinterpret_cast<const unsigned char*>(data),
          size,
          rounds,
          aligned(digests),
          arrived.data(),
          aligned(memory),
          &ready,
          7};
  const std::size_t warps = leaves == 1 ? 1 : cuda::kWarpsPerBlock, per_block = warps * rounds;
  const auto blocks = static_cast<unsigned>((leaves + per_block - 1) / per_block);
  cuda_on_host::launch(blocks, static_cast<unsigned>(32 * warps), [&] {
    if (layout != nullptr) {
      mmhash_xxh3_strided(job, *layout);
    } else if (bools) {
      mmhash_xxh3_bools(job);
    } else if (reinterpret_cast<std::uintptr_t>(data) % 16 == 0) {
      mmhash_xxh3_aligned(job);
    } else {
      mmhash_xxh3_unaligned(job);
    }
  });
  CHECK(ready == 7, "%zu bytes: nothing was published", size);
  CHECK(std::all_of(arrived.begin(), arrived.end(), [](unsigned n) { return n == 0; }),
        "counters of %zu bytes", size);
  const std::size_t folded = size <= 8192 ? size : 16 * (leaves <= 512 ? leaves : (leaves + 511) / 512);
  const auto* begin = reinterpret_cast<std::byte*>(job.result);
  return {begin, begin + folded};
}

Bytes expected_fold(const Payload& payload) {
  Bytes out(kLeafBytes);
  out.resize(fold_tree(payload, out.data()));
  return out;
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

void check_contiguous(std::size_t size, std::size_t ahead, unsigned rounds) {
  const Bytes bytes = random_bytes(size);
  const Placed placed(bytes, ahead);
  CHECK(fold_by_kernel(placed.data, size, nullptr, rounds) == expected_fold(Payload(bytes.data(), size)),
        "%zu bytes, %zu after a multiple of 16", size, ahead);
}

// Of each three bytes one is 0, the others are true.
Bytes random_bools(std::size_t size) {
  Bytes bytes = random_bytes(size);
  for (std::size_t i = 0; i < size; i += 3) {
    bytes[i] = std::byte{0};
  }
  return bytes;
}

void check_bools(std::size_t size, std::size_t ahead, unsigned rounds) {
  const Bytes bytes = random_bools(size);
  const Placed placed(bytes, ahead);
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(size)}, strides{1};
  CHECK(fold_by_kernel(placed.data, size, nullptr, rounds, true) ==
            expected_fold(Payload(bytes.data(), *find_dtype("bool"), shape, strides, {})),
        "%zu bools, %zu after a multiple of 16", size, ahead);
}

struct View {
  const char* dtype;
  std::vector<std::int64_t> shape, strides;  // in bytes
  Transform transform;
  std::size_t first;  // offset of the first element
  std::size_t memory;
};

void check_strided(const View& view) {
  const Dtype& dtype = *find_dtype(view.dtype);
  const bool bools = dtype.element_class == ElementClass::Bool;
  const Bytes bytes = bools ? random_bools(view.memory) : random_bytes(view.memory);
  const Placed placed(bytes, 0);
  const Payload payload(placed.data + view.first, dtype, view.shape, view.strides, view.transform);
  Strided layout;
  CHECK(cuda::describe(payload, layout), "%s was not described", view.dtype);
  CHECK(fold_by_kernel(payload.data(), payload.size(), &layout, 2) == expected_fold(payload),
        "%s of %zu bytes", view.dtype, payload.size());
}

}  // namespace

int main() {
  for (const std::size_t boundary : {3, 8, 16, 32, 64, 96, 128, 240, 256, 1024, 2048, 8192}) {
    for (std::size_t size = boundary - 1; size <= boundary + 1; ++size) {
      check_contiguous(size, size % 16, 1);            // bytes that are handed on as they are
      check_contiguous(8192 + size, size % 3 * 5, 2);  // a last leaf of that size
    }
  }
  for (std::size_t ahead = 1; ahead < 16; ++ahead) {
    check_contiguous(2 * 8192 + 17, ahead, 4);
    check_contiguous(3 * 8192, ahead, 1);
    check_contiguous(3 * 8192 + 16 - ahead, ahead, 2);
    check_contiguous(3 * 8192 + 15 - ahead / 2, ahead, 1);
  }
  for (const std::size_t size : {1, 2, 9, 50, 170}) {
    check_contiguous(8192 + size, 0, 1);
  }
  for (const std::size_t leaves : {512, 513, 530, 1025}) {  // the last group: all, one, 18, one
    check_contiguous(8192 * leaves - 5, 0, leaves == 512 ? 1 : 8);
  }

  for (const std::size_t size : {1, 15, 16, 17, 240, 8191, 8192, 8193, 8192 + 15, 2 * 8192 + 300, 3 * 8192}) {
    for (const std::size_t ahead : {0, 1, 8, 15}) {
      check_bools(size, ahead, 2);
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
  check_strided({"float16", {2, 2, 2, 2, 2, 2, 300}, {1, 3, 5, 11, 23, 51, 2}, {}, 0, 1000});
  check_strided({"bfloat16", {9000, 3}, {6, 4}, {}, 0, 9000 * 6 + 8});  // longer than a leaf, overlapping
  check_strided({"float32", {7, 20000}, {4, 28}, {}, 0, 7 * 20000 * 4});
  std::printf("the kernel agrees\n");
}
