#include "values/plain_hashes.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "identity/layout.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "values/payloads.h"

namespace mmhash {
namespace {

// A buffer or CPU tensor whose bytes lie in one piece, for the plain hashes.
void read_contiguous(py::handle data, TensorView& view) {
  try {
    if (!read_tensor(data, view) && !read_buffer(data, view)) {
      throw Unsupported{"a " + type_name(data), "encode a str to bytes; use identity() for other values"};
    }
    if (!view.device.is_host()) {
      throw Unsupported{"a " + type_name(data) + " that is not on the CPU",
                        "call .cpu() first, or use identity()"};
    }
    if (view.bytes() >= kHoldBytes) {
      hold_memory(data, view);
    }
  } catch (const Unsupported& unsupported) {
    throw py::type_error("expected a buffer or a contiguous CPU tensor, found " + unsupported.what + "; " +
                         unsupported.remedy);
  }
}

// From so many bytes on (3 ms), a plain hash is made in slices, so that signals are heard; streaming costs
// nothing there.
constexpr std::size_t kStreamBytes = std::size_t{64} << 20;

void update_in_slices(Xxh3Stream& stream, const Payload& payload) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 20;  // 50 us, or what a disk takes to page it in
  std::size_t begin = 0;
  without_gil_in_slices([&](Deadline deadline) {
    do {
      const std::size_t size = std::min(kPieceBytes, payload.size() - begin);
      stream.update(payload.data() + begin, size);
      begin += size;
    } while (begin < payload.size() && std::chrono::steady_clock::now() < deadline);
    return begin == payload.size();
  });
}

// Calls whole(bytes, size), or finish(stream) once all bytes went through it.
template <typename Whole, typename Finish>
void hash_contiguous(py::handle data, std::uint64_t seed, Whole whole, Finish finish) {
  TensorView view;
  read_contiguous(data, view);
  view.transform.swap_bytes = false;  // the bytes as they stand
  if (!view.transform.none()) {
    throw py::value_error(
        "expected the bytes of the elements, found a " + type_name(data) +
        " with a lazy conjugate or negative bit; call .resolve_conj() and .resolve_neg() first");
  }
  const Payload payload = view.payload();
  if (!payload.in_place()) {
    throw py::value_error("expected contiguous memory, found a strided " + type_name(data) +
                          "; make it contiguous, or use identity(), which reads any layout");
  }
  if (payload.size() < kGilReleaseBytes) {
    whole(payload.data(), payload.size());
  } else if (payload.size() < kStreamBytes) {
    without_gil([&] { whole(payload.data(), payload.size()); });
  } else {
    Xxh3Stream stream(seed);
    update_in_slices(stream, payload);
    finish(stream);
  }
}

}  // namespace

std::uint64_t plain_xxh3_64(py::handle data, std::uint64_t seed) {
  std::uint64_t hash = 0;
  hash_contiguous(
      data, seed,
      [&](const std::byte* bytes, std::size_t size) { hash = kernel().hash64(bytes, size, seed); },
      [&](const Xxh3Stream& stream) { hash = stream.digest64(); });
  return hash;
}

Xxh3Digest plain_xxh3_128(py::handle data, std::uint64_t seed) {
  Xxh3Digest digest;
  hash_contiguous(
      data, seed,
      [&](const std::byte* bytes, std::size_t size) { kernel().hash128(bytes, size, seed, digest.data()); },
      [&](const Xxh3Stream& stream) { digest = stream.digest128(); });
  return digest;
}

}  // namespace mmhash
