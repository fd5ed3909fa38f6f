#include "devices/cuda/blake3/method.h"

#include <cstring>

#include "devices/cuda/blake3/compress.h"

namespace mmhash::cuda {
namespace {

using blake3::kChunkBytes, blake3::kThreads, blake3::Word;

// As load.cuh and chunks.cu divide it: a warp's stage is 32 rows of 144 bytes.
constexpr unsigned kStageBytes = 32 * 144, kTreeBytes = blake3::kFan * blake3::kNodeBytes;
constexpr unsigned kWarps = kThreads / 32;

std::size_t chunks_of(std::size_t size) {
  return (size + kChunkBytes - 1) / kChunkBytes;
}

// How many nodes the kernel leaves to the host, of that many chunks in that many blocks.
unsigned nodes_left(std::size_t chunks, std::size_t blocks) {
  std::size_t nodes = chunks;
  if (blocks > 1) {
    nodes = blocks;
    while (nodes > blake3::kFan) {
      nodes = (nodes + blake3::kFan - 1) / blake3::kFan;
    }
  }
  while (nodes > blake3::kTop) {
    nodes = (nodes + 1) / 2;
  }
  return static_cast<unsigned>(nodes);
}

}  // namespace

Blake3Method::Blake3Method(const std::uint8_t* key) : flags_(key == nullptr ? 0 : blake3::kKeyed) {
  std::memcpy(key_, key == nullptr ? static_cast<const void*>(blake3::kIv) : key, sizeof key_);
}

unsigned Blake3Method::shared_bytes(Access access) const {
  const unsigned stages = access == Access::kAligned ? 2 : 1;
  return kWarps * stages * kStageBytes + kTreeBytes + 16;
}

// One chunk a thread while all of them are on the GPU at once or nearly: two waves of 16 warps a
// multiprocessor, 138 MB on an H100. Four beyond, for a quarter of the arrivals; eight gain nothing.
Grid Blake3Method::grid(std::size_t size, unsigned multiprocessors) const {
  const std::size_t chunks = chunks_of(size);
  const unsigned rounds = chunks <= std::size_t{2 * 16 * 32} * multiprocessors ? 1 : blake3::kMaxRounds;
  const std::size_t per_block = std::size_t{kThreads} * rounds;
  return {static_cast<unsigned>((chunks + per_block - 1) / per_block), kThreads, rounds};
}

blake3::KeyedJob Blake3Method::keyed(const Job& job) const {
  blake3::KeyedJob keyed{job, {}, flags_, 1};
  std::memcpy(keyed.key, key_, sizeof key_);
  return keyed;
}

Result Blake3Method::launch(const Call& call, Job job, Strided layout) const {
  blake3::KeyedJob keyed = this->keyed(job);
  void* parameters[] = {&keyed, &layout};
  return call.with(parameters);
}

// What is left of the tree: at most kTop nodes, at least two.
std::size_t Blake3Method::finish(const unsigned char* handed_over, std::size_t size, const Grid& grid,
                                 std::byte* out) const {
  unsigned count = nodes_left(chunks_of(size), grid.blocks);
  Word nodes[blake3::kTop + 1][8];
  std::memcpy(nodes, handed_over, std::size_t{count} * blake3::kNodeBytes);
  for (; count > 1; count = (count + 1) / 2) {
    for (unsigned i = 0; i < count / 2; ++i) {
      Word m[16];
      std::memcpy(m, nodes[2 * i], sizeof m);
      std::memcpy(nodes[i], key_, sizeof key_);
      const Word root = count == 2 ? blake3::kRoot : 0;
      blake3::compress(nodes[i], m, 0, 0, sizeof m, flags_ | blake3::kParent | root, 1);
    }
    if (count % 2 == 1) {
      std::memcpy(nodes[count / 2], nodes[count - 1], blake3::kNodeBytes);
    }
  }
  std::memcpy(out, nodes[0], blake3::kNodeBytes);
  return blake3::kNodeBytes;
}

}  // namespace mmhash::cuda
