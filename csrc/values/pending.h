// An identity whose hash has been started and that is read later. Made, used and destroyed with the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "devices/device_hash.h"
#include "identity/algorithm.h"

namespace mmhash {

class PendingIdentity {
 public:
  // Starts the hash of a tensor on a CUDA device; computes that of any other value at once, since its memory
  // could change until it is read.
  PendingIdentity(py::handle value, const Algorithm& algorithm, py::object algorithm_owner);
  PendingIdentity(const PendingIdentity&) = delete;
  PendingIdentity& operator=(const PendingIdentity&) = delete;
  // Never waits. What the GPU still reads stays: see abandon() in pending.cpp.
  ~PendingIdentity();

  bool done() const;
  Digest result();  // waits without the GIL
  const Algorithm& algorithm() const { return algorithm_; }

 private:
  const Algorithm& algorithm_;
  const py::object algorithm_owner_;  // keeps it; null for one that lives for ever
  std::unique_ptr<DeviceHash> hash_;  // null once the digest is known
  Digest digest_{};
  std::string error_;     // what CUDA reported
  unsigned waiting_ = 0;  // threads in result()
};

}  // namespace mmhash
