// ChaCha20-Poly1305 (RFC 8439) for trains of data packets: one key, a 64-bit counter each, no additional data.
//
// Two widths with the same interface: AVX-512 with IFMA, and AVX2. Both give, bit for bit, what libsodium's AEAD
// call gives; WireGuardCrypto compares them at start and chooses. train.h has the theory of operation.
//
// Nothing here allocates, keeps state, or branches or indexes by a secret. Texts may have any alignment; only the
// text and the 16 bytes of tag behind it are touched.

#ifndef SWG_CTRAINCIPHER_H
#define SWG_CTRAINCIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct swg_cipher_packet {
    uint8_t *text;      // in place; the tag stands at text + length
    uint64_t counter;   // the nonce: four zero bytes, then this, little-endian
    uint32_t length;    // of the text, without the tag
    bool authentic;     // verify: the tag fits
    bool opened;        // set by the caller between verify and decrypt
} swg_cipher_packet;

// Working memory, aligned to 64 bytes; its contents mean nothing between calls but between one verify and its decrypt.
// The first part is zero again after each seal and decrypt.
enum { SWG_TRAIN_SCRATCH_BYTES = 20 * 1024, SWG_TRAIN_SECRET_BYTES = 16 * 1024 };

// Whether this CPU (and the kernel's saving of registers) can run them.
bool swg_train_avx2_supported(void);
bool swg_train_avx512_supported(void);

// Encrypts every text and writes its tag, then wipes the scratch.
void swg_train_avx2_seal(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);
void swg_train_avx512_seal(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);

// Sets `authentic` of the first packets and returns of how many (at least one of a non-empty train).
size_t swg_train_avx2_verify(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);
size_t swg_train_avx512_verify(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);

// Decrypts those of the `count` packets just verified that have `opened`, then wipes the scratch.
void swg_train_avx2_decrypt(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);
void swg_train_avx512_decrypt(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *scratch);

// The two halves alone, for the vectors of RFC 8439. keystream: `blocks` (up to 192) of 64 bytes from block number
// `counter` on. mac: Poly1305 under the one-time key r || s of the text, padded with zeros to whole blocks, and
// then the 16 bytes of `last`.
void swg_train_avx2_keystream(
    const uint8_t key[32], const uint32_t nonce[3], uint32_t counter, size_t blocks, uint8_t *output, void *scratch);
void swg_train_avx512_keystream(
    const uint8_t key[32], const uint32_t nonce[3], uint32_t counter, size_t blocks, uint8_t *output, void *scratch);
void swg_train_avx2_mac(
    const uint8_t key[32], const uint8_t *text, size_t length, const uint8_t last[16], uint8_t tag[16], void *scratch);
void swg_train_avx512_mac(
    const uint8_t key[32], const uint8_t *text, size_t length, const uint8_t last[16], uint8_t tag[16], void *scratch);

#endif
