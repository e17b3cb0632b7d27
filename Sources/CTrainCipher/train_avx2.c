// The train cipher in 256-bit vectors: ChaCha20 in eight lanes, Poly1305 in four lanes of 32 x 32 bit multiplies.
//
// Poly1305 arithmetic. A number mod 2^130 - 5 is five limbs of 26 bits, each in a 64-bit lane. The product of a and b has,
// as 2^130 = 5, the columns d[k] = sum of a[i] b[k-i] for i <= k, plus 5 sum of a[i] b[5+k-i] for i > k.
//
// Bounds. A multiply reads 32 bits of an operand. Message limbs are below 2^26, `carry` leaves limbs below 2^26 + 2^12 (this
// is what the rest shows), so 5 b is below 2^28.4, a product below 2^54.4 and a column, at most ten products and a
// message limb, below 2^57.8. In `carry` what leaves a column is then below 2^32; five times that below 2^34.4, so the
// second visit to a column hands on less than 2^9, as claimed.

#include "train.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

// Rotations by whole bytes are one shuffle.
#define BYTES(a, b, c, d) 12 + a, 12 + b, 12 + c, 12 + d, 8 + a, 8 + b, 8 + c, 8 + d, 4 + a, 4 + b, 4 + c, 4 + d, a, b, c, d
#define ROTATE16(x) _mm256_shuffle_epi8(x, _mm256_set_epi8(BYTES(1, 0, 3, 2), BYTES(1, 0, 3, 2)))
#define ROTATE8(x) _mm256_shuffle_epi8(x, _mm256_set_epi8(BYTES(2, 1, 0, 3), BYTES(2, 1, 0, 3)))
#define ROTATE12(x) _mm256_or_si256(_mm256_slli_epi32(x, 12), _mm256_srli_epi32(x, 20))
#define ROTATE7(x) _mm256_or_si256(_mm256_slli_epi32(x, 7), _mm256_srli_epi32(x, 25))
#include "chacha8.h"

enum { LANES = 4, MAC_STEP = LANES * 16 };

#define ENTRY(name) swg_train_avx2_##name

// MARK: - ChaCha20

// Appends `blocks` blocks of one packet, from block number `number` on, to the flat list.
ALWAYS_INLINE size_t plan(train_scratch *scratch, size_t at, uint64_t counter, uint32_t number, size_t blocks) {
    const __m256i count = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i low = _mm256_set1_epi32((int)(uint32_t)counter), high = _mm256_set1_epi32((int)(uint32_t)(counter >> 32));
    for (size_t block = 0; block < blocks; block += 8) {
        // What is too much here the next packet overwrites, or it is slack.
        const __m256i numbers = _mm256_add_epi32(count, _mm256_set1_epi32((int)(number + block)));
        _mm256_storeu_si256((__m256i *)(scratch->number + at + block), numbers);
        _mm256_storeu_si256((__m256i *)(scratch->nonce_low + at + block), low);
        _mm256_storeu_si256((__m256i *)(scratch->nonce_high + at + block), high);
    }
    return at + blocks;
}

// The key stream of the first `blocks` of the list.
static void generate(train_scratch *scratch, size_t blocks, const uint8_t key[32], uint32_t nonce_first) {
    uint32_t words[8];
    memcpy(words, key, sizeof words);
    for (size_t at = 0; at < blocks; at += 8) {
        chacha8(
            words, nonce_first, scratch->number + at, scratch->nonce_low + at, scratch->nonce_high + at,
            scratch->keystream + at * BLOCK_BYTES);
    }
    wipe(words, sizeof words);
}

ALWAYS_INLINE __m256i load256(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }

ALWAYS_INLINE __m128i load128(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)at); }

