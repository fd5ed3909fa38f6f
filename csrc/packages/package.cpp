#include "packages/package.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "identity/tree.h"
#include "intake/gil.h"

namespace mmhash {
namespace {

// Where copying into a bytes object (20 ns and the copy) is cheaper than a memoryview (100 ns).
constexpr std::size_t kCopyBytes = 16384;

// What is handed over at a time, so that signals are heard in between: 6 ms of BLAKE3, 20 ms of SHA-256.
constexpr std::size_t kSliceBytes = std::size_t{32} << 20;

// A gathered block. As large as still pays: after each the GIL is taken again, for which this thread may have
// to wait 5 ms where others run Python.
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

// A name that is looked up each time, as an interned str.
PyObject* interned(const char* text) {
  PyObject* name = PyUnicode_InternFromString(text);
  if (name == nullptr) {
    throw py::error_already_set();
  }
  return name;
}

PyObject* name_of_update() {
  static PyObject* const name = interned("update");
  return name;
}

PyObject* name_of_digest() {
  static PyObject* const name = interned("digest");
  return name;
}

py::object checked(PyObject* result) {
  if (result == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(result);
}

py::object copied(const void* head, std::size_t head_size, const void* data, std::size_t size) {
  py::object bytes = checked(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(head_size + size)));
  char* out = PyBytes_AS_STRING(bytes.ptr());
  if (head_size > 0) {  // else `head` may be null, as of an empty piece
    std::memcpy(out, head, head_size);
  }
  if (size > 0) {
    std::memcpy(out + head_size, data, size);
  }
  return bytes;
}

// A memoryview of memory that is not its own. Released at the end, because a traceback may keep it.
class View {
 public:
  View(const void* data, std::size_t size)
      : view_(checked(PyMemoryView_FromMemory(static_cast<char*>(const_cast<void*>(data)),
                                              static_cast<Py_ssize_t>(size), PyBUF_READ))) {}
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    const py::error_scope scope;
    const auto done = py::reinterpret_steal<py::object>(PyObject_CallMethod(view_.ptr(), "release", nullptr));
    if (!done) {
      PyErr_Clear();
    }
  }
  PyObject* ptr() const { return view_.ptr(); }

 private:
  py::object view_;
};

void update(const py::object& hash, const void* data, std::size_t size) {
  if (size <= kCopyBytes) {
    checked(PyObject_CallMethodOneArg(hash.ptr(), name_of_update(), copied(data, size, nullptr, 0).ptr()));
    return;
  }
  for (std::size_t begin = 0; begin < size; begin += kSliceBytes) {
    if (begin > 0) {
      check_signals();
    }
    const View view(static_cast<const std::byte*>(data) + begin, std::min(kSliceBytes, size - begin));
    checked(PyObject_CallMethodOneArg(hash.ptr(), name_of_update(), view.ptr()));
  }
}

// The fold of docs/SPEC.md, "Other hash functions": a payload of up to kLeafBytes itself, else its digest.
class PackageFold final : public Fold {
 public:
  PackageFold(const PackageAlgorithm& algorithm, std::size_t expected)
      : algorithm_(algorithm), expected_(expected) {
    if (expected > kLeafBytes) {
      hash_ = algorithm.start(expected);
    }
  }

  void update(const void* data, std::size_t size) override {
    if (size > expected_ - total_) {
      throw std::length_error("the pieces hold more than the expected " + std::to_string(expected_) +
                              " bytes");
    }
    if (expected_ > kLeafBytes) {
      mmhash::update(hash_, data, size);
    } else if (size > 0) {
      std::memcpy(short_.data() + total_, data, size);
    }
    total_ += size;
  }

  bool read(const Payload& payload, Deadline deadline) override {
    if (!payload.verbatim() && block_ == nullptr) {
      block_ = std::make_unique_for_overwrite<std::byte[]>(kBlockBytes);
    }
    do {
      const std::size_t size = std::min(payload.verbatim() ? kSliceBytes : kBlockBytes, expected_ - total_);
      const std::byte* bytes = nullptr;
      if (payload.verbatim()) {
        bytes = payload.data() + total_;
      } else {
        without_gil([&] { bytes = payload.read(total_, size, block_.get()); });
      }
      mmhash::update(hash_, bytes, size);
      total_ += size;
    } while (total_ < expected_ && std::chrono::steady_clock::now() < deadline);
    return total_ == expected_;
  }

