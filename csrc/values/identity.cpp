#include "values/identity.h"

#include <string>
#include <vector>

#include "intake/gil.h"
#include "intake/tensor_view.h"
#include "values/containers.h"
#include "values/exceptions.h"
#include "values/images.h"
#include "values/numbers.h"
#include "values/payloads.h"
#include "values/text.h"

namespace mmhash {
namespace {

// The exact built-in types can be of no other kind than their own, so that most questions are not asked of
// them.
bool is_exact_scalar(PyTypeObject* type) {
  return type == Py_TYPE(Py_None) || type == &PyBool_Type || type == &PyLong_Type || type == &PyFloat_Type ||
         type == &PyComplex_Type || type == &PyUnicode_Type;
}

bool is_exact_container(PyTypeObject* type) {
  return type == &PyList_Type || type == &PyTuple_Type || type == &PyDict_Type;
}

bool is_exact_buffer(PyTypeObject* type) {
  return type == &PyBytes_Type || type == &PyByteArray_Type || type == &PyMemoryView_Type;
}

// The one ordered list of kinds, as in docs/SPEC.md: the first that the value is decides. True and a digest
// for a value that is whole, false and a new level for one that is made of others.
bool hash_or_open(py::handle value, std::vector<Level>& levels, Digest& digest, const Options& options) {
  PyObject* object = value.ptr();
  PyTypeObject* type = Py_TYPE(object);
  if (is_exact_buffer(type)) {
    return hash_buffer(value, digest, options);
  }
  if (!is_exact_scalar(type) && !is_exact_container(type) && hash_tensor(value, digest, options)) {
    return true;
  }
  if (hash_number(value, digest, options.algorithm)) {
    return true;
  }
  if (PyUnicode_Check(object)) {
    digest = hash_str(options.algorithm, value);
    return true;
  }
  if (is_image(value)) {
    levels.push_back(image_level(value));
    return false;
  }
  if (is_mapping(value)) {
    levels.push_back(mapping_level(value));
    return false;
  }
  if (PyList_Check(object) || PyTuple_Check(object)) {
    levels.push_back(sequence_level(value));
    return false;
  }
  if (hash_buffer(value, digest, options)) {
    return true;
  }
  throw Unsupported{"a " + type_name(value),
                    "expected None, a number, a str, bytes, a tensor, an array, a PIL image, or a "
                    "list, tuple or mapping of these; convert it to one"};
}

void check_nesting(const std::vector<Level>& levels) {
  const py::object& newest = levels.back().source;
  // An image and its palette's pair are part of a leaf.
  std::size_t depth = levels.size();
  if (levels.back().kind == 'P') {
    depth -= 1;
  } else if (levels.size() >= 2 && levels[levels.size() - 2].kind == 'P') {
    depth -= 2;
  }
  if (depth > kMaxDepth) {
    throw py::value_error("expected at most " + std::to_string(kMaxDepth) +
                          " lists and mappings within each other, found more; flatten the value");
  }
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    if (levels[i].source.is(newest)) {
      throw py::value_error("the value contains itself: the " + type_name(newest) + " at nesting level " +
                            std::to_string(i) + " is found again at level " +
                            std::to_string(levels.size() - 1) + "; break the cycle");
    }
  }
}

Digest walk(py::handle value, std::vector<Level>& levels, const Options& options) {
  Digest digest;
  Turns turns;
  for (;;) {
    bool done = hash_or_open(value, levels, digest, options);
    if (!done) {
      check_nesting(levels);
    }
    for (;;) {
      if (done && levels.empty()) {
        return digest;
      }
      Level& level = levels.back();
      if (done) {
        level.add(options.algorithm, digest);
        turns.step();
      }
      if (level.done < level.parts.size()) {
        value = PyTuple_GET_ITEM(level.parts.ptr(), static_cast<Py_ssize_t>(level.done));
        break;
      }
      digest = close_level(level, options.algorithm, turns);
      levels.pop_back();
      done = true;
    }
  }
}

}  // namespace

Digest identity(py::handle value, const Options& options) {
  // The levels stand on the heap, so that no depth of nesting can exhaust the stack of the thread.
  std::vector<Level> levels;
  try {
    return walk(value, levels, options);
  } catch (const Unsupported& unsupported) {
    throw py::type_error("no identity for " + location(levels) + ": " + unsupported.what + "; " +
                         unsupported.remedy);
  } catch (const ImageError& failed) {
    if (levels.empty()) {
      throw failed.error;  // the value itself: there is no place to tell
    }
    throw_located(failed.error, location(levels));
  }
}

}  // namespace mmhash
