// ChaCha20 in eight 32-bit lanes of a 256-bit vector: eight blocks of the flat list at a time. Included by both widths
// after they defined ROTATE16, ROTATE12, ROTATE8 and ROTATE7, the only steps in which they differ.

#define QUARTER(a, b, c, d)                                     \
    a = _mm256_add_epi32(a, b), d = ROTATE16(_mm256_xor_si256(d, a)); \
    c = _mm256_add_epi32(c, d), b = ROTATE12(_mm256_xor_si256(b, c)); \
    a = _mm256_add_epi32(a, b), d = ROTATE8(_mm256_xor_si256(d, a));  \
    c = _mm256_add_epi32(c, d), b = ROTATE7(_mm256_xor_si256(b, c))

// Words 4g to 4g + 3 of eight blocks, one word per vector, into quarters of blocks: y[i] holds those of block i in its
// lower and of block 4 + i in its upper half.
#define TRANSPOSE4(x, y)                                              \
    do {                                                              \
        const __m256i low01 = _mm256_unpacklo_epi32((x)[0], (x)[1]);  \
        const __m256i high01 = _mm256_unpackhi_epi32((x)[0], (x)[1]); \
        const __m256i low23 = _mm256_unpacklo_epi32((x)[2], (x)[3]);  \
        const __m256i high23 = _mm256_unpackhi_epi32((x)[2], (x)[3]); \
        (y)[0] = _mm256_unpacklo_epi64(low01, low23);                 \
        (y)[1] = _mm256_unpackhi_epi64(low01, low23);                 \
        (y)[2] = _mm256_unpacklo_epi64(high01, high23);               \
        (y)[3] = _mm256_unpackhi_epi64(high01, high23);               \
    } while (0)

ALWAYS_INLINE void chacha8(
    const uint32_t key[8], uint32_t nonce_first, const uint32_t *number, const uint32_t *nonce_low,
    const uint32_t *nonce_high, uint8_t *output
) {
    const __m256i initial[16] = {
        _mm256_set1_epi32(EXPAND_32_BYTE_K0), _mm256_set1_epi32(EXPAND_32_BYTE_K1),
        _mm256_set1_epi32(EXPAND_32_BYTE_K2), _mm256_set1_epi32(EXPAND_32_BYTE_K3),
        _mm256_set1_epi32((int)key[0]), _mm256_set1_epi32((int)key[1]), _mm256_set1_epi32((int)key[2]),
        _mm256_set1_epi32((int)key[3]), _mm256_set1_epi32((int)key[4]), _mm256_set1_epi32((int)key[5]),
        _mm256_set1_epi32((int)key[6]), _mm256_set1_epi32((int)key[7]),
        _mm256_loadu_si256((const __m256i *)number), _mm256_set1_epi32((int)nonce_first),
        _mm256_loadu_si256((const __m256i *)nonce_low), _mm256_loadu_si256((const __m256i *)nonce_high),
    };
    __m256i x[16], y[4][4];
    for (int i = 0; i < 16; i++) x[i] = initial[i];
    for (int round = 0; round < 10; round++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) x[i] = _mm256_add_epi32(x[i], initial[i]);
    for (int g = 0; g < 4; g++) TRANSPOSE4(x + 4 * g, y[g]);
    for (int i = 0; i < 4; i++) {
        __m256i *const low = (__m256i *)(output + i * BLOCK_BYTES);
        __m256i *const high = (__m256i *)(output + (4 + i) * BLOCK_BYTES);
        _mm256_storeu_si256(low, _mm256_permute2x128_si256(y[0][i], y[1][i], 0x20));
        _mm256_storeu_si256(low + 1, _mm256_permute2x128_si256(y[2][i], y[3][i], 0x20));
        _mm256_storeu_si256(high, _mm256_permute2x128_si256(y[0][i], y[1][i], 0x31));
        _mm256_storeu_si256(high + 1, _mm256_permute2x128_si256(y[2][i], y[3][i], 0x31));
    }
}

#undef QUARTER
#undef TRANSPOSE4
