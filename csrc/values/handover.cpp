#include "values/handover.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "cache/owners.h"
#include "identity/frame.h"
#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "values/payloads.h"

namespace mmhash {
namespace {

// Of what is hashed and then written. It stays in L2 between the two; larger pieces are slower, and smaller
// ones cost system calls.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// With an algorithm that needs the GIL: as it is taken again after each piece, for which this thread may have
// to wait 5 ms where others run Python.
constexpr std::size_t kPieceBytesWithGil = std::size_t{8} << 20;

// Where the payload goes. put() is called without the GIL, piece by piece, and says whether it went well.
class Sink {
 public:
  virtual ~Sink() = default;
  // 0, or errno.
  virtual int put(const std::byte* data, std::size_t size) noexcept = 0;
  // Where a piece may be gathered that goes here next, or null.
  virtual std::byte* room() noexcept { return nullptr; }
};

class FileSink final : public Sink {
 public:
  FileSink(int descriptor, std::int64_t offset) : descriptor_(descriptor), offset_(offset) {}
  int put(const std::byte* data, std::size_t size) noexcept override {
    while (size > 0) {
      const ssize_t written = ::pwrite(descriptor_, data, size, offset_);
      if (written < 0) {
        if (errno == EINTR) {
          continue;  // the caller looks after signals between the pieces
        }
        return errno;
      }
      if (written == 0) {
        return ENOSPC;  // POSIX knows no other reason
      }
      data += written;
      size -= static_cast<std::size_t>(written);
      offset_ += written;
    }
    return 0;
  }

 private:
  int descriptor_;
  off_t offset_;
};

class MemorySink final : public Sink {
 public:
  explicit MemorySink(std::byte* memory) : memory_(memory) {}
  int put(const std::byte* data, std::size_t size) noexcept override {
    if (data != memory_) {
      std::memcpy(memory_, data, size);
    }
    memory_ += size;
    return 0;
  }
  std::byte* room() noexcept override { return memory_; }

 private:
  std::byte* memory_;
};

// A tensor, an array or a buffer on the host. Throws TypeError.
void read_source(py::handle value, TensorView& view, bool& is_tensor) {
  try {
    is_tensor = read_tensor(value, view);
    if (!is_tensor && !read_buffer(value, view)) {
      throw Unsupported{"a " + type_name(value), "give the tensors and arrays in it one by one"};
    }
    if (!view.device.is_host()) {
      throw Unsupported{"a " + type_name(value) + " that is not on the CPU", "call .cpu() first"};
    }
    hold_memory(value, view);
  } catch (const Unsupported& unsupported) {
    throw py::type_error("expected a tensor, an array or a buffer on the CPU, found " + unsupported.what +
                         "; " + unsupported.remedy);
  }
}

// One pass over the payload. Returns errno of what could not be put, or 0.
int pass(const Algorithm& algorithm, const Payload& payload, Fold& fold, Sink& sink) {
  const std::size_t most = algorithm.needs_gil ? kPieceBytesWithGil : kPieceBytes;
  // What is not read in place is gathered where it goes, or into a block of our own.
  const bool gathers = !payload.verbatim();
  std::unique_ptr<std::byte[]> block;
  if (gathers && sink.room() == nullptr) {
    block = std::make_unique_for_overwrite<std::byte[]>(std::min(most, payload.size()));
  }
  std::size_t begin = 0, size = 0;
  const std::byte* bytes = nullptr;
  int failed = 0;
  const auto read = [&] {
    size = std::min(most, payload.size() - begin);
    bytes = payload.read(begin, size, !gathers ? nullptr : block ? block.get() : sink.room());
  };
  const auto put = [&] {
    failed = sink.put(bytes, size);
    begin += size;
  };
  if (algorithm.needs_gil) {
    while (begin < payload.size() && failed == 0) {
      without_gil(read);
      fold.update(bytes, size);
      without_gil(put);
      check_signals();
    }
  } else if (payload.size() > 0) {
    without_gil_in_slices([&](Deadline deadline) {
      do {
        read();
        fold.update(bytes, size);
        put();
      } while (begin < payload.size() && failed == 0 && std::chrono::steady_clock::now() < deadline);
      return begin == payload.size() || failed != 0;
    });
  }
  return failed;
}

// The identity of the value whose payload went through the fold.
Digest digest_of(const Algorithm& algorithm, const TensorView& view, bool is_tensor, Fold& fold) {
  if (is_tensor) {
    return Frame(*view.dtype, view.shape()).digest(algorithm, fold);
  }
  Frame frame('Y');
  frame.u64(view.bytes());
  return frame.digest(algorithm, fold);
}

std::string bytes_text(std::size_t size) {
  return std::to_string(size) + " bytes";
}

}  // namespace

Digest write_value(const Algorithm& algorithm, int descriptor, std::int64_t offset, py::handle value) {
  TensorView view;
  bool is_tensor = false;
  read_source(value, view, is_tensor);
  if (offset < 0 || view.bytes() > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max() - offset)) {
    throw py::value_error("offset: expected one from 0, with room for " + bytes_text(view.bytes()) +
                          " behind it, found " + std::to_string(offset));
  }
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags >= 0 && (flags & O_APPEND) != 0) {
    throw py::value_error(
        "fd: expected a file that was not opened for appending (O_APPEND, mode 'a'), as Linux then ignores "
        "the offset; open it in mode 'r+b' or 'wb'");
  }
  const int unusable = flags < 0 ? errno : 0;
  const auto fold = algorithm.start_fold(view.bytes());
  FileSink sink(descriptor, offset);
  if (const int failed = unusable != 0 ? unusable : pass(algorithm, view.payload(), *fold, sink)) {
    errno = failed;
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
  return digest_of(algorithm, view, is_tensor, *fold);
}

Digest copy_value(const Algorithm& algorithm, py::handle destination, py::handle source) {
  TensorView view, target;
  BufferExport writable;
  bool is_tensor = false;
  read_source(source, view, is_tensor);
  if (is_torch_tensor(destination)) {
    bool any = false;
    read_source(destination, target, any);
    if (!target.payload().in_place()) {
      throw py::value_error("destination: expected a contiguous tensor, found a strided one");
    }
  } else {
    if (!writable.acquire(destination, PyBUF_WRITABLE | PyBUF_ND)) {
      throw py::error_already_set();
    }
    target.data = writable->buf;
    const std::int64_t size = writable->len;
    target.set_layout(*find_dtype("uint8"), 1, &size, nullptr, 1);
  }
  if (target.bytes() != view.bytes()) {
    throw py::value_error("destination: expected " + bytes_text(view.bytes()) + " as the source has, found " +
                          bytes_text(target.bytes()));
  }
  const auto [begin, end] = view.extent();
  const auto [target_begin, target_end] = target.extent();
  if (begin < target_end && target_begin < end) {
    throw py::value_error("destination: expected memory that is not the source's, found some that is");
  }
  forget(destination);
  const auto fold = algorithm.start_fold(view.bytes());
  MemorySink sink(static_cast<std::byte*>(const_cast<void*>(target.data)));
  try {
    pass(algorithm, view.payload(), *fold, sink);
  } catch (...) {
    forget(destination);
    throw;
  }
  forget(destination);  // also what others have hashed of it meanwhile, wherever this ended
  return digest_of(algorithm, view, is_tensor, *fold);
}

}  // namespace mmhash
