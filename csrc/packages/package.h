// The room packages: hash functions that a Python package brings (mmhash/algorithms/), behind the seam of
// identity/algorithm.h. It knows Python and payloads; no kind of value, no cache and no device belongs here.
//
// A call into Python costs 0.3 to 0.9 us, whatever is hashed: bytes go in by memoryviews of the memory that
// is hashed, or up to kCopyBytes, where that is cheaper, copied into a bytes object.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "identity/algorithm.h"

namespace mmhash {

namespace py = pybind11;

// What mmhash/algorithms/ says of an algorithm of a package.
struct PackageFunctions {
  // Called with bytes, or with nothing: a hash object as hashlib's, with update() and digest().
  py::object new_hash;
  // Called with a number of threads: such an object that hashes with so many. None if there is no such.
  py::object new_parallel_hash;
  // From so many bytes on it is used.
  std::size_t parallel_bytes;
};

using Key = std::array<std::uint8_t, kKeyBytes>;

// Everything of it needs the GIL, which the package releases while it hashes. Throws error_already_set for
// what the package raises, and std::runtime_error for a digest of another length.
class PackageAlgorithm final : public Algorithm {
 public:
  // An identity is the whole digest of the package, which has kMaxDigestBytes.
  PackageAlgorithm(std::string its_name, std::optional<Key> key, py::object key_id,
                   PackageFunctions functions);

  // A str that tells keys apart, or None.
  const py::object& key_id() const { return key_id_; }
  const std::uint8_t* key() const override { return key_ ? key_->data() : nullptr; }
  Digest hash(const void* data, std::size_t size) const override;
  Digest hash(const void* head, std::size_t head_size, const void* data, std::size_t size) const override;
  std::size_t fold(const Payload& payload, std::byte* out) const override;
  std::unique_ptr<Fold> start_fold(std::size_t expected) const override;

  // A new hash object for so many bytes.
  py::object start(std::size_t size) const;
  Digest finish(const py::object& hash) const;

 private:
  PackageAlgorithm(std::unique_ptr<std::string> its_name, std::optional<Key> key, py::object key_id,
                   PackageFunctions functions);

  const std::unique_ptr<const std::string> name_;  // what Algorithm::name points to
  const std::optional<Key> key_;
  const py::object key_id_;
  const PackageFunctions functions_;
};

}  // namespace mmhash
