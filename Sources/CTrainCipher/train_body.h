// The three functions over trains and the two test entries, once per width. The includer has defined LANES,
// power_table and the functions plan, generate, exclusive_or, raise and authenticate for its vectors, and ENTRY(name).

// The tags of up to LANES texts, whose blocks 0 stand in the key stream.
static void authenticate_lanes(
    train_scratch *scratch, const swg_cipher_packet *packets, const uint8_t *const block0[], size_t count, uint64_t tags[][2]
) {
    power_table *const table = (power_table *)(void *)scratch->powers;
    _Alignas(64) uint64_t low[LANES] = {0}, high[LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        low[i] = load64(block0[i]) & CLAMP_LOW;
        high[i] = load64(block0[i] + 8) & CLAMP_HIGH;
    }
    raise(table, low, high);
    for (size_t i = 0; i < count; i++) {
        const uint64_t last[2] = {0, packets[i].length};
        authenticate(table, i, packets[i].text, packets[i].length, last, block0[i] + 16, tags[i]);
    }
    wipe(low, sizeof low);
    wipe(high, sizeof high);
}

// Lists and generates the key stream of a group; of a text too long for that, only block 0.
static size_t generate_group(
    train_scratch *scratch, const swg_cipher_packet *packets, size_t count, const uint8_t key[32]
) {
    size_t blocks = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t wanted = is_long(packets[i].length) ? 1 : blocks_of(packets[i].length);
        blocks = plan(scratch, blocks, packets[i].counter, 0, wanted);
    }
    generate(scratch, blocks, key, 0);
    return blocks;
}

// A text longer than the scratch, in pieces.
static void exclusive_or_long(train_scratch *scratch, const swg_cipher_packet *packet, const uint8_t key[32]) {
    const size_t piece = GROUP_BLOCKS * BLOCK_BYTES;
    for (size_t at = 0; at < packet->length; at += piece) {
        const size_t length = packet->length - at < piece ? packet->length - at : piece;
        const size_t blocks = (length + BLOCK_BYTES - 1) / BLOCK_BYTES;
        plan(scratch, 0, packet->counter, (uint32_t)(1 + at / BLOCK_BYTES), blocks);
        generate(scratch, blocks, key, 0);
        exclusive_or(packet->text + at, scratch->keystream, length);
    }
}

// The entries below are a frame of their own around the work, which is then under the stack that they wipe.
#define UNDER_ENTRY static __attribute__((noinline))

UNDER_ENTRY void seal_train(train_scratch *scratch, swg_cipher_packet *packets, size_t count, const uint8_t key[32]) {
    size_t most = 0;
    while (count > 0) {
        const size_t group = group_of(packets, count);
        if (is_long(packets[0].length)) {
            exclusive_or_long(scratch, packets, key);
            most = GROUP_BLOCKS;
        }
        // For a long text this comes second, as it overwrites block 0.
        const size_t blocks = generate_group(scratch, packets, group, key);
        most = blocks > most ? blocks : most;
        const uint8_t *stream = scratch->keystream;
        for (size_t first = 0; first < group; first += LANES) {
            const size_t lanes = group - first < LANES ? group - first : LANES;
            const uint8_t *block0[LANES];
            uint64_t tags[LANES][2];
            for (size_t i = 0; i < lanes; i++) {
                const swg_cipher_packet *const packet = packets + first + i;
                block0[i] = stream;
                if (!is_long(packet->length)) exclusive_or(packet->text, stream + BLOCK_BYTES, packet->length);
                stream += blocks_of(packet->length) * BLOCK_BYTES;
            }
            authenticate_lanes(scratch, packets + first, block0, lanes, tags);
            for (size_t i = 0; i < lanes; i++) {
                uint8_t *const tag = packets[first + i].text + packets[first + i].length;
                store64(tag, tags[i][0]);
                store64(tag + 8, tags[i][1]);
            }
        }
        packets += group;
        count -= group;
    }
    wipe_scratch(scratch, most, sizeof(power_table));
}

void ENTRY(seal)(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *memory) {
    seal_train(memory, packets, count, key);
    wipe_stack();
}

size_t ENTRY(verify)(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *memory) {
    train_scratch *const scratch = memory;
    const size_t group = group_of(packets, count);
    generate_group(scratch, packets, group, key);
    const uint8_t *stream = scratch->keystream;
    for (size_t first = 0; first < group; first += LANES) {
        const size_t lanes = group - first < LANES ? group - first : LANES;
        const uint8_t *block0[LANES];
        uint64_t tags[LANES][2];
        for (size_t i = 0; i < lanes; i++) {
            block0[i] = stream;
            stream += blocks_of(packets[first + i].length) * BLOCK_BYTES;
        }
        authenticate_lanes(scratch, packets + first, block0, lanes, tags);
        for (size_t i = 0; i < lanes; i++) {
            swg_cipher_packet *const packet = packets + first + i;
            packet->authentic = tag_fits(tags[i], packet->text + packet->length);
        }
    }
    return group;
}

UNDER_ENTRY void decrypt_group(train_scratch *scratch, swg_cipher_packet *packets, size_t count, const uint8_t key[32]) {
    size_t blocks = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_long(packets[i].length)) {
            if (packets[i].opened) exclusive_or_long(scratch, packets + i, key);
            blocks = GROUP_BLOCKS;
            continue;
        }
        if (packets[i].opened) {
            exclusive_or(packets[i].text, scratch->keystream + (blocks + 1) * BLOCK_BYTES, packets[i].length);
        }
        blocks += blocks_of(packets[i].length);
    }
    wipe_scratch(scratch, blocks, sizeof(power_table));
}

void ENTRY(decrypt)(swg_cipher_packet *packets, size_t count, const uint8_t key[32], void *memory) {
    decrypt_group(memory, packets, count, key);
    wipe_stack();
}

void ENTRY(keystream)(
    const uint8_t key[32], const uint32_t nonce[3], uint32_t counter, size_t blocks, uint8_t *output, void *memory
) {
    train_scratch *const scratch = memory;
    if (blocks > GROUP_BLOCKS) __builtin_trap();
    plan(scratch, 0, (uint64_t)nonce[2] << 32 | nonce[1], counter, blocks);
    generate(scratch, blocks, key, nonce[0]);
    memcpy(output, scratch->keystream, blocks * BLOCK_BYTES);
    wipe_scratch(scratch, blocks, sizeof(power_table));
}

void ENTRY(mac)(
    const uint8_t key[32], const uint8_t *text, size_t length, const uint8_t last[16], uint8_t tag[16], void *memory
) {
    train_scratch *const scratch = memory;
    power_table *const table = (power_table *)(void *)scratch->powers;
    _Alignas(64) uint64_t low[LANES] = {0}, high[LANES] = {0};
    const uint64_t final_block[2] = {load64(last), load64(last + 8)};
    uint64_t words[2];
    low[0] = load64(key) & CLAMP_LOW;
    high[0] = load64(key + 8) & CLAMP_HIGH;
    raise(table, low, high);
    authenticate(table, 0, text, length, final_block, key + 16, words);
    store64(tag, words[0]);
    store64(tag + 8, words[1]);
    wipe_scratch(scratch, 0, sizeof(power_table));
}
