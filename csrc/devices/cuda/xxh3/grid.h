// How XXH3's leaves are dealt to blocks: known to the host and to the kernels.
#pragma once

namespace mmhash::cuda {

inline constexpr unsigned kFanIn = 512;             // digests in a leaf of the next level
inline constexpr unsigned kWarpsPerBlock = 4;       // at most; shared memory is laid out for as many
inline constexpr unsigned kBlocksPerProcessor = 3;  // at the same time: why, see the end of leaves.cu

}  // namespace mmhash::cuda
