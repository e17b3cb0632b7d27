// Where there is neither width, `supported` says so and nobody calls the rest.

#include "include/CTrainCipher.h"

#if !defined(__x86_64__)

bool swg_train_avx2_supported(void) { return false; }
bool swg_train_avx512_supported(void) { return false; }

#define ABSENT(name, result, parameters) \
    result swg_train_avx2_##name parameters { __builtin_trap(); } \
    result swg_train_avx512_##name parameters { __builtin_trap(); }

ABSENT(seal, void, (swg_cipher_packet *packets, size_t count, const uint8_t *key, void *scratch))
ABSENT(verify, size_t, (swg_cipher_packet *packets, size_t count, const uint8_t *key, void *scratch))
ABSENT(decrypt, void, (swg_cipher_packet *packets, size_t count, const uint8_t *key, void *scratch))
ABSENT(keystream, void,
    (const uint8_t *key, const uint32_t *nonce, uint32_t counter, size_t blocks, uint8_t *output, void *scratch))
ABSENT(mac, void,
    (const uint8_t *key, const uint8_t *text, size_t length, const uint8_t *last, uint8_t *tag, void *scratch))

#endif
