#include "values/pending.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include "devices/python_side.h"
#include "intake/gil.h"
#include "values/identity.h"

// Memory that a GPU still reads
// -----------------------------
// Until the kernel is over, a PendingIdentity holds the tensor's storage, so nobody can use its memory for
// something else. One that is dropped earlier must not wait, as it may be dropped by the garbage collector.
// So it tells torch's allocator which stream uses the memory, as Tensor.record_stream() does, and lets go:
// the allocator gives the block out again when that stream has come so far. Memory that is not the
// allocator's (from another process, another library) is held in `abandoned` instead, until the kernel is
// over and any other hash on a GPU is started or read.

namespace mmhash {
namespace {

std::vector<std::unique_ptr<DeviceHash>>& abandoned() {
  static auto* const list =
      new std::vector<std::unique_ptr<DeviceHash>>;  // the interpreter may end before it
  return *list;
}

void sweep() {
  std::erase_if(abandoned(), [](const auto& hash) { return !hash->fold->forked() && hash->fold->done(); });
}

void abandon(std::unique_ptr<DeviceHash>& hash) {
  if (!hash->fold->done() && !python_side::keep_until_done(hash->storage, hash->fold->stream())) {
    abandoned().push_back(std::move(hash));
  }
}

}  // namespace

PendingIdentity::PendingIdentity(py::handle value, const Algorithm& algorithm, py::object algorithm_owner)
    : algorithm_(algorithm), algorithm_owner_(std::move(algorithm_owner)) {
  sweep();
  if (is_torch_tensor(value)) {
    try {
      TensorView view;
      read_torch(value, view);
      hash_ = start_device_hash(value, view, algorithm);
    } catch (const Unsupported&) {
      // identity() says what is wrong
    }
  }
  if (!hash_) {
    digest_ = identity(value, {algorithm, false});
  }
}

PendingIdentity::~PendingIdentity() {
  if (!hash_) {
    return;
  }
  if (hash_->fold->forked()) {
    hash_.release();  // its storage is a CUDA tensor's, which only the parent can free
    return;
  }
  // This may run while an exception is being raised, which is not to be disturbed.
  const py::error_scope scope;
  try {
    abandon(hash_);
    hash_.reset();
  } catch (const std::exception&) {
    // Out of memory, most likely, and a destructor must not throw. What the kernel may still read stays.
    hash_.release();
  }
}

bool PendingIdentity::done() const {
  return !hash_ || !error_.empty() || hash_->fold->done();
}

Digest PendingIdentity::result() {
  sweep();
  if (hash_ && error_.empty()) {
    std::string error;
    ++waiting_;
    without_gil([&] {
      try {
        hash_->fold->wait();
      } catch (const std::runtime_error& failed) {
        error = failed.what();
      }
    });
    --waiting_;
    if (error.empty() && hash_) {
      digest_ = hash_->digest();
      if (waiting_ == 0) {  // the others look at the buffers that go with it
        hash_.reset();
      }
    } else if (!error.empty()) {
      error_ = error;
    }
  }
  if (!error_.empty()) {
    throw std::runtime_error(error_);
  }
  return digest_;
}

}  // namespace mmhash
