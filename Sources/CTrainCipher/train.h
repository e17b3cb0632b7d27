// What both widths share.
//
// Theory of operation. A packet of n bytes needs the ChaCha20 blocks 0 (whose first half is the Poly1305 key r || s)
// to ceil(n / 64). The blocks of a whole group of packets, block 0 of each included, are one flat list: `plan` writes for
// each the three state words in which blocks differ (block number, two nonce words), and the kernels take as many
// blocks at a time as a vector has 32-bit lanes, whichever packets they belong to. So lanes stay full for any mix of
// lengths, and a train of one is the same code as a train of forty. Key stream goes to scratch memory, at most
// GROUP_BLOCKS at a time, which with its texts stays in the first-level cache.
//
// Poly1305 works inside a packet, on L blocks of 16 bytes at once (L = 8 or 4 lanes): with M the next L blocks,
// H = H r^L + M in every lane, and at the end lane l is multiplied by r^(L-l) and the lanes are added. Two steps
// are taken together, H = H r^2L + M r^L + M', so that one product of the two does not wait for H, and the carries are
// propagated once. A message is padded with *absent* blocks (value 0, without the 2^128 bit) in front, which
// leave the polynomial as it is, so that it ends where the last lane ends. The powers of r of L packets are computed
// together, one packet in a lane, and then turned by a matrix transposition.
//
// Secrets: keys, key stream, r, s, powers, H. No branch and no address depends on them; lengths and counters are
// public. `seal` and `decrypt` end with wiping the scratch, and the stack below them, where the compiler keeps what does
// not fit the registers; between a `verify` and its `decrypt` both hold secrets.

#ifndef SWG_TRAIN_H
#define SWG_TRAIN_H

#include "include/CTrainCipher.h"

#include <string.h>

#if defined(__x86_64__)

#include <sys/platform/x86.h>

// What the dynamic linker found out; the compiler's own question runs CPUID in every program that this is linked into,
// before main, and on a virtual machine each leaves the guest. glibc's own function for it shifts into a sign.
static inline bool cpu_has(unsigned feature) {
    const struct cpuid_feature *leaf = __x86_get_cpuid_feature_leaf(feature / 128);
    return leaf->active_array[feature % 128 / 32] >> feature % 32 & 1;
}

#endif

enum {
    BLOCK_BYTES = 64,
    // Eight packets of a device MTU of 1420: twelve passes of sixteen lanes, 12 KiB.
    GROUP_BLOCKS = 192,
    GROUP_PACKETS = 64,
    // The list is written, and key stream generated, in whole vectors: so much may come behind the last block.
    SLACK_BLOCKS = 16,
    POWER_BYTES = 3 * 1024,
    // More than all frames below `seal` or `decrypt` together, as clang makes them from -O2 on.
    STACK_BYTES = 2 * 1024,
};

// "expand 32-byte k": the first four words of every state (RFC 8439 section 2.3).
enum {
    EXPAND_32_BYTE_K0 = 0x61707865,
    EXPAND_32_BYTE_K1 = 0x3320646e,
    EXPAND_32_BYTE_K2 = 0x79622d32,
    EXPAND_32_BYTE_K3 = 0x6b206574,
};

// The bits that r may have, as two words (RFC 8439 section 2.5): with the upper four of each 32 clear.
#define CLAMP_LOW UINT64_C(0x0ffffffc0fffffff)
#define CLAMP_HIGH UINT64_C(0x0ffffffc0ffffffc)

typedef struct train_scratch {
    _Alignas(64) uint8_t keystream[(GROUP_BLOCKS + SLACK_BLOCKS) * BLOCK_BYTES];
    // Powers of r, in the shape the width likes.
    _Alignas(64) uint8_t powers[POWER_BYTES];
    // The flat list of blocks: public, not wiped.
    _Alignas(64) uint32_t number[GROUP_BLOCKS + SLACK_BLOCKS];
    _Alignas(64) uint32_t nonce_low[GROUP_BLOCKS + SLACK_BLOCKS];
    _Alignas(64) uint32_t nonce_high[GROUP_BLOCKS + SLACK_BLOCKS];
} train_scratch;

_Static_assert(sizeof(train_scratch) <= SWG_TRAIN_SCRATCH_BYTES, "scratch");
_Static_assert(offsetof(train_scratch, number) == SWG_TRAIN_SECRET_BYTES, "secrets first");

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE uint64_t load64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

ALWAYS_INLINE void store64(uint8_t *bytes, uint64_t value) { memcpy(bytes, &value, sizeof value); }

// Blocks of key stream for a text, block 0 included.
ALWAYS_INLINE size_t blocks_of(uint32_t length) { return 1 + ((size_t)length + BLOCK_BYTES - 1) / BLOCK_BYTES; }

// How many packets make the next group. A text too long for the scratch is a group of its own, done in pieces.
ALWAYS_INLINE size_t group_of(const swg_cipher_packet *packets, size_t count) {
    size_t blocks = 0, n = 0;
    while (n < count && n < GROUP_PACKETS) {
        blocks += blocks_of(packets[n].length);
        if (blocks > GROUP_BLOCKS) break;
        n += 1;
    }
    return n == 0 && count > 0 ? 1 : n;
}

ALWAYS_INLINE bool is_long(uint32_t length) { return blocks_of(length) > GROUP_BLOCKS; }

// memset that stays although nothing reads the memory again.
ALWAYS_INLINE void wipe(void *memory, size_t bytes) {
    memset(memory, 0, bytes);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

// Everything secret in the scratch: `blocks` of key stream, with what the last pass wrote behind them, and the powers.
ALWAYS_INLINE void wipe_scratch(train_scratch *scratch, size_t blocks, size_t power_bytes) {
    // A pass writes 32, 16 or 8 blocks, the smallest that is enough.
    const size_t written = blocks % 32 > 16 ? (blocks + 31) / 32 * 32 : (blocks + 7) / 8 * 8;
    wipe(scratch->keystream, written * BLOCK_BYTES);
    wipe(scratch->powers, power_bytes);
}

// What the functions that returned left behind below the caller's frame.
static __attribute__((noinline)) void wipe_stack(void) {
    uint8_t frames[STACK_BYTES];
    wipe(frames, sizeof frames);
}

// h mod 2^130 - 5, plus s mod 2^128: the tag. h = top * 2^128 + low, top < 2^60.
ALWAYS_INLINE void finish_tag(unsigned __int128 low, uint64_t top, const uint8_t *s, uint64_t tag[2]) {
    // 2^130 = 5: what is above bit 130 comes back five-fold. Afterwards h < 2^130 + 2^63.
    const unsigned __int128 folded = low + (unsigned __int128)(top >> 2) * 5;
    top = (top & 3) + (folded < low);
    // h >= p exactly when h + 5 reaches 2^130; then h - p is h + 5 without that bit.
    const unsigned __int128 reduced = folded + 5;
    const uint64_t reaches = (top + (reduced < folded)) >> 2;
    const unsigned __int128 mask = -(unsigned __int128)(reaches != 0);
    const unsigned __int128 h = (reduced & mask) | (folded & ~mask);
    const unsigned __int128 sum = h + (((unsigned __int128)load64(s + 8) << 64) | load64(s));
    tag[0] = (uint64_t)sum;
    tag[1] = (uint64_t)(sum >> 64);
}

ALWAYS_INLINE bool tag_fits(const uint64_t tag[2], const uint8_t *received) {
    return ((tag[0] ^ load64(received)) | (tag[1] ^ load64(received + 8))) == 0;
}

#endif
