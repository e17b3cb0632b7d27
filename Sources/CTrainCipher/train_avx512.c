// The train cipher in 512-bit vectors: ChaCha20 in sixteen lanes, twice side by side (a round is one
// long chain of dependent steps, and there are registers for two); Poly1305 in eight lanes by IFMA, 52-bit multiplies.
//
// Poly1305 arithmetic. A number mod 2^130 - 5 is three limbs of 44, 44 and 42 bits. The product of a = (a0, a1, a2)
// and b has, as 2^132 = 4 * 2^130 = 20, the columns
//     d0 = a0 b0 + 20 (a1 b2 + a2 b1)    d1 = a0 b1 + a1 b0 + 20 a2 b2    d2 = a0 b2 + a1 b1 + a2 b0,
// of which IFMA gives the lower 52 bits and the rest apart. In column i the upper sum counts 2^52 = 2^44 * 2^8, so it
// goes to column i + 1 shifted by 8, and from column 2, 2^(88+52) = 2^130 * 2^10, to column 0 shifted by 10 times 5.
//
// Bounds. IFMA reads 52 bits of an operand. A message limb is below 2^44, 2^44, 2^41; `carry` leaves limbs below 2^44,
// 2^44 + 2^8, 2^42 (this is what the rest shows), so 20 b1 and 20 b2 are below 2^48.5 and all operands fit. A product is
// below 2^92.6, its upper part below 2^40.6, and without a factor of 20, as in column 2, below 2^36.1. A column
// sums at most six products and one message limb: lower sums below 2^54.7, upper ones below 2^43.2, that of
// column 2 below 2^38.7. In `carry` then d1, d2 < 2^55; what leaves d2 upwards is below 2^13 + 2^48.7, five times that
// below 2^51.1, so d0 < 2^51.2 and hands less than 2^8 to the second limb, as claimed.

#include "train.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512ifma"))), apply_to = function)

#define ROTATE16(x) _mm256_rol_epi32(x, 16)
#define ROTATE12(x) _mm256_rol_epi32(x, 12)
#define ROTATE8(x) _mm256_rol_epi32(x, 8)
#define ROTATE7(x) _mm256_rol_epi32(x, 7)
#include "chacha8.h"

enum { LANES = 8, MAC_STEP = LANES * 16 };

#define ENTRY(name) swg_train_avx512_##name

// MARK: - ChaCha20

#define QUARTER(a, b, c, d)                                                    \
    a = _mm512_add_epi32(a, b), d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16); \
    c = _mm512_add_epi32(c, d), b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12); \
    a = _mm512_add_epi32(a, b), d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);  \
    c = _mm512_add_epi32(c, d), b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7)

// The 4 x 4 matrix whose rows a, b, c, d have four quarters each, turned.
ALWAYS_INLINE void turn_quarters(__m512i a, __m512i b, __m512i c, __m512i d, __m512i out[4]) {
    const __m512i ab01 = _mm512_shuffle_i32x4(a, b, 0x44), ab23 = _mm512_shuffle_i32x4(a, b, 0xee);
    const __m512i cd01 = _mm512_shuffle_i32x4(c, d, 0x44), cd23 = _mm512_shuffle_i32x4(c, d, 0xee);
    out[0] = _mm512_shuffle_i32x4(ab01, cd01, 0x88);
    out[1] = _mm512_shuffle_i32x4(ab01, cd01, 0xdd);
    out[2] = _mm512_shuffle_i32x4(ab23, cd23, 0x88);
    out[3] = _mm512_shuffle_i32x4(ab23, cd23, 0xdd);
}

// The state of sixteen blocks, one word per vector.
typedef struct {
    __m512i word[16];
} state16;

ALWAYS_INLINE state16 initial_state(const train_scratch *scratch, size_t at, const uint32_t key[8], uint32_t nonce_first) {
    return (state16){{
        _mm512_set1_epi32(EXPAND_32_BYTE_K0), _mm512_set1_epi32(EXPAND_32_BYTE_K1),
        _mm512_set1_epi32(EXPAND_32_BYTE_K2), _mm512_set1_epi32(EXPAND_32_BYTE_K3),
        _mm512_set1_epi32((int)key[0]), _mm512_set1_epi32((int)key[1]), _mm512_set1_epi32((int)key[2]),
        _mm512_set1_epi32((int)key[3]), _mm512_set1_epi32((int)key[4]), _mm512_set1_epi32((int)key[5]),
        _mm512_set1_epi32((int)key[6]), _mm512_set1_epi32((int)key[7]),
        _mm512_loadu_si512(scratch->number + at), _mm512_set1_epi32((int)nonce_first),
        _mm512_loadu_si512(scratch->nonce_low + at), _mm512_loadu_si512(scratch->nonce_high + at),
    }};
}

