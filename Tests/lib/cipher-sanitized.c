// Seals and opens random trains with CTrainCipher and compares with libsodium's AEAD call, to be built with the address
// and undefined-behaviour sanitizers: each packet has an allocation of its own, exactly as long as text and tag.
//
//     cipher-sanitized avx2|avx512 TRAINS

#include "CTrainCipher.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 48, LONGEST = 1500, BEYOND_SCRATCH = 14000, TAG = 16, ALIGNMENTS = 64 };

typedef struct {
    bool (*supported)(void);
    void (*seal)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
    size_t (*verify)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
    void (*decrypt)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
} cipher;

static uint64_t state = 0x7365616c;

static uint64_t random64(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state >> 20;
}

static int fail(const char *what, size_t train, size_t packet) {
    return fprintf(stderr, "train %zu, packet %zu: %s\n", train, packet, what), 1;
}

// The text's start within its allocation runs through all alignments, the tag ends where the allocation ends.
static int run(const cipher *c, size_t train, void *scratch) {
    uint8_t key[32], *memory[PACKETS], *texts[PACKETS], *sealed[PACKETS];
    swg_cipher_packet packets[PACKETS];
    const size_t count = 1 + random64() % (train % 4 == 0 ? PACKETS : 5);
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)random64();
    for (size_t i = 0; i < count; i++) {
        const size_t shape = random64() % 64, room = shape == 0 ? BEYOND_SCRATCH : shape < 32 ? 200 : LONGEST;
        const uint32_t length = (uint32_t)(random64() % (room + 1));
        const size_t front = random64() % ALIGNMENTS;
        const uint64_t counter = random64() << (random64() % 21);
        uint8_t nonce[12] = {0};
        memory[i] = malloc(front + length + TAG);
        texts[i] = malloc(length + 1);
        sealed[i] = malloc(length + TAG);
        for (size_t at = 0; at < length; at++) texts[i][at] = memory[i][front + at] = (uint8_t)random64();
        memcpy(nonce + 4, &counter, sizeof counter);
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed[i], NULL, texts[i], length, NULL, 0, NULL, nonce, key);
        packets[i] = (swg_cipher_packet){memory[i] + front, counter, length, false, false};
    }
    c->seal(packets, count, key, scratch);
    const uint64_t spoiled = random64() & random64();
    for (size_t i = 0; i < count; i++) {
        if (memcmp(packets[i].text, sealed[i], packets[i].length + TAG) != 0) return fail("sealed otherwise", train, i);
        if (spoiled >> (i % 40) & 1) packets[i].text[random64() % (packets[i].length + TAG)] ^= (uint8_t)(1 << train % 8);
    }
    for (size_t at = 0, group; at < count; at += group) {
        group = c->verify(packets + at, count - at, key, scratch);
        for (size_t i = at; i < at + group; i++) packets[i].opened = packets[i].authentic;
        c->decrypt(packets + at, group, key, scratch);
    }
    for (size_t i = 0; i < count; i++) {
        if (packets[i].opened == (spoiled >> (i % 40) & 1)) return fail("wrong verdict", train, i);
        if (packets[i].opened && memcmp(packets[i].text, texts[i], packets[i].length) != 0) {
            return fail("opened otherwise", train, i);
        }
        free(memory[i]);
        free(texts[i]);
        free(sealed[i]);
    }
    return 0;
}

int main(int argc, char **argv) {
    const cipher avx2 = {swg_train_avx2_supported, swg_train_avx2_seal, swg_train_avx2_verify, swg_train_avx2_decrypt};
    const cipher avx512 = {
        swg_train_avx512_supported, swg_train_avx512_seal, swg_train_avx512_verify, swg_train_avx512_decrypt};
    if (argc != 3 || sodium_init() < 0) return 2;
    const cipher *const chosen = strcmp(argv[1], "avx512") == 0 ? &avx512 : &avx2;
    if (!chosen->supported()) return 77;
    void *const scratch = aligned_alloc(64, SWG_TRAIN_SCRATCH_BYTES);
    for (size_t train = 0; train < strtoul(argv[2], NULL, 10); train++) {
        if (run(chosen, train, scratch) != 0) return 1;
    }
    free(scratch);
    return 0;
}
