// The element types of identity v1 (docs/SPEC.md, "Values").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mmhash {

enum class ElementClass : std::uint8_t { Bool, Integer, Float, Complex };

struct Dtype {
  std::string_view name;       // as it stands in the frame; at most 255 bytes
  std::uint8_t itemsize;       // bytes an element: 1, 2, 4, 8 or 16
  ElementClass element_class;  // what a lazy negation or conjugation means
};

inline constexpr std::array<Dtype, 20> kDtypes{{
    {"bool", 1, ElementClass::Bool},
    {"int8", 1, ElementClass::Integer},
    {"int16", 2, ElementClass::Integer},
    {"int32", 4, ElementClass::Integer},
    {"int64", 8, ElementClass::Integer},
    {"uint8", 1, ElementClass::Integer},
    {"uint16", 2, ElementClass::Integer},
    {"uint32", 4, ElementClass::Integer},
    {"uint64", 8, ElementClass::Integer},
    {"float16", 2, ElementClass::Float},
    {"bfloat16", 2, ElementClass::Float},
    {"float32", 4, ElementClass::Float},
    {"float64", 8, ElementClass::Float},
    {"complex64", 8, ElementClass::Complex},
    {"complex128", 16, ElementClass::Complex},
    {"float8_e4m3fn", 1, ElementClass::Float},
    {"float8_e4m3fnuz", 1, ElementClass::Float},
    {"float8_e5m2", 1, ElementClass::Float},
    {"float8_e5m2fnuz", 1, ElementClass::Float},
    {"float8_e8m0fnu", 1, ElementClass::Float},
}};

// The dtype of that name, or null: identity v1 has no other.
constexpr const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) {
      return &dtype;
    }
  }
  return nullptr;
}

// The same for a name that stands in the source: it is looked up by the compiler.
consteval const Dtype* dtype_named(std::string_view name) {
  return find_dtype(name);
}

}  // namespace mmhash