#define QUARTERS(x, a, b, c, d) QUARTER(x.word[a], x.word[b], x.word[c], x.word[d])

// Adds the initial state and writes the blocks, from one word per vector to one block per vector.
ALWAYS_INLINE void write_blocks(state16 *x, const state16 *initial, uint8_t *output) {
    __m512i y[4][4];
    for (int i = 0; i < 16; i++) x->word[i] = _mm512_add_epi32(x->word[i], initial->word[i]);
    // y[g][i] gets words 4g to 4g + 3 of the blocks i, 4 + i, 8 + i, 12 + i.
    for (int g = 0; g < 4; g++) {
        const __m512i *const words = x->word + 4 * g;
        const __m512i low01 = _mm512_unpacklo_epi32(words[0], words[1]), high01 = _mm512_unpackhi_epi32(words[0], words[1]);
        const __m512i low23 = _mm512_unpacklo_epi32(words[2], words[3]), high23 = _mm512_unpackhi_epi32(words[2], words[3]);
        y[g][0] = _mm512_unpacklo_epi64(low01, low23);
        y[g][1] = _mm512_unpackhi_epi64(low01, low23);
        y[g][2] = _mm512_unpacklo_epi64(high01, high23);
        y[g][3] = _mm512_unpackhi_epi64(high01, high23);
    }
    for (int i = 0; i < 4; i++) {
        __m512i blocks[4];
        turn_quarters(y[0][i], y[1][i], y[2][i], y[3][i], blocks);
        for (int q = 0; q < 4; q++) _mm512_storeu_si512(output + (4 * q + i) * BLOCK_BYTES, blocks[q]);
    }
}

// `both`: 32 blocks from two states side by side, so that one fills the waits of the other; else 16.
ALWAYS_INLINE void chacha16(
    train_scratch *scratch, size_t at, const uint32_t key[8], uint32_t nonce_first, bool both
) {
    const state16 initial = initial_state(scratch, at, key, nonce_first);
    const state16 initial2 = both ? initial_state(scratch, at + 16, key, nonce_first) : initial;
    state16 x = initial, z = initial2;
#define ROW(a, b, c, d) \
    QUARTERS(x, a, b, c, d); \
    if (both) { QUARTERS(z, a, b, c, d); }
    for (int round = 0; round < 10; round++) {
        ROW(0, 4, 8, 12);
        ROW(1, 5, 9, 13);
        ROW(2, 6, 10, 14);
        ROW(3, 7, 11, 15);
        ROW(0, 5, 10, 15);
        ROW(1, 6, 11, 12);
        ROW(2, 7, 8, 13);
        ROW(3, 4, 9, 14);
    }
#undef ROW
    write_blocks(&x, &initial, scratch->keystream + at * BLOCK_BYTES);
    if (both) write_blocks(&z, &initial2, scratch->keystream + (at + 16) * BLOCK_BYTES);
}

// Appends `blocks` blocks of one packet, from block number `number` on, to the flat list.
ALWAYS_INLINE size_t plan(train_scratch *scratch, size_t at, uint64_t counter, uint32_t number, size_t blocks) {
    const __m512i count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i low = _mm512_set1_epi32((int)(uint32_t)counter), high = _mm512_set1_epi32((int)(uint32_t)(counter >> 32));
    for (size_t block = 0; block < blocks; block += 16) {
        // What is too much here the next packet overwrites, or it is slack.
        _mm512_storeu_si512(scratch->number + at + block, _mm512_add_epi32(count, _mm512_set1_epi32((int)(number + block))));
        _mm512_storeu_si512(scratch->nonce_low + at + block, low);
        _mm512_storeu_si512(scratch->nonce_high + at + block, high);
    }
    return at + blocks;
}

// The key stream of the first `blocks` of the list.
static void generate(train_scratch *scratch, size_t blocks, const uint8_t key[32], uint32_t nonce_first) {
    uint32_t words[8];
    memcpy(words, key, sizeof words);
    size_t at = 0;
    for (; at + 16 < blocks; at += 32) chacha16(scratch, at, words, nonce_first, true);
    for (; at + 8 < blocks; at += 16) chacha16(scratch, at, words, nonce_first, false);
    if (at < blocks) {
        chacha8(
            words, nonce_first, scratch->number + at, scratch->nonce_low + at, scratch->nonce_high + at,
            scratch->keystream + at * BLOCK_BYTES);
    }
    wipe(words, sizeof words);
}