ALWAYS_INLINE void exclusive_or(uint8_t *text, const uint8_t *stream, size_t length) {
    // The tail overlaps what comes before it, so it is mixed first and stored last.
    if (length >= 32) {
        const size_t tail = length - 32;
        const __m256i mixed_tail = _mm256_xor_si256(load256(text + tail), load256(stream + tail));
        for (size_t at = 0; at < tail; at += 32) {
            _mm256_storeu_si256((__m256i *)(text + at), _mm256_xor_si256(load256(text + at), load256(stream + at)));
        }
        _mm256_storeu_si256((__m256i *)(text + tail), mixed_tail);
    } else if (length >= 16) {
        const size_t tail = length - 16;
        const __m128i mixed_tail = _mm_xor_si128(load128(text + tail), load128(stream + tail));
        _mm_storeu_si128((__m128i *)text, _mm_xor_si128(load128(text), load128(stream)));
        _mm_storeu_si128((__m128i *)(text + tail), mixed_tail);
    } else if (length >= 8) {
        const size_t tail = length - 8;
        const uint64_t mixed_tail = load64(text + tail) ^ load64(stream + tail);
        store64(text, load64(text) ^ load64(stream));
        store64(text + tail, mixed_tail);
    } else {
        for (size_t at = 0; at < length; at++) text[at] ^= stream[at];
    }
}

// MARK: - Poly1305

typedef struct {
    __m256i l[5];
} limbs;

// A factor b in memory: b0 to b4, then 5 b1 to 5 b4.
typedef struct {
    __m256i word[9];
} factor;

// What `powers` in the scratch holds.
typedef struct {
    // Per packet: r^4, r^2, r^3, r, in the order in which `message` lays the blocks into lanes.
    factor falling[LANES];
    // Of all packets, one per lane: r^4 and r^8.
    factor step[2];
    // Of the packet at work, in all lanes.
    factor step_of_packet[2];
} power_table;

_Static_assert(sizeof(power_table) <= POWER_BYTES, "powers");

// Of 64-bit lanes the lower halves. As assembly, since clang knows the intrinsic as a 64-bit product of masked
// operands, moves the masks out of the loop, and then no longer sees that one instruction is enough.
ALWAYS_INLINE __m256i multiply32(__m256i a, const __m256i *b) {
    __m256i product;
    __asm__("vpmuludq %2, %1, %0" : "=x"(product) : "x"(a), "m"(*b));
    return product;
}

ALWAYS_INLINE __m256i times5(__m256i x) { return _mm256_add_epi64(x, _mm256_slli_epi64(x, 2)); }

ALWAYS_INLINE void set_factor(factor *b, limbs a) {
    for (int i = 0; i < 5; i++) b->word[i] = a.l[i];
    for (int i = 1; i < 5; i++) b->word[4 + i] = times5(a.l[i]);
}

ALWAYS_INLINE limbs split(__m256i low, __m256i high) {
    const __m256i mask = _mm256_set1_epi64x((1 << 26) - 1);
    const __m256i middle = _mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12));
    return (limbs){{
        _mm256_and_si256(low, mask), _mm256_and_si256(_mm256_srli_epi64(low, 26), mask), _mm256_and_si256(middle, mask),
        _mm256_and_si256(_mm256_srli_epi64(high, 14), mask), _mm256_srli_epi64(high, 40)}};
}

// d + a b, not carried.
ALWAYS_INLINE limbs add_product(limbs d, limbs a, const factor *b) {
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            const __m256i *const word = &b->word[i <= k ? k - i : 9 + k - i];
            d.l[k] = _mm256_add_epi64(d.l[k], multiply32(a.l[i], word));
        }
    }
    return d;
}

ALWAYS_INLINE limbs carry(limbs d) {
    const __m256i mask = _mm256_set1_epi64x((1 << 26) - 1);
#define CARRY(from, to, factor)                                                              \
    d.l[to] = _mm256_add_epi64(d.l[to], factor(_mm256_srli_epi64(d.l[from], 26)));           \
    d.l[from] = _mm256_and_si256(d.l[from], mask)
    // Two chains side by side: 0 1 2 3 and 3 4 0 1, then the last step.
    CARRY(0, 1, );
    CARRY(3, 4, );
    CARRY(1, 2, );
    CARRY(4, 0, times5);
    CARRY(2, 3, );
    CARRY(0, 1, );
    CARRY(3, 4, );
#undef CARRY
    return d;
}

