// Runs CTrainCipher on secrets that a memory checker holds for uninitialised: any branch or address that depends on one
// is an error of the checker. Built twice: with clang's MemorySanitizer, which knows AVX-512, and plain for valgrind,
// which sees the AVX2 path's own instructions.
//
//     cipher-secrets avx2|avx512 [leak]            `leak` branches on a secret, to show that the checker bites
//     cipher-secrets avx2|avx512 stack [unwiped]   no checker: what depends on the key and still is on the stack

#include "CTrainCipher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if defined(__has_feature) && __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
static void hide(void *memory, size_t bytes) { __msan_poison(memory, bytes); }
static void publish(void *memory, size_t bytes) { __msan_unpoison(memory, bytes); }
static bool is_hidden(void *memory, size_t bytes) { return __msan_test_shadow(memory, bytes) == 0; }
#else
#include <valgrind/memcheck.h>
static void hide(void *memory, size_t bytes) { (void)VALGRIND_MAKE_MEM_UNDEFINED(memory, bytes); }
static void publish(void *memory, size_t bytes) { (void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes); }
static bool is_hidden(void *memory, size_t bytes) {
    (void)bytes;
    uint8_t bits = 0;
    return VALGRIND_GET_VBITS(memory, &bits, 1) == 1 && bits != 0;
}
#endif

enum { PACKETS = 48, STRIDE = 2048 };

static uint8_t texts[PACKETS * STRIDE + 14000];

typedef struct {
    bool (*supported)(void);
    void (*seal)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
    size_t (*verify)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
    void (*decrypt)(swg_cipher_packet *, size_t, const uint8_t[32], void *);
} cipher;

// Seals and opens a train of `count` with keys and texts hidden; one packet of three is spoiled.
static int run(const cipher *c, const uint32_t *lengths, size_t count, void *scratch) {
    uint8_t key[32];
    swg_cipher_packet packets[PACKETS];
    memset(key, 0x5a, sizeof key);
    hide(key, sizeof key);
    for (size_t i = 0; i < count; i++) {
        packets[i] = (swg_cipher_packet){texts + i * STRIDE + i % 7, i, lengths[i], false, false};
        hide(packets[i].text, lengths[i]);
    }
    c->seal(packets, count, key, scratch);
    for (size_t i = 0; i < count; i++) {
        // The checker followed the secrets all the way, or its silence would mean nothing.
        if (!is_hidden(packets[i].text + lengths[i], 16)) return fprintf(stderr, "packet %zu: lost track\n", i), 1;
        // Ciphertext and tag are public once sent, and come back so.
        publish(packets[i].text, lengths[i] + 16);
        if (i % 3 == 1) packets[i].text[lengths[i] / 2] ^= 1;
    }
    for (size_t at = 0; at < count;) {
        const size_t group = c->verify(packets + at, count - at, key, scratch);
        for (size_t i = at; i < at + group; i++) {
            publish(&packets[i].authentic, sizeof packets[i].authentic);
            packets[i].opened = packets[i].authentic;
            if (packets[i].authentic != (i % 3 != 1)) return fprintf(stderr, "packet %zu: wrong verdict\n", i), 1;
        }
        c->decrypt(packets + at, group, key, scratch);
        at += group;
    }
    return 0;
}

// What a call leaves on a stack of its own.
static struct {
    const cipher *cipher;
    void *scratch;
    uint8_t key[32];
    const char *what;
} call;

static ucontext_t here, there;
static _Alignas(64) uint8_t stacks[2][64 * 1024];
static swg_cipher_packet train[PACKETS];

static void make_the_call(void) {
    const size_t count = PACKETS - 4;
    if (strcmp(call.what, "seal") == 0) {
        call.cipher->seal(train, count, call.key, call.scratch);
        return;
    }
    for (size_t at = 0, group; at < count; at += group) {
        group = call.cipher->verify(train + at, count - at, call.key, call.scratch);
        if (strcmp(call.what, "verify") != 0) call.cipher->decrypt(train + at, group, call.key, call.scratch);
    }
}

// How many words of a stack differ after the same call with two keys: each would tell something about the key.
static size_t words_left(const cipher *c, const char *what, void *scratch) {
    // One for both, as its registers are what the call's first frame saves.
    ucontext_t fresh;
    getcontext(&fresh);
    for (int which = 0; which < 2; which++) {
        call.cipher = c, call.scratch = scratch, call.what = what;
        for (size_t i = 0; i < sizeof call.key; i++) call.key[i] = (uint8_t)(i * 7 + (which == 0 ? 1 : 100));
        for (size_t i = 0; i < PACKETS; i++) train[i] = (swg_cipher_packet){texts + i * STRIDE, i, 1420, false, true};
        memset(texts, 0x33, sizeof texts);
        memset(stacks[0], 0, sizeof stacks[0]);
        there = fresh;
        there.uc_stack.ss_sp = stacks[0];
        there.uc_stack.ss_size = sizeof stacks[0];
        there.uc_link = &here;
        makecontext(&there, make_the_call, 0);
        swapcontext(&here, &there);
        if (which == 0) memcpy(stacks[1], stacks[0], sizeof stacks[0]);
    }
    size_t words = 0;
    for (size_t at = 0; at < sizeof stacks[0]; at += 8) words += memcmp(stacks[0] + at, stacks[1] + at, 8) != 0;
    return words;
}

static int look_at_the_stack(const cipher *c, bool unwiped, void *scratch) {
    const char *const wiped[] = {"seal", "open"};
    // `verify` alone leaves secrets, which shows that the comparison would find them.
    if (unwiped) return words_left(c, "verify", scratch) > 0 ? 0 : 1;
    for (size_t i = 0; i < 2; i++) {
        const size_t words = words_left(c, wiped[i], scratch);
        if (words > 0) return fprintf(stderr, "%s: %zu words on the stack depend on the key\n", wiped[i], words), 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const cipher avx2 = {swg_train_avx2_supported, swg_train_avx2_seal, swg_train_avx2_verify, swg_train_avx2_decrypt};
    const cipher avx512 = {
        swg_train_avx512_supported, swg_train_avx512_seal, swg_train_avx512_verify, swg_train_avx512_decrypt};
    if (argc < 2) return 2;
    const cipher *const chosen = strcmp(argv[1], "avx512") == 0 ? &avx512 : &avx2;
    if (!chosen->supported()) return 77;
    void *const scratch = aligned_alloc(64, SWG_TRAIN_SCRATCH_BYTES);
    if (scratch == NULL) return 1;
    if (argc > 2 && strcmp(argv[2], "stack") == 0) return look_at_the_stack(chosen, argc > 3, scratch);
    if (argc > 2) {
        uint8_t secret = 1;
        hide(&secret, 1);
        if (*(volatile uint8_t *)&secret > 7) puts("never");
        return 0;
    }
    uint32_t lengths[PACKETS];
    for (uint32_t length = 0; length <= 300; length++) {
        if (run(chosen, &length, 1, scratch) != 0) return 1;
    }
    for (int full = 0; full < 3; full++) {
        for (uint32_t i = 0; i < PACKETS; i++) lengths[i] = full == 0 ? 1420 : full == 1 ? 96 : i * 37 % 1500;
        if (run(chosen, lengths, PACKETS - 4, scratch) != 0) return 1;
    }
    const uint32_t beyond_scratch = 13000;
    return run(chosen, &beyond_scratch, 1, scratch);
}