ALWAYS_INLINE void exclusive_or(uint8_t *text, const uint8_t *stream, size_t length) {
    size_t at = 0;
    for (; at + 64 <= length; at += 64) {
        const __m512i mixed = _mm512_xor_si512(_mm512_loadu_si512(text + at), _mm512_loadu_si512(stream + at));
        _mm512_storeu_si512(text + at, mixed);
    }
    if (at < length) {
        const __mmask64 rest = _bzhi_u64(~UINT64_C(0), (unsigned)(length - at));
        const __m512i mixed =
            _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, text + at), _mm512_maskz_loadu_epi8(rest, stream + at));
        _mm512_mask_storeu_epi8(text + at, rest, mixed);
    }
}

// MARK: - Poly1305

typedef struct {
    __m512i l0, l1, l2;
} limbs;

// A factor, with 20 b1 and 20 b2.
typedef struct {
    __m512i r0, r1, r2, s1, s2;
} factor;

typedef struct {
    __m512i low0, low1, low2, high0, high1, high2;
} columns;

// What `powers` in the scratch holds.
typedef struct {
    // Per packet, lane l: the limbs of r^(8-l).
    uint64_t falling[LANES][3][LANES];
    // Per power r^8 and r^16: r0, r1, r2, s1, s2 of all packets.
    uint64_t step[2][5][LANES];
} power_table;

_Static_assert(sizeof(power_table) <= POWER_BYTES, "powers");

ALWAYS_INLINE __m512i times20(__m512i x) { return _mm512_add_epi64(_mm512_slli_epi64(x, 4), _mm512_slli_epi64(x, 2)); }

ALWAYS_INLINE factor factor_of(limbs a) { return (factor){a.l0, a.l1, a.l2, times20(a.l1), times20(a.l2)}; }

ALWAYS_INLINE limbs split(__m512i low, __m512i high) {
    const __m512i mask44 = _mm512_set1_epi64((1LL << 44) - 1);
    const __m512i middle = _mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20));
    return (limbs){_mm512_and_si512(low, mask44), _mm512_and_si512(middle, mask44), _mm512_srli_epi64(high, 24)};
}

ALWAYS_INLINE columns columns_from(limbs a) {
    const __m512i zero = _mm512_setzero_si512();
    return (columns){a.l0, a.l1, a.l2, zero, zero, zero};
}

ALWAYS_INLINE columns add_product(columns d, limbs a, factor b) {
    d.low0 = _mm512_madd52lo_epu64(d.low0, a.l0, b.r0), d.high0 = _mm512_madd52hi_epu64(d.high0, a.l0, b.r0);
    d.low1 = _mm512_madd52lo_epu64(d.low1, a.l0, b.r1), d.high1 = _mm512_madd52hi_epu64(d.high1, a.l0, b.r1);
    d.low2 = _mm512_madd52lo_epu64(d.low2, a.l0, b.r2), d.high2 = _mm512_madd52hi_epu64(d.high2, a.l0, b.r2);
    d.low0 = _mm512_madd52lo_epu64(d.low0, a.l1, b.s2), d.high0 = _mm512_madd52hi_epu64(d.high0, a.l1, b.s2);
    d.low1 = _mm512_madd52lo_epu64(d.low1, a.l1, b.r0), d.high1 = _mm512_madd52hi_epu64(d.high1, a.l1, b.r0);
    d.low2 = _mm512_madd52lo_epu64(d.low2, a.l1, b.r1), d.high2 = _mm512_madd52hi_epu64(d.high2, a.l1, b.r1);
    d.low0 = _mm512_madd52lo_epu64(d.low0, a.l2, b.s1), d.high0 = _mm512_madd52hi_epu64(d.high0, a.l2, b.s1);
    d.low1 = _mm512_madd52lo_epu64(d.low1, a.l2, b.s2), d.high1 = _mm512_madd52hi_epu64(d.high1, a.l2, b.s2);
    d.low2 = _mm512_madd52lo_epu64(d.low2, a.l2, b.r0), d.high2 = _mm512_madd52hi_epu64(d.high2, a.l2, b.r0);
    return d;
}