ALWAYS_INLINE limbs zero_limbs(void) {
    const __m256i zero = _mm256_setzero_si256();
    return (limbs){{zero, zero, zero, zero, zero}};
}

ALWAYS_INLINE limbs multiply(limbs a, const factor *b) { return carry(add_product(zero_limbs(), a, b)); }

// The powers of up to four r, one in each lane; low and high are the halves of the clamped r.
ALWAYS_INLINE void raise(power_table *table, const uint64_t low[LANES], const uint64_t high[LANES]) {
    const limbs power1 = split(load256((const uint8_t *)low), load256((const uint8_t *)high));
    // `falling` is free until the end: room for two factors.
    set_factor(&table->falling[0], power1);
    const limbs power2 = multiply(power1, &table->falling[0]);
    set_factor(&table->falling[1], power2);
    const limbs power3 = multiply(power1, &table->falling[1]), power4 = multiply(power2, &table->falling[1]);
    set_factor(&table->step[0], power4);
    set_factor(&table->step[1], multiply(power4, &table->step[0]));
    for (int i = 0; i < 5; i++) {
        // The 4 x 4 matrix of packets and powers, turned.
        const __m256i low42 = _mm256_unpacklo_epi64(power4.l[i], power2.l[i]);
        const __m256i high42 = _mm256_unpackhi_epi64(power4.l[i], power2.l[i]);
        const __m256i low31 = _mm256_unpacklo_epi64(power3.l[i], power1.l[i]);
        const __m256i high31 = _mm256_unpackhi_epi64(power3.l[i], power1.l[i]);
        const __m256i turned[LANES] = {
            _mm256_permute2x128_si256(low42, low31, 0x20), _mm256_permute2x128_si256(high42, high31, 0x20),
            _mm256_permute2x128_si256(low42, low31, 0x31), _mm256_permute2x128_si256(high42, high31, 0x31)};
        for (int packet = 0; packet < LANES; packet++) {
            table->falling[packet].word[i] = turned[packet];
            if (i > 0) table->falling[packet].word[4 + i] = times5(turned[packet]);
        }
    }
}