  std::size_t finish(std::byte* out) override {
    if (total_ != expected_) {
      throw std::length_error("the pieces hold " + std::to_string(total_) + " bytes, expected " +
                              std::to_string(expected_));
    }
    if (expected_ <= kLeafBytes) {
      std::memcpy(out, short_.data(), total_);
      return total_;
    }
    const Digest digest = algorithm_.finish(hash_);
    std::memcpy(out, digest.data(), digest.size());
    return digest.size();
  }

 private:
  const PackageAlgorithm& algorithm_;
  const std::size_t expected_;
  std::size_t total_ = 0;
  py::object hash_;  // of a payload of more than kLeafBytes
  std::array<std::byte, kLeafBytes> short_;
  std::unique_ptr<std::byte[]> block_;
};

std::uint64_t next_serial() {
  static std::uint64_t last = 0;  // xxh3()'s; guarded by the GIL
  return ++last;
}

}  // namespace

PackageAlgorithm::PackageAlgorithm(std::string its_name, std::optional<Key> key, py::object key_id,
                                   PackageFunctions functions)
    : PackageAlgorithm(std::make_unique<std::string>(std::move(its_name)), key, std::move(key_id),
                       std::move(functions)) {}

PackageAlgorithm::PackageAlgorithm(std::unique_ptr<std::string> its_name, std::optional<Key> key,
                                   py::object key_id, PackageFunctions functions)
    // join_bytes: head and body are copied into one bytes object anyhow.
    : Algorithm(*its_name, kMaxDigestBytes, 0, true, next_serial()),
      name_(std::move(its_name)),
      key_(key),
      key_id_(std::move(key_id)),
      functions_(std::move(functions)) {}

py::object PackageAlgorithm::start(std::size_t size) const {
  const unsigned threads = num_threads();
  if (!functions_.new_parallel_hash.is_none() && size >= functions_.parallel_bytes && threads > 1) {
    return functions_.new_parallel_hash(threads);
  }
  return checked(PyObject_CallNoArgs(functions_.new_hash.ptr()));
}

Digest PackageAlgorithm::finish(const py::object& hash) const {
  const py::object found = checked(PyObject_CallMethodNoArgs(hash.ptr(), name_of_digest()));
  Digest digest;
  if (!PyBytes_Check(found.ptr()) || PyBytes_GET_SIZE(found.ptr()) != Py_ssize_t{digest.size()}) {
    throw std::runtime_error("expected a digest of " + std::to_string(digest.size()) +
                             " bytes from the package of algorithm '" + *name_ + "', found " +
                             std::string(py::repr(found)) + "; reinstall the package");
  }
  std::memcpy(digest.data(), PyBytes_AS_STRING(found.ptr()), digest.size());
  return digest;
}

Digest PackageAlgorithm::hash(const void* data, std::size_t size) const {
  return hash(data, size, nullptr, 0);
}

Digest PackageAlgorithm::hash(const void* head, std::size_t head_size, const void* data,
                              std::size_t size) const {
  if (head_size + size <= kCopyBytes) {
    const py::object bytes = copied(head, head_size, data, size);
    return finish(checked(PyObject_CallOneArg(functions_.new_hash.ptr(), bytes.ptr())));
  }
  const py::object hash = start(head_size + size);
  update(hash, head, head_size);
  update(hash, data, size);
  return finish(hash);
}

std::size_t PackageAlgorithm::fold(const Payload& payload, std::byte* out) const {
  if (payload.size() > kLeafBytes) {
    const auto fold = start_fold(payload.size());
    fold->read(payload, kNoDeadline);
    return fold->finish(out);
  }
  const std::byte* bytes = payload.read(0, payload.size(), out);
  if (bytes != out && payload.size() > 0) {
    std::memcpy(out, bytes, payload.size());
  }
  return payload.size();
}

std::unique_ptr<Fold> PackageAlgorithm::start_fold(std::size_t expected) const {
  return std::make_unique<PackageFold>(*this, expected);
}

}  // namespace mmhash