ALWAYS_INLINE limbs carry(columns d) {
    const __m512i mask44 = _mm512_set1_epi64((1LL << 44) - 1), mask42 = _mm512_set1_epi64((1LL << 42) - 1);
    const __m512i d1 =
        _mm512_add_epi64(_mm512_add_epi64(d.low1, _mm512_slli_epi64(d.high0, 8)), _mm512_srli_epi64(d.low0, 44));
    const __m512i d2 = _mm512_add_epi64(_mm512_add_epi64(d.low2, _mm512_slli_epi64(d.high1, 8)), _mm512_srli_epi64(d1, 44));
    const __m512i over = _mm512_add_epi64(_mm512_srli_epi64(d2, 42), _mm512_slli_epi64(d.high2, 10));
    const __m512i d0 = _mm512_add_epi64(
        _mm512_and_si512(d.low0, mask44), _mm512_add_epi64(over, _mm512_slli_epi64(over, 2)));
    return (limbs){
        _mm512_and_si512(d0, mask44), _mm512_add_epi64(_mm512_and_si512(d1, mask44), _mm512_srli_epi64(d0, 44)),
        _mm512_and_si512(d2, mask42)};
}

ALWAYS_INLINE limbs multiply(limbs a, limbs b) {
    const __m512i zero = _mm512_setzero_si512();
    return carry(add_product(columns_from((limbs){zero, zero, zero}), a, factor_of(b)));
}

// An 8 x 8 matrix of 64-bit words, turned: column `packet` of rows[] goes to out[packet * stride].
ALWAYS_INLINE void turn8(const __m512i rows[8], uint64_t *out, size_t stride) {
    __m512i even[4], odd[4], columns[4];
    for (int i = 0; i < 4; i++) {
        even[i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
        odd[i] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
    }
    turn_quarters(even[0], even[1], even[2], even[3], columns);
    for (int q = 0; q < 4; q++) _mm512_storeu_si512(out + 2 * q * stride, columns[q]);
    turn_quarters(odd[0], odd[1], odd[2], odd[3], columns);
    for (int q = 0; q < 4; q++) _mm512_storeu_si512(out + (2 * q + 1) * stride, columns[q]);
}

// The powers of up to eight r, one in each lane; low and high are the halves of the clamped r.
ALWAYS_INLINE void raise(power_table *table, const uint64_t low[LANES], const uint64_t high[LANES]) {
    limbs power[9];
    power[1] = split(_mm512_loadu_si512(low), _mm512_loadu_si512(high));
    power[2] = multiply(power[1], power[1]);
    power[3] = multiply(power[2], power[1]);
    power[4] = multiply(power[2], power[2]);
    power[5] = multiply(power[4], power[1]);
    power[6] = multiply(power[4], power[2]);
    power[7] = multiply(power[4], power[3]);
    power[8] = multiply(power[4], power[4]);
    const factor steps[2] = {factor_of(power[8]), factor_of(multiply(power[8], power[8]))};
    __m512i rows[3][8];
    for (int lane = 0; lane < 8; lane++) {
        rows[0][lane] = power[8 - lane].l0;
        rows[1][lane] = power[8 - lane].l1;
        rows[2][lane] = power[8 - lane].l2;
    }
    for (int limb = 0; limb < 3; limb++) turn8(rows[limb], table->falling[0][limb], 3 * LANES);
    for (int step = 0; step < 2; step++) {
        _mm512_storeu_si512(table->step[step][0], steps[step].r0);
        _mm512_storeu_si512(table->step[step][1], steps[step].r1);
        _mm512_storeu_si512(table->step[step][2], steps[step].r2);
        _mm512_storeu_si512(table->step[step][3], steps[step].s1);
        _mm512_storeu_si512(table->step[step][4], steps[step].s2);
    }
}

ALWAYS_INLINE factor step_factor(const uint64_t step[5][LANES], size_t packet) {
    return (factor){
        _mm512_set1_epi64((long long)step[0][packet]), _mm512_set1_epi64((long long)step[1][packet]),
        _mm512_set1_epi64((long long)step[2][packet]), _mm512_set1_epi64((long long)step[3][packet]),
        _mm512_set1_epi64((long long)step[4][packet])};
}

// Eight blocks of 16 bytes from two vectors; `present` are the lanes whose block is not mere padding in front.
ALWAYS_INLINE limbs message(__m512i first, __m512i second, __mmask8 present) {
    const __m512i evens = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), odds = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    limbs m = split(_mm512_permutex2var_epi64(first, evens, second), _mm512_permutex2var_epi64(first, odds, second));
    m.l2 = _mm512_mask_or_epi64(m.l2, present, m.l2, _mm512_set1_epi64(1LL << 40));
    return m;
}

ALWAYS_INLINE limbs inner_message(const uint8_t *at) {
    return message(_mm512_loadu_si512(at), _mm512_loadu_si512(at + 64), 0xff);
}

