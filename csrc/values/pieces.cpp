#include "values/pieces.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "identity/frame.h"
#include "identity/scratch.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"

namespace mmhash {
namespace {

// Of a piece, between two looks at signals.
constexpr std::size_t kPieceBytes = std::size_t{128} << 20;

// Feeds the view's bytes, which are in place, to the fold. Pieces end anywhere, so they are read as bytes,
// except those of bool, whose payload is not always the memory (layout.h).
void update_with(Fold& fold, bool needs_gil, const Dtype& dtype, const TensorView& view) {
  const std::array<std::int64_t, 1> extent{static_cast<std::int64_t>(view.bytes())}, stride{1};
  const bool boolean = dtype.element_class == ElementClass::Bool;
  const Payload payload =
      boolean ? Payload(view.data, dtype, extent, stride, {}) : Payload(view.data, view.bytes());
  std::byte* block = payload.verbatim() ? nullptr : scratch();
  if (block == nullptr && !payload.verbatim()) {
    throw std::bad_alloc();
  }
  const std::size_t most = payload.verbatim() ? kPieceBytes : kScratchBytes;
  std::size_t begin = 0;
  in_slices(needs_gil, [&](Deadline deadline) {
    do {
      const std::size_t count = std::min(payload.size() - begin, most);
      fold.update(payload.read(begin, count, block), count);
      begin += count;
    } while (begin < payload.size() && std::chrono::steady_clock::now() < deadline);
    return begin == payload.size();
  });
}

// Feeds pieces of elements of that dtype to the fold. The iterator runs between them, with the GIL: what it
// raises ends the hash.
void update_with(Fold& fold, bool needs_gil, const Dtype& dtype, py::handle pieces) {
  for (const py::handle piece : pieces) {
    TensorView view;
    if (!read_tensor(piece, view) && !read_buffer(piece, view)) {
      throw py::type_error("expected an iterable of tensors or buffers, found a " + type_name(piece));
    }
    if (!view.payload().in_place()) {
      throw py::value_error("expected contiguous pieces");
    }
    update_with(fold, needs_gil, dtype, view);
  }
}

}  // namespace

Digest identity_from_pieces(const Algorithm& algorithm, const std::string& dtype_name, const py::tuple& shape,
                            py::handle pieces) {
  const Dtype* dtype = find_dtype(dtype_name);
  if (dtype == nullptr) {
    throw py::value_error("identity v1 has no dtype named '" + dtype_name + "'");
  }
  std::vector<std::int64_t> extents;
  for (const py::handle extent : shape) {
    extents.push_back(py::cast<std::int64_t>(extent));
  }
  std::size_t size = 0;
  if (extents.size() > kMaxDims || !checked_size(extents, dtype->itemsize, size)) {
    throw py::value_error("expected at most 255 dimensions, none negative, of at most 2**63 bytes");
  }
  const std::unique_ptr<Fold> fold = algorithm.start_fold(size);
  update_with(*fold, algorithm.needs_gil, *dtype, pieces);
  return Frame(*dtype, extents).digest(algorithm, *fold);
}

Digest bytes_identity_from_pieces(const Algorithm& algorithm, std::size_t size, py::handle pieces) {
  const std::unique_ptr<Fold> fold = algorithm.start_fold(size);
  update_with(*fold, algorithm.needs_gil, *find_dtype("uint8"), pieces);
  Frame frame('Y');
  frame.u64(size);
  return frame.digest(algorithm, *fold);
}

}  // namespace mmhash