// Four blocks of 16 bytes from two vectors, in the order 0 2 1 3; `bits` holds 2^128 for those that are present.
ALWAYS_INLINE limbs message(__m256i first, __m256i second, __m256i bits) {
    limbs m = split(_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
    m.l[4] = _mm256_or_si256(m.l[4], bits);
    return m;
}

ALWAYS_INLINE limbs inner_message(const uint8_t *at) {
    return message(load256(at), load256(at + 32), _mm256_set1_epi64x(1 << 24));
}

// The last, possibly short block of a text of `length` > 0 bytes, padded with zeros; reads nothing outside the text.
ALWAYS_INLINE __m128i last_block(const uint8_t *text, size_t length) {
    static const uint8_t shifts[32] = {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128};
    const size_t used = (length - 1) % 16 + 1;
    if (length >= 16) return _mm_shuffle_epi8(load128(text + length - 16), load128(shifts + 16 - used));
    uint64_t low = 0, high = 0;
    if (used >= 8) {
        low = load64(text);
        if (used > 8) high = load64(text + used - 8) >> (8 * (16 - used));
    } else {
        for (size_t at = 0; at < used; at++) low |= (uint64_t)text[at] << (8 * at);
    }
    return _mm_set_epi64x((long long)high, (long long)low);
}

// All ones in both words of each present block of two.
ALWAYS_INLINE __m256i present2(bool first, bool second) {
    return _mm256_set_epi64x(-(long long)second, -(long long)second, -(long long)first, -(long long)first);
}

// The first step of a message with `front` (0 to 3) absent blocks; `text` is where the text begins.
ALWAYS_INLINE limbs first_message(
    const uint8_t *text, size_t length, size_t front, bool is_last, const uint64_t last[2]
) {
    const uint8_t *const at = (const uint8_t *)((uintptr_t)text - 16 * front);
    const __m256i first = _mm256_maskload_epi64((const long long *)at, present2(front < 1, front < 2));
    const __m256i bits = _mm256_and_si256(
        _mm256_set1_epi64x(1 << 24), _mm256_set_epi64x(-1, -(long long)(front < 2), -(long long)(front < 3), -(long long)(front < 1)));
    if (!is_last) {
        return message(first, _mm256_maskload_epi64((const long long *)(at + 32), present2(front < 3, true)), bits);
    }
    const __m128i third = length > 0 ? last_block(text, length) : _mm_setzero_si128();
    return message(first, _mm256_set_m128i(_mm_set_epi64x((long long)last[1], (long long)last[0]), third), bits);
}

// The last step of a message that has more than one: two blocks of text, its last block, and `last`.
ALWAYS_INLINE limbs last_message(const uint8_t *at, const uint8_t *text, size_t length, const uint64_t last[2]) {
    const __m128i end = _mm_set_epi64x((long long)last[1], (long long)last[0]);
    return message(load256(at), _mm256_set_m128i(end, last_block(text, length)), _mm256_set1_epi64x(1 << 24));
}

ALWAYS_INLINE void broadcast(factor *to, const factor *from, size_t packet) {
    for (int i = 0; i < 9; i++) {
        const uint8_t *const word = (const uint8_t *)&from->word[i] + 8 * packet;
        to->word[i] = _mm256_set1_epi64x((long long)load64(word));
    }
}

ALWAYS_INLINE uint64_t add_lanes(__m256i x) {
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}

// Poly1305 of a text, zero-padded to whole blocks, and the block `last`, with the powers of lane `packet`.
ALWAYS_INLINE void authenticate(
    power_table *table, size_t packet, const uint8_t *text, size_t length, const uint64_t last[2], const uint8_t *s,
    uint64_t tag[2]
) {
    const size_t blocks = (length + 15) / 16 + 1, steps = (blocks + LANES - 1) / LANES, front = steps * LANES - blocks;
    limbs h = first_message(text, length, front, steps == 1, last);
    if (steps > 1) {
        const factor *const step = &table->step_of_packet[0], *const two_steps = &table->step_of_packet[1];
        broadcast(&table->step_of_packet[0], &table->step[0], packet);
        broadcast(&table->step_of_packet[1], &table->step[1], packet);
        const uint8_t *at = text + MAC_STEP - 16 * front;
        size_t left = steps - 1;
        if (left % 2 == 1) {
            // An odd number left: one alone, then pairs.
            const limbs next = left == 1 ? last_message(at, text, length, last) : inner_message(at);
            h = carry(add_product(next, h, step));
            at += MAC_STEP;
            left -= 1;
        }
        for (; left > 2; left -= 2, at += 2 * MAC_STEP) {
            const limbs d = add_product(inner_message(at + MAC_STEP), inner_message(at), step);
            h = carry(add_product(d, h, two_steps));
        }
        if (left > 0) {
            const limbs d = add_product(last_message(at + MAC_STEP, text, length, last), inner_message(at), step);
            h = carry(add_product(d, h, two_steps));
        }
    }
    h = multiply(h, &table->falling[packet]);
    // Four limbs are below 2^109 together; the fifth counts 2^104.
    unsigned __int128 lower = 0;
    for (int i = 3; i >= 0; i--) lower = (lower << 26) + add_lanes(h.l[i]);
    const uint64_t fifth = add_lanes(h.l[4]);
    const unsigned __int128 low = lower + ((unsigned __int128)(fifth & ((1 << 24) - 1)) << 104);
    finish_tag(low, (fifth >> 24) + (low < lower), s, tag);
}

#include "train_body.h"

#pragma clang attribute pop

bool swg_train_avx2_supported(void) { return cpu_has(x86_cpu_AVX2); }

#endif