// The first `n` bits, n clipped to 0...64.
ALWAYS_INLINE __mmask64 first_bits(ptrdiff_t n) { return _bzhi_u64(~UINT64_C(0), n < 0 ? 0 : n > 64 ? 64 : (unsigned)n); }

// A step at the edge of the text, which occupies the bytes `from` to `to` of it (from may be negative, to beyond the end);
// no other byte is read. The last step of a message ends with the block `last`.
ALWAYS_INLINE limbs edge_message(const uint8_t *at, ptrdiff_t from, ptrdiff_t to, bool is_last, const uint64_t last[2]) {
    const __m512i first = _mm512_maskz_loadu_epi8(first_bits(to) & ~first_bits(from), at);
    __m512i second = _mm512_maskz_loadu_epi8(first_bits(to - 64) & ~first_bits(from - 64), at + 64);
    if (is_last) {
        second = _mm512_mask_set1_epi64(second, 0x40, (long long)last[0]);
        second = _mm512_mask_set1_epi64(second, 0x80, (long long)last[1]);
    }
    return message(first, second, from <= 0 ? 0xff : (__mmask8)(0xff << (from / 16)));
}

// Poly1305 of a text, zero-padded to whole blocks, and the block `last`, with the powers of lane `packet`.
ALWAYS_INLINE void authenticate(
    const power_table *table, size_t packet, const uint8_t *text, size_t length, const uint64_t last[2], const uint8_t *s,
    uint64_t tag[2]
) {
    const size_t blocks = (length + 15) / 16 + 1, steps = (blocks + LANES - 1) / LANES;
    const ptrdiff_t front = (ptrdiff_t)((steps * LANES - blocks) * 16), end = front + (ptrdiff_t)length;
    // Where the text would begin if the padding in front were memory; only what lies in the text is read.
    const uint8_t *at = (const uint8_t *)((uintptr_t)text - (uintptr_t)front);
    const factor step = step_factor(table->step[0], packet);
    limbs h = edge_message(at, front, end, steps == 1, last);
    size_t done = 1;
    if (steps % 2 == 0) {
        // An even number of steps: one alone, then pairs.
        const limbs next = steps == 2 ? edge_message(at + MAC_STEP, -1, end - MAC_STEP, true, last) : inner_message(at + MAC_STEP);
        h = carry(add_product(columns_from(next), h, step));
        done = 2;
    }
    if (done < steps) {
        const factor two_steps = step_factor(table->step[1], packet);
        for (; done + 2 < steps; done += 2) {
            const uint8_t *const here = at + done * MAC_STEP;
            columns d = columns_from(inner_message(here + MAC_STEP));
            d = add_product(d, inner_message(here), step);
            h = carry(add_product(d, h, two_steps));
        }
        // The text ends in the last step, never before: of its eight blocks only one is not the text's.
        const ptrdiff_t offset = (ptrdiff_t)(done * MAC_STEP);
        columns d = columns_from(edge_message(at + offset + MAC_STEP, -1, end - offset - MAC_STEP, true, last));
        d = add_product(d, inner_message(at + offset), step);
        h = carry(add_product(d, h, two_steps));
    }
    const limbs falling = {
        _mm512_loadu_si512(table->falling[packet][0]), _mm512_loadu_si512(table->falling[packet][1]),
        _mm512_loadu_si512(table->falling[packet][2])};
    h = multiply(h, falling);
    const uint64_t l0 = (uint64_t)_mm512_reduce_add_epi64(h.l0), l1 = (uint64_t)_mm512_reduce_add_epi64(h.l1);
    const uint64_t l2 = (uint64_t)_mm512_reduce_add_epi64(h.l2);
    const unsigned __int128 lower = l0 + ((unsigned __int128)l1 << 44);
    const unsigned __int128 low = lower + ((unsigned __int128)(l2 & ((UINT64_C(1) << 40) - 1)) << 88);
    finish_tag(low, (l2 >> 40) + (low < lower), s, tag);
}

#include "train_body.h"

#pragma clang attribute pop

bool swg_train_avx512_supported(void) {
    return cpu_has(x86_cpu_AVX2) && cpu_has(x86_cpu_BMI2) && cpu_has(x86_cpu_AVX512F) && cpu_has(x86_cpu_AVX512BW)
        && cpu_has(x86_cpu_AVX512DQ) && cpu_has(x86_cpu_AVX512VL) && cpu_has(x86_cpu_AVX512_IFMA);
}

#endif
